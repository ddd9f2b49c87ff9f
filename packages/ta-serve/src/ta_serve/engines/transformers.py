"""The transformers engine: a PyTorch model answers conversations, in batches or as a stream.

engine = TransformersEngine.load(model_dir, adapter_dir)
engine.generate([[{"role": "user", "content": "Hi"}]], max_tokens=32)
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ta_schemas import InputError
from ta_serve.completion import ChatMessage, Completion
from ta_serve.config import Settings
from ta_serve.engines.device import pick_device, pick_dtype


class TransformersEngine:
    """A loaded model. Not for several threads at once."""

    def __init__(self, model: Any, tokenizer: Any, *, adapter_dir: Path | None, max_batch_tokens: int) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.adapter_dir = adapter_dir
        self.max_batch_tokens = max_batch_tokens
        self.settings = Settings()

    @classmethod
    def load(
        cls,
        model_dir: Path,
        adapter_dir: Path | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        merge: bool = True,
        max_batch_tokens: int = 8192,
    ) -> "TransformersEngine":
        """Load a model folder, and an adapter over it, merged into the weights unless `merge` is false.

        `max_batch_tokens` bounds the cache of a batch: rows x (longest prompt + max_tokens). Only
        safetensors are read, nothing is fetched. Raises InputError for a folder that holds no usable model,
        SetupError for a device that is not there.
        """
        place = pick_device(device)
        precision = pick_dtype(dtype, place)
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(adapter_dir or model_dir, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                model_dir, dtype=precision, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            raise InputError(f"{model_dir}: cannot be loaded as a language model: {error}") from None
        if not tokenizer.chat_template:
            raise InputError(f"{adapter_dir or model_dir}: no chat template: this is not a chat model")
        if place == "cpu":
            from ta_serve.engines.attention import use_grouped_attention

            use_grouped_attention(model)
        if adapter_dir:
            model = _with_adapter(model, adapter_dir, merge=merge)
        model = model.to(place).eval()
        return cls(model, tokenizer, adapter_dir=adapter_dir, max_batch_tokens=max_batch_tokens)

    @property
    def adapted(self) -> bool:
        """Whether an adapter takes part: merged at load, or as layers of the model."""
        return self.adapter_dir is not None or any("lora_" in n for n, _ in self.model.named_parameters())

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> list[Completion]:
        """Answer conversations as they are given (no system prompt is added), in the order given.

        The stop strings of the settings always count, `stop` adds to them. `progress` hears how many answers
        have become ready. Raises InputError for a conversation that cannot be asked.
        """
        from ta_serve.engines.decode import Prefix, decode, plan_batches

        rows = self._rows(batch, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)
        if not rows:
            return []
        prefix = Prefix(self.model, [row.prompt for row in rows])
        lengths = [len(row.prompt) for row in rows]
        for places in plan_batches(lengths, max_tokens=max_tokens, max_batch_tokens=self.max_batch_tokens):
            members = [rows[at] for at in places]
            for _ in decode(self.model, members, prefix, pad_id=self._pad_id, temperature=temperature):
                pass
            if progress:
                progress(len(members))
        return [row.completion() for row in rows]

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Answer one conversation piece by piece; together the pieces are the text of `generate`.

        A piece is whole characters. Closing the iterator stops the work.
        """
        from ta_serve.engines.decode import Prefix, decode

        rows = self._rows([messages], max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)
        prefix = Prefix(self.model, [rows[0].prompt])
        said = ""
        for _ in decode(self.model, rows, prefix, pad_id=self._pad_id, temperature=temperature):
            settled = rows[0].settled_text()
            if len(settled) > len(said):
                yield settled[len(said) :]
                said = settled

    def _rows(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str],
    ) -> list[Any]:
        """The conversations as rows to decode, checked before anything is computed."""
        from ta_serve.engines.row import Row

        if max_tokens < 1 or temperature < 0:
            raise InputError(
                f"max_tokens {max_tokens}, temperature {temperature}: expected at least 1 and at least 0"
            )
        stop_ids, stop_texts = self._stops([*self.settings.generation.stop, *stop])
        rows = []
        for number, messages in enumerate(batch, start=1):
            prompt = self._prompt(messages, where=f"conversation {number}")
            room = self._context - len(prompt)
            if room < 1:
                raise InputError(
                    f"conversation {number}: {len(prompt)} tokens, more than the {self._context} of the model"
                )
            rows.append(
                Row(
                    prompt,
                    max_tokens=min(max_tokens, room),
                    stop_ids=stop_ids,
                    stop=stop_texts,
                    decode=self._decode,
                    seed=seed,
                )
            )
        return rows

    def _prompt(self, messages: Sequence[ChatMessage], *, where: str) -> list[int]:
        from jinja2 import TemplateError

        if not messages or any(set(message) < {"role", "content"} for message in messages):
            raise InputError(f"{where}: expected messages with role and content")
        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise InputError(f"{where}: the chat template refuses it: {error}") from None
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _decode(self, tokens: list[int]) -> str:
        # Cleaning up spaces would turn `ls .` into `ls.`.
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _stops(self, stop: Sequence[str]) -> tuple[frozenset[int], list[str]]:
        """Stop tokens, and the stop strings that are no special token."""
        ids: set[int] = set()
        for holder in (self.model.generation_config, self.model.config, self.tokenizer):
            eos = getattr(holder, "eos_token_id", None)
            ids.update([eos] if isinstance(eos, int) else eos or [])
        special = {text: id_ for id_, text in self._special_tokens().items()}
        ids.update(special[text] for text in stop if text in special)
        return frozenset(ids), [text for text in stop if text not in special]

    def _special_tokens(self) -> dict[int, str]:
        return {
            id_: token.content for id_, token in self.tokenizer.added_tokens_decoder.items() if token.special
        }

    @property
    def _pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def _context(self) -> int:
        return int(getattr(self.model.config, "max_position_embeddings", 0) or 2**31)


def _with_adapter(model: Any, adapter_dir: Path, *, merge: bool) -> Any:
    from peft import PeftModel

    try:
        adapted = PeftModel.from_pretrained(model, str(adapter_dir))
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{adapter_dir}: does not fit the base model: {error}") from None
    return adapted.merge_and_unload() if merge else adapted
