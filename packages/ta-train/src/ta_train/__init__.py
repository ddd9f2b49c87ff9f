"""Tune a base model on a sealed dataset.

    from ta_train.config import SftConfig
    from ta_train.recipe import load_recipe
    from ta_train.sft import sft
    recipe = load_recipe("cpu-smollm2", SftConfig)
    adapter = sft(recipe, Path("runs/linux-cli/dataset"), Path("runs/linux-cli/adapter"))

In: a `dataset` artifact. Out: an `adapter` artifact. On the command line: `ta-train sft`.
"""

import os

# With OpenMP threads that spin for ever a second busy process slowed a step from 3 s to 55 s. A short spin
# costs a third at most on a busy machine and gains a third on an idle one (two cores, measured November 2026).
# Must stand before torch is imported; who sets them keeps the last word.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "4000")

PRODUCER = "ta-train 0.1.0"
