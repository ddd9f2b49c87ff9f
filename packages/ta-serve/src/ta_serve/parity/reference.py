"""The training side: prompts as training renders them, and what transformers answers in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from ta_schemas import InputError
from ta_serve.completion import Completion
from ta_serve.open import open_engine
from ta_serve.parity.chats import Chat

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Answered:
    """A conversation, its prompt, and the likeliest answer token by token."""

    chat: Chat
    prompt: str
    prompt_ids: list[int]
    answer_ids: list[int]
    """The stop token included where the answer came to its end."""
    logits: "np.ndarray[Any, Any]"
    """len(answer_ids) x vocabulary, float32: row n was there when answer token n was chosen."""
    said: Completion
    """What the engine answered."""

    def gap(self, place: int, token: int) -> float:
        """How much less likely than the chosen token another one was at a place, in logits (nats)."""
        return float(self.logits[place, self.answer_ids[place]] - self.logits[place, token])


class Reference:
    """A model folder or an adapter over one, in transformers, in float32 on the CPU."""

    def __init__(self, source: Path) -> None:
        self.engine = open_engine(source, engine="transformers", device="cpu", dtype="float32")
        self.tokenizer = self.engine.tokenizer
        self.settings = self.engine.settings
        self.source = source

    @property
    def bos(self) -> str:
        """The text of the first-token, or nothing."""
        return str(self.tokenizer.bos_token or "")

    def render(self, messages: Sequence[dict[str, str]], *, opening: bool = True) -> str:
        """The chat template as training applies it. Raises InputError where it refuses."""
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [dict(message) for message in messages], tokenize=False, add_generation_prompt=opening
                )
            )
        except TemplateError as error:
            raise InputError(f"{self.source}: the chat template refuses it: {error}") from None

    def stop_ids(self) -> dict[int, str]:
        """Tokens an answer ends at, and their texts."""
        model = self.engine.model
        ids: set[int] = set()
        for holder in (model.generation_config, model.config, self.tokenizer):
            eos = getattr(holder, "eos_token_id", None)
            ids.update([eos] if isinstance(eos, int) else eos or [])
        for text in self.settings.generation.stop:
            token = self.tokenizer.convert_tokens_to_ids(text)
            ids.update([token] if isinstance(token, int) and token != self.tokenizer.unk_token_id else [])
        return {token: str(self.tokenizer.convert_ids_to_tokens(token)) for token in sorted(ids)}

    def answers(self, chats: Sequence[Chat], *, max_tokens: int) -> list[Answered]:
        """Greedy answers by definition: each token is the likeliest of a forward pass over all before it.

        The engine's answer is the guess, which one pass confirms as a whole; where it is wrong the passes go on
        from the first wrong token, so what comes out does not depend on the guess.
        """
        said = self.engine.generate([chat.messages for chat in chats], max_tokens=max_tokens)
        stops = self.stop_ids()
        answers = []
        for chat, completion in zip(chats, said, strict=True):
            prompt = self.render(chat.messages)
            prompt_ids = self._ids(prompt)
            answer = self._ids(completion.text)[:max_tokens]
            while True:
                rows = self._logits([*prompt_ids, *answer])[len(prompt_ids) - 1 :]
                chosen = [int(token) for token in rows.argmax(axis=1)]
                right = next((at for at, token in enumerate(answer) if token != chosen[at]), len(answer))
                answer = [*answer[:right], chosen[right]][:max_tokens]
                if answer[-1] in stops or len(answer) == max_tokens:
                    break
            kept = rows[: len(answer)].copy()
            answers.append(Answered(chat, prompt, prompt_ids, answer, kept, completion))
        return answers

    def _ids(self, text: str) -> list[int]:
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False).input_ids]

    def _logits(self, ids: list[int]) -> "np.ndarray[Any, Any]":
        import torch

        with torch.inference_mode():
            logits: np.ndarray[Any, Any] = self.engine.model(torch.tensor([ids])).logits[0].float().numpy()
        return logits

    def text_of(self, answered: Answered) -> str:
        """The answer as text, without its stop token."""
        ids = answered.answer_ids
        kept = ids[:-1] if ids[-1] in self.stop_ids() else ids
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        found = [at for at in (text.find(stop) for stop in self.settings.generation.stop if stop) if at >= 0]
        return text[: min(found)] if found else text
