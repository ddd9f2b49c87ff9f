"""A Hugging Face tokenizer: from messages to ids and back, for the transformers engine."""

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from ta_serve.completion import ChatMessage
from ta_serve.engines.check import Refused
from ta_serve.engines.prompt import Prompts

LONGEST_PIECE = 128
"""Characters of a long token; a text of more than so many for each token of the context cannot fit."""


class ChatTokens:
    """The tokenizer of a model, whose settings may name further stop tokens."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.items()
        self._special = {token.content: id_ for id_, token in added if token.special}
        self._ends: set[int] = set()
        for holder in (model.generation_config, model.config, tokenizer):
            eos = getattr(holder, "eos_token_id", None)
            self._ends.update([eos] if isinstance(eos, int) else eos or [])
        self.context = int(getattr(model.config, "max_position_embeddings", 0) or 2**31)
        source = str(tokenizer.chat_template)
        begin = tokenizer.bos_token_id
        self._prompts = Prompts(
            self._render,
            self,
            marks={t: i for t, i in self._special.items() if t in source or i in self._ends or i == begin},
            longest_text=self.context * LONGEST_PIECE,
        )

    def chat(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Ids of a conversation up to where the assistant speaks. Raises Refused."""
        return self._prompts.chat(messages)

    def text_prompt(self, prompt: str) -> list[int]:
        """Ids of a plain completion's prompt. Raises Refused."""
        return self._prompts.text(prompt)

    def tokenize(self, text: str, *, marks: bool, begin: bool = False) -> list[int]:
        """Ids of a text; `marks`: special tokens are parsed; `begin`: with the model's first token."""
        return list(self.tokenizer(text, add_special_tokens=begin, split_special_tokens=not marks).input_ids)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens."""
        # Cleaning up spaces would turn `ls .` into `ls.`.
        return str(
            self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def stops(self, stop: Sequence[str]) -> tuple[frozenset[int], list[str]]:
        """Stop tokens, the model's own included, and the stop strings that are no special token."""
        ids = self._ends | {self._special[text] for text in stop if text in self._special}
        return frozenset(ids), [text for text in stop if text not in self._special]

    @property
    def pad_id(self) -> int:
        """Fills the short rows of a batch."""
        return int(self.tokenizer.pad_token_id or 0)

    def _render(self, messages: Sequence[ChatMessage]) -> str:
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
                )
            )
        except TemplateError as error:
            raise Refused("invalid_request", f"the chat template refuses it: {error}") from None
