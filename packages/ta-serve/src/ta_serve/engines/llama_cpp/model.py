"""The C API of llama.cpp, as far as it's used here: a model, its vocabulary, a context with a unified cache.

One thread may use a `Model`, except for `tokenize` and `piece`, which llama.cpp allows from any.
"""

import ctypes
import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ta_schemas import InputError
from ta_serve.engines.llama_cpp.batch import Batch

MOST_CONTEXT = 8192
"""Default bound: a 135M model's cache is 188 MB then, an 8B model's 1 GB."""

GGML_TYPE_BF16 = 30
"""Type of the values in the cache. With F16, llama.cpp's default, a CPU adds up in half precision, and long
chunks by another kernel than short ones: a seed would not reproduce once part of a prompt is shared. Decoding
is as fast, reading a prompt takes 17 % longer, logits are as near to those of an F32 cache (November 2026)."""

THREAD_BYTES = 256 * 2**20
"""Weights that a thread should have to read for one token. With less it waits for the other longer than it
computes: SmolLM2-135M in Q8_0 (138 MB) gave 50 tokens/s with two threads on two idle cores, where one thread
computes 85 in a CPU-second; on busy cores two gave 9 a CPU-second and one 47 (November 2026)."""

CONTROL = 1 << 3
"""LLAMA_TOKEN_ATTR_CONTROL"""


State = npt.NDArray[np.uint8]
"""A sequence's keys and values as llama.cpp writes them."""


class Model:
    """A loaded model with a context. Raises InputError for a file that cannot be loaded, saying why."""

    def __init__(
        self,
        path: Path,
        adapters: Mapping[str, Path],
        *,
        context_tokens: int,
        sequences: int,
        threads: int,
        batch_tokens: int,
    ) -> None:
        self.c: Any = importlib.import_module("llama_cpp.llama_cpp")  # untyped: its types are ctypes' own
        self._log = _Log(self.c)
        self.c.llama_backend_init()
        params = self.c.llama_model_default_params()
        self._model = self.c.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise InputError(f"{path}: cannot be loaded by llama.cpp: {self._log.why()}")
        self._vocab = self.c.llama_model_get_vocab(self._model)
        self._adapters = {name: self._load_adapter(file) for name, file in adapters.items()}
        trained = int(self.c.llama_model_n_ctx_train(self._model))
        self.context_tokens = min(context_tokens, trained) if context_tokens else min(trained, MOST_CONTEXT)
        self._context = self._new_context(sequences, threads, batch_tokens)
        self._memory = self.c.llama_get_memory(self._context)
        self.vocabulary = int(self.c.llama_vocab_n_tokens(self._vocab))
        self.can_share = not (
            self.c.llama_model_is_recurrent(self._model) or self.c.llama_model_is_hybrid(self._model)
        )
        """Whether part of a sequence can be kept or copied; a recurrent state has no parts."""

    def _new_context(self, sequences: int, threads: int, batch_tokens: int) -> Any:
        params = self.c.llama_context_default_params()
        params.n_ctx = self.context_tokens
        params.n_batch = batch_tokens
        params.n_ubatch = batch_tokens
        params.n_seq_max = sequences
        params.n_outputs_max = sequences  # else room for the logits of a whole batch: 100 MB for 49,152 ids
        # Of one token and of several: of answers side by side, and of prompts.
        params.n_threads = threads_for_one(int(self.c.llama_model_size(self._model)), threads)
        params.n_threads_batch = threads
        params.kv_unified = True
        params.no_perf = True
        # It leaves out the cells of other sequences, where the plain attention multiplies by their zeros.
        params.flash_attn_type = self.c.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if not self.c.llama_supports_gpu_offload():
            params.type_v = GGML_TYPE_BF16
        context = self.c.llama_init_from_model(self._model, params)
        if not context:
            raise InputError(f"a context of {self.context_tokens} tokens cannot be made: {self._log.why()}")
        return context

    def _load_adapter(self, file: Path) -> Any:
        adapter = self.c.llama_adapter_lora_init(self._model, str(file).encode())
        if not adapter:
            raise InputError(f"{file}: not an adapter of this base model: {self._log.why()}")
        return adapter

    def metadata(self, key: str) -> str:
        """A text of the file's metadata; empty where it has none."""
        length = self.c.llama_model_meta_val_str(self._model, key.encode(), None, 0)
        if length < 0:
            return ""
        buffer = ctypes.create_string_buffer(length + 1)
        self.c.llama_model_meta_val_str(self._model, key.encode(), buffer, length + 1)
        return buffer.value.decode("utf-8", "replace")

    def chat_template(self) -> str:
        """Its jinja source; empty where it has none."""
        source = self.c.llama_model_chat_template(self._model, None)
        return source.decode("utf-8", "replace") if source else ""

    def tokenize(self, text: str, *, marks: bool, begin: bool = False) -> list[int]:
        """Ids of a text; `marks`: control tokens are parsed; `begin`: with the first token, if it has one."""
        data = text.encode("utf-8")
        most = len(data) + 2
        ids = (ctypes.c_int32 * most)()
        count = self.c.llama_tokenize(self._vocab, data, len(data), ids, most, begin, marks)
        if count < 0:
            raise InputError(f"a text of {len(data)} bytes cannot be tokenized")
        return ids[:count]

    @functools.cache  # noqa: B019 - a process has one model
    def piece(self, token: int, *, marks: bool = False) -> bytes:
        """The bytes of a token; none for a control token unless `marks`."""
        buffer = ctypes.create_string_buffer(256)
        length = self.c.llama_token_to_piece(self._vocab, token, buffer, 256, 0, marks)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = self.c.llama_token_to_piece(self._vocab, token, buffer, -length, 0, marks)
        return buffer.raw[:length]

    def control_tokens(self) -> dict[str, int]:
        """Ids of the control tokens by text."""
        attributes = ((i, self.c.llama_vocab_get_attr(self._vocab, i)) for i in range(self.vocabulary))
        return {self._text(i): i for i, attribute in attributes if attribute & CONTROL}

    def _text(self, token: int) -> str:
        return str(self.c.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace"))

    def ends_answer(self, token: int) -> bool:
        """Whether an answer ends with it."""
        return bool(self.c.llama_vocab_is_eog(self._vocab, token))

    def beginning_and_end(self) -> tuple[str, str]:
        """Texts of the tokens that begin and end a text; empty where there is none."""
        ids = (self.c.llama_vocab_bos(self._vocab), self.c.llama_vocab_eos(self._vocab))
        first, last = (self._text(token) if token >= 0 else "" for token in ids)
        return first, last

    @functools.cached_property
    def longest_piece(self) -> int:
        """Bytes of the longest token."""
        return max(len(self.c.llama_vocab_get_text(self._vocab, i)) for i in range(self.vocabulary))

    def use_adapter(self, name: str) -> None:
        """Compute with this adapter from now on; with none for the empty name."""
        chosen = [self._adapters[name]] if name else []
        pointers = (self.c.llama_adapter_lora_p_ctypes * len(chosen))(*chosen)
        scales = (ctypes.c_float * len(chosen))(*[1.0] * len(chosen))
        if self.c.llama_set_adapters_lora(self._context, pointers, len(chosen), scales):
            raise RuntimeError(f"adapter {name!r} cannot be put on: {self._log.why()}")

    def decode(self, batch: Batch) -> bool:
        """Compute a batch; False where the cache has no room for it, and nothing has changed then."""
        code = self.c.llama_decode(self._context, batch.struct)
        if code not in (0, 1):
            raise RuntimeError(f"llama_decode gave {code}: {self._log.why()}")
        return bool(code == 0)

    def logits(self, rows: int) -> npt.NDArray[np.float32]:
        """Of the last batch's rows with logits, (rows, vocabulary); valid until the next one."""
        pointer = self.c.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (rows, self.vocabulary))

    def copy_sequence(self, source: int, target: int, length: int) -> None:
        """Let `target` begin with the first tokens of `source`; they share the cells."""
        self.c.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def forget(self, sequence: int, start: int = 0) -> None:
        """Remove the tokens of a sequence from a place on."""
        self.c.llama_memory_seq_rm(self._memory, sequence, start, -1)

    def save_state(self, sequence: int) -> State:
        """A copy of the sequence's part of the cache."""
        size = self.c.llama_state_seq_get_size(self._context, sequence)
        state = np.empty(size, np.uint8)
        self.c.llama_state_seq_get_data(self._context, self._bytes(state), size, sequence)
        return state

    def load_state(self, sequence: int, state: State) -> bool:
        """Put such a copy into a sequence; False where there is no room."""
        return bool(self.c.llama_state_seq_set_data(self._context, self._bytes(state), len(state), sequence))

    @staticmethod
    def _bytes(state: State) -> Any:
        return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))

    @property
    def context(self) -> Any:
        """For the samplers."""
        return self._context

    @property
    def vocab(self) -> Any:
        """For the samplers."""
        return self._vocab


def threads_for_one(size_bytes: int, threads: int) -> int:
    """How many of the threads compute the next token of a single answer; at least one."""
    return min(threads, max(1, size_bytes // THREAD_BYTES))


class _Log:
    """Keeps what llama.cpp complains of, instead of printing it."""

    def __init__(self, c: Any) -> None:
        self._lines: list[str] = []
        error = 4  # GGML_LOG_LEVEL_ERROR

        def hear(level: int, text: bytes, _: Any) -> None:
            if level == error and len(self._lines) < 20:
                self._lines.append(text.decode("utf-8", "replace").strip())

        self._callback = c.llama_log_callback(hear)
        c.llama_log_set(self._callback, None)

    def why(self) -> str:
        """The complaints since the last time, on one line."""
        lines, self._lines = self._lines, []
        return "; ".join(dict.fromkeys(lines)) or "it does not say why"
