"""A user's checkout of llama.cpp: its converter for families that are not ours."""

import subprocess
import sys
from pathlib import Path

from ta_schemas import InputError

CONVERTER = "convert_hf_to_gguf.py"


def check_checkout(checkout: Path) -> None:
    """InputError unless the converter is there."""
    if not (checkout / CONVERTER).is_file():
        raise InputError(f"--llama-cpp {checkout}: no {CONVERTER} in it: name a checkout of llama.cpp")


def convert_with(checkout: Path, folder: Path, out: Path) -> None:
    """Run the converter on a folder of safetensors. Raises InputError with its last line where it fails."""
    partial = out.with_name(f"{out.name}.partial")
    command = [sys.executable, str(checkout / CONVERTER), str(folder), "--outfile", str(partial)]
    done = subprocess.run([*command, "--outtype", "f16"], capture_output=True, text=True, check=False)
    if done.returncode or not partial.is_file():
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        partial.unlink(missing_ok=True)
        raise InputError(f"{checkout / CONVERTER}: exit code {done.returncode}: {said[-1]}")
    partial.replace(out)
