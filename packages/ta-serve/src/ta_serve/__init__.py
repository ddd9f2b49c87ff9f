"""Answer messages with a base model or a tuned artifact: chat, batches, streams.

    from ta_serve.open import open_engine
    engine = open_engine(Path("runs/linux-cli/adapter"))
    engine.generate([[{"role": "user", "content": "How do I list hidden files?"}]], max_tokens=64)

On the command line: `ta-serve chat`, `ta-serve generate`.
"""

import os

GIVEN_SPIN = os.environ.get("GOMP_SPINCOUNT")
"""What the user set; None where it is for us to choose."""

# OpenMP threads that spin for ever starve a second busy process: 14 tokens/s became 1.9. A short spin costs it
# a third at most and gains a third on an idle machine (two cores, measured November 2026).
# Must stand before torch is imported; who sets them keeps the last word.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "4000")
