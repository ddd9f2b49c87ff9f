"""The transformers engine: a PyTorch model answers conversations, in batches or as a stream.

engine = TransformersEngine.load(model_dir, adapter_dir)
engine.generate([[{"role": "user", "content": "Hi"}]], max_tokens=32)
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ta_schemas import InputError
from ta_serve.completion import ChatMessage, Completion
from ta_serve.engines.chat_engine import ChatEngine
from ta_serve.engines.chat_tokens import ChatTokens
from ta_serve.engines.check import Refused, check
from ta_serve.engines.device import pick_device, pick_dtype
from ta_serve.engines.protocol import Deliver, Request, Stats

if TYPE_CHECKING:
    from ta_serve.engines.row import Row
    from ta_serve.engines.turns import Turns


class TransformersEngine(ChatEngine):
    """A loaded model. `generate` and `stream` compute in the caller's thread; `submit` in one of its own."""

    def __init__(self, model: Any, tokenizer: Any, *, adapter_dir: Path | None, max_batch_tokens: int) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.adapter_dir = adapter_dir
        self.max_batch_tokens = max_batch_tokens
        self._lock = Lock()
        self._turns: Turns | None = None
        self.tokens = ChatTokens(tokenizer, model)

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
        max_tokens: int | None,
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
        longest = max(row.max_tokens for row in rows)
        for places in plan_batches(lengths, max_tokens=longest, max_batch_tokens=self.max_batch_tokens):
            members = [rows[at] for at in places]
            for _ in decode(self.model, members, prefix, pad_id=self.tokens.pad_id, temperature=temperature):
                pass
            if progress:
                progress(len(members))
        return [row.completion() for row in rows]

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int | None,
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
        for _ in decode(self.model, rows, prefix, pad_id=self.tokens.pad_id, temperature=temperature):
            settled = rows[0].settled_text()
            if len(settled) > len(said):
                yield settled[len(said) :]
                said = settled

    def models(self) -> list[str]:
        """It has one; an adapter is part of it."""
        return ["base"]

    def submit(self, request: Request, deliver: Deliver) -> None:
        """See `protocol.Engine`."""
        self._take_turns().submit(request, deliver)

    def cancel(self, request_id: str) -> None:
        """See `protocol.Engine`."""
        self._take_turns().cancel(request_id)

    def count_tokens(self, request: Request) -> int:
        """See `protocol.Engine`. Raises InputError for a request that cannot be rendered."""
        return len(self._prompt(request))

    def stats(self) -> Stats:
        """See `protocol.Engine`."""
        return self._take_turns().stats()

    def close(self) -> None:
        """See `protocol.Engine`."""
        self._take_turns().close()

    def row(self, request: Request) -> "Row":
        """A request as a row to decode, checked before anything is computed. Raises Refused."""
        from ta_serve.engines.row import Choice, Row

        prompt = self._prompt(request)
        if request.model not in self.models():
            raise Refused("model_not_found", f"model {request.model!r}: expected base")
        if request.json_schema is not None:
            raise Refused("invalid_request", "json_schema: not by the transformers engine: export to GGUF")
        room = self.tokens.context - len(prompt)
        if room < 1:
            raise Refused(
                "context_length_exceeded",
                f"{len(prompt)} tokens, more than the {self.tokens.context} of the model",
            )
        stop_ids, stop = self.tokens.stops(self.with_settings(request).stop)
        return Row(
            prompt,
            max_tokens=min(request.max_tokens or room, room),
            stop_ids=stop_ids,
            stop=stop,
            decode=self.tokens.text,
            seed=secrets.randbits(32) if request.seed is None else request.seed,
            choice=Choice(request.top_p, request.top_k, request.presence_penalty, request.frequency_penalty),
        )

    def _rows(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        *,
        max_tokens: int | None,
        temperature: float,
        seed: int,
        stop: Sequence[str],
    ) -> "list[Row]":
        """The conversations as rows to decode, checked before anything is computed."""
        rows = []
        for number, messages in enumerate(batch, start=1):
            request = Request(
                id=str(number),
                messages=list(messages),
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed,
                stop=tuple(stop),
            )
            try:
                rows.append(self.row(request))
            except Refused as refused:
                raise InputError(f"conversation {number}: {refused}") from None
        return rows

    def _prompt(self, request: Request) -> list[int]:
        check(request)
        if request.messages is not None:
            return self.tokens.chat(request.messages)
        prompt = self.tokens.text_prompt(request.prompt or "")
        if not prompt:
            raise Refused("invalid_request", "an empty prompt, and the model has no token to begin with")
        return prompt

    def _take_turns(self) -> "Turns":
        """The thread that answers `submit`, started when it's first asked for."""
        from ta_serve.engines.turns import Turns

        with self._lock:
            if self._turns is None:
                self._turns = Turns(self)
        return self._turns


def _with_adapter(model: Any, adapter_dir: Path, *, merge: bool) -> Any:
    from peft import PeftModel

    try:
        adapted = PeftModel.from_pretrained(model, str(adapter_dir))
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{adapter_dir}: does not fit the base model: {error}") from None
    return adapted.merge_and_unload() if merge else adapted
