"""Answer messages with a base model or a tuned artifact: chat, batches, streams.

    from ta_serve.open import open_engine
    engine = open_engine(Path("runs/linux-cli/adapter"))
    engine.generate([[{"role": "user", "content": "How do I list hidden files?"}]], max_tokens=64)

On the command line: `ta-serve chat`, `ta-serve generate`.
"""

import os

# Spinning OpenMP threads starve a second busy process: 14 tokens/s became 1.9 (measured November 2026).
# Must stand before torch is imported; who sets them keeps the last word.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
