"""Whether a merged model answers as the model with its adapter does, logit by logit."""

from pathlib import Path
from typing import Any

from ta_schemas.errors import GateError

TOLERANCE = {"float32": 0.001, "float16": 0.05, "bfloat16": 0.2}
"""Largest difference by the stored type. The embedded model tuned for 180 steps: 0.00002, 0.011 and 0.063."""

QUESTION = (
    "Something that worked yesterday fails today, and nobody remembers changing anything. Which three "
    "things should be checked first, in what order, and how can one tell that it is really mended?"
)


def probe(tokenizer: Any) -> Any:
    """A few dozen tokens to compare models on: a question in the model's own chat template, (1, tokens)."""
    import torch

    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], tokenize=False, add_generation_prompt=True
    )
    return torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])


def logits(model: Any, tokens: Any) -> Any:
    """What the model says after every token, in float32: (tokens, vocabulary)."""
    import torch

    with torch.inference_mode():
        return model.eval()(input_ids=tokens).logits[0].float()


def load(folder: Path) -> Any:
    """A model folder in float32, whatever it is stored in: only rounding in storage may differ."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)


def difference(found: Any, wanted: Any) -> float:
    """How far two sets of logits are apart: root mean square over the vocabulary, at the worst token.

    In units of the spread (standard deviation) of the wanted logits at that token: 0 is equal, and about 1.4
    is unrelated.
    """
    apart = (found - wanted).pow(2).mean(-1).sqrt() / wanted.std(-1)
    return float(apart.max())


def check_merged(*, base: Any, adapted: Any, merged: Any, dtype: str) -> dict[str, float]:
    """Compare the logits of the saved model with those of base and adapted model; the numbers.

    Raises GateError: the merged model equals the base model within the TOLERANCE of what it is stored in and is
    not clearly nearer to the adapted one; or it differs from the adapted one by more than that tolerance.
    """
    tolerance = TOLERANCE[dtype]
    effect, error = difference(base, adapted), difference(merged, adapted)
    if difference(merged, base) <= min(tolerance, 1.5 * error):
        raise GateError(
            f"merged equals base: the adapter moves the logits by {effect:.2g}, the merged model is "
            f"{error:.2g} away from them: the adapter has learned nothing, or nothing that {dtype} can hold"
        )
    if not error <= tolerance:
        raise GateError(
            f"merged differs from the adapted model: logits are {error:.2g} apart, {dtype} allows "
            f"{tolerance}: nothing was sealed; try --dtype float32"
        )
    return {"logit_difference": error, "logit_tolerance": tolerance, "adapter_effect": effect}
