"""`python -m ta_train`: what torchrun and accelerate start in every process."""

import os
from contextlib import redirect_stdout
from pathlib import Path

from ta_train.cli import main
from ta_train.processes import is_first

if __name__ == "__main__":
    if is_first():
        main()
    else:  # one process reports the result
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            main()
