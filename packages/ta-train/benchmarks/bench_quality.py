"""Is a model tuned by the fast engine as good as one tuned by TRL's? Several seeds a side, the same rows.

    uv run just bench-quality                        # two hours on two cores; goes on where it stopped
    uv run just bench-quality --seeds 2 --steps 10

Each seed has its own initial adapter and its own order of the rows, the same for both engines. Validation loss
is over 32 rows that were not trained; the benchmark is answered greedily and scored by ta-eval. The interval is
Student's t over the differences of the seeds (95 %).
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

ENGINES = ("trl", "fast")
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t, two-sided 95 %, by degrees of freedom (any table; NIST handbook 1.3.6.7.2)."""


def measured(engine: str, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Train, answer, score; each step is skipped where its result lies there already."""
    folder = options.out / f"{engine}-{seed}-{options.steps}"
    folder.mkdir(parents=True, exist_ok=True)
    adapter, answers, scores = folder / "adapter", folder / "answers.jsonl", folder / "scores"
    train = ["ta-train", "sft", str(options.dataset), "--out", str(adapter), "--seed", str(seed), "--json"]
    train += ["--max-steps", str(options.steps), "--set", f"engine={engine}", "--set", "dtype=float32"]
    train += [
        "--set",
        f"threads={options.threads}",
        *(["--resume"] if adapter.with_suffix(".work").exists() else []),
    ]
    metrics = run(train)["metrics"]
    if not answers.exists():
        run(
            [
                "ta-serve",
                "generate",
                str(adapter),
                "--in",
                str(options.benchmark),
                "--out",
                str(answers),
                "--json",
            ]
        )
    summary = run(["ta-eval", "score", str(answers), str(options.benchmark), "--out", str(scores), "--json"])
    return {
        "validation loss": metrics["validation_loss"],
        "benchmark, %": 100 * summary["accuracy"]["estimate"],
    }


def run(command: list[str]) -> dict[str, Any]:
    """A command's JSON answer; its error ends this script."""
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run([str(program), *command[1:]], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Run every seed on both sides and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("runs/bench/dataset"))
    parser.add_argument("--benchmark", type=Path, default=Path("data/linux-cli/benchmark.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench/quality"))
    parser.add_argument("--seeds", type=int, default=5, help="2 to 10")
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps of the default recipe")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    jobs = [(engine, seed) for seed in range(1, options.seeds + 1) for engine in ENGINES]
    found = {job: measured(*job, options) for job in track(jobs, "training", console=Console(stderr=True))}
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "trl", "peft"))
    print(f"{date.today()}, {options.steps} steps, float32, {libraries}\n")
    measures = list(found[jobs[0]])
    print("| seed | " + " | ".join(f"{measure}: TRL | fast" for measure in measures) + " |")
    print("| --- |" + " ---: |" * (2 * len(measures)))
    for seed in range(1, options.seeds + 1):
        cells = [f"{found[engine, seed][measure]:.4g}" for measure in measures for engine in ENGINES]
        print(f"| {seed} | " + " | ".join(cells) + " |")
    print()
    for measure in measures:
        differences = [
            found["fast", seed][measure] - found["trl", seed][measure] for seed in range(1, options.seeds + 1)
        ]
        mean = statistics.mean(differences)
        half = T_95[len(differences) - 1] * statistics.stdev(differences) / math.sqrt(len(differences))
        print(f"{measure}: fast minus TRL {mean:+.4g} ({mean - half:+.4g} to {mean + half:+.4g})")


if __name__ == "__main__":
    main()
