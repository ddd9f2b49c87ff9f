"""The tokenizer of a model folder, written into a GGUF file.

transformers reads tokenizer.json, so that file is the one source here; a `tokenizer.model` beside it is not
looked at. Two kinds exist: byte-level BPE (`gpt2` to llama.cpp) and SentencePiece-like BPE with byte fallback
(`llama`).
"""

import json
import re
from pathlib import Path
from typing import Any

from ta_schemas import InputError
from ta_serve.export.needs import need
from ta_serve.export.pre_tokenizer import pre_tokenizer_name

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Token types of the GGUF specification."""

_MARK = "▁"
_NO_MERGE = -1e6
"""Score of a token that no merge makes."""


class Vocabulary:
    """What a GGUF file says of a tokenizer. Raises InputError where llama.cpp has no equal."""

    def __init__(self, folder: Path, *, rows: int) -> None:
        """`rows`: of the embedding; a vocabulary that is shorter is filled up."""
        self.folder = folder
        self.file = folder / "tokenizer.json"
        try:
            self.tokenizer: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        except OSError:
            raise InputError(
                f"{folder}: no tokenizer.json: load and save the tokenizer with transformers 5"
            ) from None
        except ValueError as error:
            raise InputError(f"{self.file}: not valid JSON: {error}") from None
        model = self.tokenizer["model"]
        if model.get("type") != "BPE":
            raise self._refused(f"a {model.get('type')} tokenizer")
        self.bytes_fall_back = bool(model.get("byte_fallback"))
        self.added = {token["id"]: token for token in self.tokenizer.get("added_tokens", [])}
        self._number(rows)
        try:
            self.pre = "default" if self.bytes_fall_back else pre_tokenizer_name(self.tokenizer)
        except ValueError as error:
            raise self._refused(str(error)) from None

    def _refused(self, what: str) -> InputError:
        return InputError(
            f"{self.file}: {what}: llama.cpp has no equal that this export knows: name a checkout of "
            "llama.cpp, whose converter is then used: --llama-cpp DIR"
        )

    def _number(self, rows: int) -> None:
        """Texts, types and the check that each token is there once."""
        ids: dict[int, str] = {number: text for text, number in self.tokenizer["model"]["vocab"].items()}
        ids |= {number: token["content"] for number, token in self.added.items()}
        if max(ids) >= rows:
            raise InputError(
                f"{self.file}: token {max(ids)} has no row in the embedding of {rows}: the tokenizer belongs "
                "to another model"
            )
        self.texts = [self._text(number, ids) for number in range(rows)]
        self.types = [self._type(number, ids) for number in range(rows)]
        if len(set(self.texts)) < rows:  # llama.cpp ends the process there
            twice = next(text for text in self.texts if self.texts.count(text) > 1)
            raise self._refused(f"the token {twice!r} is there twice")

    def _text(self, number: int, ids: dict[int, str]) -> str:
        if number not in ids:
            return f"[PAD{number}]"
        token = self.added.get(number)
        if token and not token["special"] and token.get("normalized") and self.bytes_fall_back:
            # Found in the text after spaces became marks; llama.cpp looks for it before.
            return ids[number].replace(_MARK, " ")
        return ids[number]

    def _type(self, number: int, ids: dict[int, str]) -> int:
        if number not in ids:
            return UNUSED
        if number in self.added and ids[number] != self.tokenizer["model"].get("unk_token"):
            return CONTROL if self.added[number]["special"] else USER_DEFINED
        if self.bytes_fall_back:
            if re.fullmatch("<0x[0-9A-F]{2}>", ids[number]):
                return BYTE
            if ids[number] == self.tokenizer["model"].get("unk_token"):
                return UNKNOWN
        return CONTROL if number in self.added and self.added[number]["special"] else NORMAL

    def scores(self) -> list[float]:
        """SentencePiece scores that give the merges their order: the earlier a merge, the higher.

        tokenizer.json keeps only the order; llama.cpp merges what makes the token of the highest score.
        """
        order: dict[str, int] = {}
        for rank, merge in enumerate(self.tokenizer["model"]["merges"]):
            left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
            order.setdefault(left + right, rank)
        return [-float(order[text]) if text in order else _NO_MERGE for text in self.texts]

    def puts_space_first(self) -> bool:
        """Whether a text gets a space in front, after every special token too (the old Llama way).

        Where only the very first text gets it (`prepend_scheme: first`) it is left out: a chat begins with a
        special token, so no text of it is the first.
        """
        for step in _parts(self.tokenizer.get("normalizer"), "normalizers"):
            if step["type"] == "Prepend":
                return True
        for step in _parts(self.tokenizer.get("pre_tokenizer"), "pretokenizers"):
            if step["type"] == "Metaspace":
                return bool(step.get("prepend_scheme", "always") == "always")
        return False

    def puts_bos_first(self, bos: str) -> bool:
        """Whether tokenizing a text puts the first-token in front, as the files of the tokenizer say."""
        settings = self.settings()
        if isinstance(settings.get("add_bos_token"), bool):
            return bool(settings["add_bos_token"])
        for step in _parts(self.tokenizer.get("post_processor"), "processors"):
            if step["type"] == "TemplateProcessing":
                first = step["single"][0].get("SpecialToken", {}).get("id")
                return bool(bos and first == bos)
        return False

    def settings(self) -> dict[str, Any]:
        """tokenizer_config.json, empty where there is none."""
        file = self.folder / "tokenizer_config.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def special(self, role: str) -> str:
        """The text of `bos`, `eos`, … of tokenizer_config.json, or nothing."""
        token = self.settings().get(f"{role}_token")
        return str(token.get("content", "") if isinstance(token, dict) else token or "")

    def write(self, writer: Any, *, stops: list[str]) -> None:
        """Add tokens, merges or scores, special tokens and the chat template to a gguf.GGUFWriter.

        `stops`: strings an answer ends at; one that is a token and not the eos becomes the end-of-turn token.
        """
        writer.add_tokenizer_model("llama" if self.bytes_fall_back else "gpt2")
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.texts)
        writer.add_token_types(self.types)
        if self.bytes_fall_back:
            writer.add_token_scores(self.scores())
            writer.add_add_space_prefix(self.puts_space_first())
        special = need("gguf", "export").SpecialVocab(
            self.folder, load_merges=not self.bytes_fall_back, n_vocab=len(self.texts)
        )
        special.add_special_token["bos"] = self.puts_bos_first(self.special("bos"))
        special.add_special_token["eos"] = False  # an answer follows a prompt
        turn_ends = [number for number, text in enumerate(self.texts) if text in stops and number in self.added]
        other = [number for number in turn_ends if number != special.special_token_ids.get("eos")]
        if other:
            special.special_token_ids["eot"] = other[0]
        special.add_to_gguf(writer, quiet=True)


def _parts(part: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [step for one in part[inner] for step in _parts(one, inner)]
    return [part]
