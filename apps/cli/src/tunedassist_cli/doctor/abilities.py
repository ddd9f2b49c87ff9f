"""What will work here: each ability with what it needs, looked up among the findings."""

from collections.abc import Sequence
from typing import NamedTuple

from tunedassist_cli.doctor.finding import Finding

MAIN_JOB = ("tunedassist run: data, tuning, comparison", "tunedassist run linux-cli")

NEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    MAIN_JOB: (
        "ta-data", "ta-train", "ta-eval", "ta-serve", "ta-serve[transformers]", "embedded base model",
        "python", "memory", "disk: runs", "disk: cache of converted models",
    ),
    ("export to GGUF, and serving it", "tunedassist serve export RUN/adapter --out RUN/gguf"): (
        "ta-serve", "ta-serve[export]", "ta-serve[llama-cpp]", "ta-serve[transformers]",
    ),
    ("the guard, and attacks", "tunedassist redteam linux-cli"): ("ta-safety",),
    ("the API app", "tunedassist-api --model RUN/gguf --guard DOMAIN"): (
        "tunedassist-api", "tunedassist-api[llama-cpp]",
    ),
    ("the demo", "tunedassist-demo"): ("tunedassist-gradio-demo",),
    ("a release", "tunedassist release linux-cli"): ("tunedassist-cli[release]", "ta-train"),
    ("answers scored by running them", "tunedassist eval equivalent pairs.jsonl"): ("ta-eval", "bwrap"),
    ("a messy folder as data", "tunedassist data build FOLDER --out OUT"): (
        "ta-data[clean]", "ta-data[documents]",
    ),
    ("training on a GPU", "tunedassist train recipes"): ("ta-train", "gpu"),
    ("QLoRA", "tunedassist train sft DATASET --set quantization=nf4 --out OUT"): ("ta-train[qlora]",),
}  # fmt: skip


class Ability(NamedTuple):
    """Something a person wants to do."""

    name: str
    command: str
    works: bool
    lacks: list[str]
    fixes: list[str]


def abilities(findings: Sequence[Finding]) -> list[Ability]:
    """Each ability, and what is missing for it; an extra of a package that is not installed is missing, too."""
    known = {finding.name: finding for finding in findings}
    result = []
    for (name, command), needed in NEEDS.items():
        lacking = [need for need in needed if need not in known or known[need].state != "ok"]
        fixes = [known[need].fix if need in known else f"pip install '{need}'" for need in lacking]
        result.append(
            Ability(name, command, not lacking, lacking, [fix for fix in dict.fromkeys(fixes) if fix])
        )
    return result
