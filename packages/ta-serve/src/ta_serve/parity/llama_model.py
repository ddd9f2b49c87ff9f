"""A GGUF file in llama.cpp's C API, as far as comparing needs it: token ids in, logits out."""

import ctypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ta_schemas import InputError
from ta_serve.export.needs import need

if TYPE_CHECKING:
    import numpy as np


class LlamaModel:
    """A loaded file and one context on one thread. Ends the process where llama.cpp asserts: use a child."""

    def __init__(
        self, file: Path, *, context_tokens: int, adapter: Path | None = None, threads: int = 1
    ) -> None:
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # with it an abort ends at once instead of hanging
        self.c = c = need("llama_cpp.llama_cpp", "llama-cpp")
        self._quiet = c.llama_log_callback(lambda level, text, data: None)
        c.llama_log_set(self._quiet, ctypes.c_void_p(0))
        c.llama_backend_init()
        self._model = c.llama_model_load_from_file(str(file).encode(), c.llama_model_default_params())
        if not self._model:
            raise InputError(
                f"{file}: llama.cpp cannot load it: truncated, or of an architecture it does not know"
            )
        params = c.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context_tokens
        params.n_threads = params.n_threads_batch = threads
        self._context = c.llama_init_from_model(self._model, params)
        if not self._context:
            raise InputError(f"{file}: llama.cpp has no memory for a context of {context_tokens} tokens")
        if adapter:
            self._put_on(adapter)
        self._vocabulary = c.llama_model_get_vocab(self._model)
        self.size = int(c.llama_vocab_n_tokens(self._vocabulary))
        self._batch = c.llama_batch_init(context_tokens, 0, 1)
        self._file = file
        self._context_tokens = context_tokens

    def _put_on(self, adapter: Path) -> None:
        lora = self.c.llama_adapter_lora_init(self._model, str(adapter).encode())
        if not lora:
            raise InputError(f"{adapter}: llama.cpp cannot put it over this model")
        pointers = (self.c.llama_adapter_lora_p_ctypes * 1)(lora)  # struct llama_adapter_lora ** in llama.h
        if self.c.llama_set_adapters_lora(self._context, pointers, 1, (ctypes.c_float * 1)(1.0)):
            raise InputError(f"{adapter}: llama.cpp cannot compute with it")

    def tokenize(self, text: str) -> list[int]:
        """Ids of a rendered prompt: control tokens in it count, nothing is put in front."""
        raw = text.encode()
        room = len(raw) + 8
        ids = (self.c.llama_token * room)()
        count = self.c.llama_tokenize(self._vocabulary, raw, len(raw), ids, room, False, True)
        return list(ids[:count])

    def ends_answer(self, token: int) -> bool:
        """Whether llama.cpp stops at this token."""
        return bool(self.c.llama_vocab_is_eog(self._vocabulary, token))

    def template(self) -> str:
        """The chat template in the file, or nothing."""
        found = self.c.llama_model_chat_template(self._model, None)
        return found.decode() if found else ""

    def text_of(self, role: str) -> str:
        """The text of the `bos` or `eos` token, or nothing."""
        token = getattr(self.c, f"llama_vocab_{role}")(self._vocabulary)
        return str(self.c.llama_vocab_get_text(self._vocabulary, token).decode()) if token >= 0 else ""

    def puts_bos_first(self) -> bool:
        """Whether the file says that a text gets the first-token in front."""
        return bool(self.c.llama_vocab_get_add_bos(self._vocabulary))

    def logits(self, tokens: Sequence[int], *, start: int = 0) -> "np.ndarray[Any, Any]":
        """Logits after each token from place `start` on: float32, (tokens - start) x vocabulary."""
        import numpy as np

        if len(tokens) > self._context_tokens:
            raise InputError(f"{self._file}: {len(tokens)} tokens for a context of {self._context_tokens}")
        self.forget()
        self.decode(tokens, at=0, wanted=range(start, len(tokens)))
        rows = [self.row(place) for place in range(start, len(tokens))]
        return np.stack(rows)

    def forget(self) -> None:
        """Empty the cache."""
        self.c.llama_memory_clear(self.c.llama_get_memory(self._context), True)

    def decode(self, tokens: Sequence[int], *, at: int, wanted: Sequence[int]) -> None:
        """Compute tokens that stand from place `at` on; `wanted`: places in `tokens` whose logits are kept."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        kept = set(wanted)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place] = token, at + place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = place in kept
        if self.c.llama_decode(self._context, batch):
            raise InputError(f"{self._file}: llama.cpp could not compute {len(tokens)} tokens")

    def row(self, place: int) -> "np.ndarray[Any, Any]":
        """A copy of the logits of a place of the last `decode`."""
        import numpy as np

        pointer = self.c.llama_get_logits_ith(self._context, place)
        return np.ctypeslib.as_array(pointer, shape=(self.size,)).copy()

    def greedy(self, tokens: Sequence[int], *, count: int) -> Iterator[int]:
        """Up to `count` likeliest tokens after `tokens`."""
        self.forget()
        self.decode(tokens, at=0, wanted=[len(tokens) - 1])
        place, at = len(tokens) - 1, len(tokens)
        for _ in range(count):
            token = int(self.row(place).argmax())
            yield token
            self.decode([token], at=at, wanted=[0])
            place, at = 0, at + 1

    def close(self) -> None:
        """Free the memory."""
        self.c.llama_batch_free(self._batch)
        self.c.llama_free(self._context)
        self.c.llama_model_free(self._model)
