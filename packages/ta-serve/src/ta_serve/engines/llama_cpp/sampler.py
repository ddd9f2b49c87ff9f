"""Which token comes next: penalties, temperature, top-k, top-p, a grammar, all of one request."""

import ctypes
import secrets
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ta_schemas import InputError
from ta_serve.engines.llama_cpp.model import Model
from ta_serve.engines.protocol import Request

RANDOM_SEED = 0xFFFFFFFF
"""LLAMA_DEFAULT_SEED: the one number that does not reproduce."""

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama_token_data"""


class Sampler:
    """Picks the tokens of one answer. `close` it, or its C objects stay."""

    def __init__(self, model: Model, request: Request, grammar: str | None) -> None:
        """Raises InputError for a grammar that llama.cpp does not take."""
        self._model, self._c = model, model.c
        self._presence, self._frequency = request.presence_penalty, request.frequency_penalty
        self._said: Counter[int] = Counter()
        self._chain = self._new_chain(request) if request.temperature > 0 else None
        self._grammar = self._new_grammar(grammar) if grammar else None

    def _new_chain(self, request: Request) -> Any:
        chain = self._c.llama_sampler_chain_init(self._c.llama_sampler_chain_default_params())
        # Temperature first, as `transformers` and vLLM do: top-p then sees the distribution that is drawn from.
        self._c.llama_sampler_chain_add(chain, self._c.llama_sampler_init_temp(request.temperature))
        if request.top_k:
            self._c.llama_sampler_chain_add(chain, self._c.llama_sampler_init_top_k(request.top_k))
        if request.top_p < 1:
            self._c.llama_sampler_chain_add(chain, self._c.llama_sampler_init_top_p(request.top_p, 1))
        seed = secrets.randbits(32) if request.seed is None else request.seed
        self._c.llama_sampler_chain_add(chain, self._c.llama_sampler_init_dist(seed % RANDOM_SEED))
        return chain

    def _new_grammar(self, grammar: str) -> Any:
        made = self._c.llama_sampler_init_grammar(self._model.vocab, grammar.encode("utf-8"), b"root")
        if not made:
            self.close()
            raise InputError("json_schema: llama.cpp cannot follow it (too deep, too large or without an end)")
        return made

    def pick(self, logits: npt.NDArray[np.float32], index: int) -> int:
        """The next token from a row of logits, which may be changed; `index`: its place in the batch."""
        if self._said and (self._presence or self._frequency):
            said = np.fromiter(self._said.keys(), np.int32)
            times = np.fromiter(self._said.values(), np.float32)
            logits[said] -= self._presence + self._frequency * times
        if self._grammar is not None:
            token = self._within_grammar(logits)
        elif self._chain is None:
            token = int(logits.argmax())
        else:
            token = int(self._c.llama_sampler_sample(self._chain, self._model.context, index))
        if self._presence or self._frequency:
            self._said[token] += 1
        return token

    def _within_grammar(self, logits: npt.NDArray[np.float32]) -> int:
        # Asking the grammar about all tokens takes long, so it is done only where it refuses the first choice.
        token = self._choose(_candidates(logits))
        asked = np.array([(token, logits[token], 0)], _CANDIDATE)
        self._apply(self._grammar, asked)
        if np.isneginf(asked["logit"][0]):
            allowed = _candidates(logits)
            self._apply(self._grammar, allowed)
            token = self._choose(allowed)
        self._c.llama_sampler_accept(self._grammar, token)
        return token

    def _choose(self, candidates: npt.NDArray[Any]) -> int:
        if self._chain is None:
            return int(candidates["id"][candidates["logit"].argmax()])
        return int(candidates["id"][self._apply(self._chain, candidates)])

    def _apply(self, sampler: Any, candidates: npt.NDArray[Any]) -> int:
        """Let a C sampler work on candidates, in place; gives the place of the selected one."""
        data = ctypes.cast(candidates.ctypes.data, ctypes.POINTER(self._c.llama_token_data))
        array = self._c.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
        self._c.llama_sampler_apply(sampler, ctypes.byref(array))
        return int(array.selected)

    def close(self) -> None:
        """Free the C objects."""
        for made in (self._chain, getattr(self, "_grammar", None)):
            if made is not None:
                self._c.llama_sampler_free(made)
        self._chain = self._grammar = None


def _candidates(logits: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    made = np.zeros(len(logits), _CANDIDATE)
    made["id"] = np.arange(len(logits), dtype=np.int32)
    made["logit"] = logits
    return made
