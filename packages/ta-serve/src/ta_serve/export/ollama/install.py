"""The model in an Ollama that is installed here."""

import shutil
import subprocess
from pathlib import Path

from ta_schemas import Artifact, InputError, SetupError
from ta_serve.export.ollama.modelfile import read_modelfile


def create_and_ask(artifact: Path, name: str, message: str, *, timeout_s: float = 600) -> str:
    """`ollama create`, then one question; gives the answer.

    Raises SetupError without `ollama` or where it fails, InputError for an artifact without a Modelfile.
    """
    Artifact.open(artifact, kind="gguf")
    file = artifact / "Modelfile"
    if not file.exists():
        raise InputError(f"{artifact}: no Modelfile in it: its manifest says why (metrics.notes)")
    read_modelfile(file)
    program = shutil.which("ollama")
    if program is None:
        raise SetupError(f"ollama is not installed: install it, then: ollama create {name} -f {file}")
    _run([program, "create", name, "-f", str(file)], timeout_s)
    return _run([program, "run", name, message], timeout_s)


def _run(command: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise SetupError(f"{' '.join(command[:2])}: no answer within {timeout_s:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise SetupError(f"{' '.join(command[:2])}: {said[-1]}: is 'ollama serve' running?")
    return done.stdout.strip()
