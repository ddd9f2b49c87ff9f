"""The estimate of `ta-train estimate` beside what the run then took, for the CPU recipes.

    uv run python packages/ta-train/benchmarks/bench_estimate.py --dataset runs/bench/dataset
    uv run python packages/ta-train/benchmarks/bench_estimate.py --cases 0,4 --steps 20

Every case estimates and trains in a process of its own; the peak is the most memory that the process held
(VmHWM), the time is that of the steps but the first. The same configuration is estimated, steps included.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from ta_schemas import Artifact, ArtifactWriter, read_jsonl, write_jsonl
from ta_schemas.rows import ConversationRow, PreferenceRow
from ta_train.processor import processor_name


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    recipe: str
    changes: tuple[str, ...] = ()
    rows: str = "dataset"
    """`dataset`, `long` (conversations joined to about 1,500 characters) or `pairs`."""


CHECKPOINTING = "gradient_checkpointing=true"
CASES = [
    Case("cpu-tiny"),
    Case("cpu-smollm2"),
    Case("cpu-smollm2", ("batch_size=2",)),
    Case("cpu-smollm2", ("batch_size=16",)),
    Case("cpu-smollm2", (CHECKPOINTING,)),
    Case("cpu-smollm2", ("batch_size=16", CHECKPOINTING)),
    Case("cpu-smollm2", ("lora_rank=64",)),
    Case("cpu-smollm2", ("batch_size=4", "max_length=1024"), rows="long"),
    Case("cpu-smollm2-long"),
    Case("cpu-smollm2", ("engine=trl",)),
    Case("cpu-smollm2", ("engine=trl", "batch_size=2")),
    Case("cpu-smollm2", ("engine=trl", "batch_size=16")),
    Case("cpu-smollm2", ("engine=trl", CHECKPOINTING)),
    Case("cpu-smollm2", ("engine=trl", "batch_size=16", CHECKPOINTING)),
    Case("cpu-smollm2", ("engine=trl", "batch_size=4", "max_length=1024"), rows="long"),
    Case("cpu-smollm2", ("engine=trl", "attention=eager")),
    Case("cpu-smollm2", ("tuning=full", "learning_rate=1e-4")),
    Case("cpu-smollm2", ("tuning=full", "learning_rate=1e-4", "batch_size=2")),
    Case("cpu-smollm2", ("tuning=full", "learning_rate=1e-4", CHECKPOINTING)),
    Case("cpu-smollm2", ("quantization=nf4", "batch_size=2")),
    Case("cpu-smollm2-dpo", rows="pairs"),
    Case("cpu-smollm2-dpo", ("engine=transformers",), rows="pairs"),
    Case("cpu-smollm2-orpo", rows="pairs"),
    Case("cpu-smollm2-kto", rows="pairs"),
]


def child(case: Case, data: Path, out: Path, steps: int, threads: int) -> dict[str, Any]:
    """Estimate, then train, in this process."""
    from ta_train.estimate.estimate import estimate
    from ta_train.estimate.probe import Job, trained
    from ta_train.recipe import load_recipe, recipe_method

    changes = [*case.changes, f"max_steps={steps}", "eval_points=1", "eval_rows=4", "save_every=1000"]
    changes.append(f"threads={threads}")
    config = load_recipe(case.recipe, recipe_method(case.recipe), changes)
    found = estimate(config, data)
    values = config.model_dump(exclude_unset=True)
    took = trained(Job(method=config.method, config=values, data=data, adapter=None, out=out))
    first = found.operations.steps[0]
    return {
        "estimated": found.memory._asdict(),
        "batch": found.batch._asdict(),
        "engine": found.engine,
        "peak": took.peak_bytes,
        "estimated_s": (sum(found.operations.steps) - first) / found.rate,
        "seconds": took.seconds,
        "tokens_per_s": took.tokens_per_s,
    }


def measured(number: int, data: dict[str, Path], steps: int, threads: int) -> dict[str, Any]:
    """One case in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, __file__, "--child", str(number), "--dataset", str(data[CASES[number].rows])]
        command += ["--out", f"{out}/run", "--steps", str(steps), "--threads", str(threads)]
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def prepared(dataset: Path, folder: Path) -> dict[str, Path]:
    """The dataset, one of long rows and one of preference pairs, both made of its rows."""
    source = Artifact.open(dataset, kind="dataset")
    made = {"dataset": dataset, "long": folder / "long", "pairs": folder / "pairs"}
    splits = {s: list(read_jsonl(source.file(f"{s}.jsonl"), ConversationRow)) for s in ("train", "validation")}
    with ArtifactWriter(made["long"], kind="dataset", producer="bench", config={}) as writer:
        for split, rows in splits.items():
            write_jsonl(writer.path / f"{split}.jsonl", joined(rows))
    with ArtifactWriter(made["pairs"], kind="preferences", producer="bench", config={}) as writer:
        for split, rows in splits.items():
            write_jsonl(writer.path / f"{split}.jsonl", paired(rows))
    return made


def joined(rows: list[ConversationRow]) -> list[ConversationRow]:
    """Conversations one after another until they have 1,500 characters, at most 64 of them."""
    out: list[ConversationRow] = []
    messages: list[Any] = []
    for row in rows:
        messages += [m for m in row.messages if m.role != "system" or not messages]
        if sum(len(m.content) for m in messages) > 1500:
            out.append(ConversationRow(id=f"joined-{len(out)}", task=f"joined-{len(out)}", messages=messages))
            messages = []
    return out[:64]


def paired(rows: list[ConversationRow]) -> list[PreferenceRow]:
    """Each answer against that to another question, at most 96 pairs."""
    rng = random.Random(0)
    some = rng.sample([row for row in rows if row.messages[-1].role == "assistant"], min(97, len(rows)))
    return [
        PreferenceRow(id=a.id, prompt=a.messages[:-1], chosen=[a.messages[-1]], rejected=[b.messages[-1]])
        for a, b in pairwise(some)
        if a.messages[-1].content.strip() != b.messages[-1].content.strip()
    ]


def main() -> None:
    """Run the cases and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("runs/bench/dataset"))
    parser.add_argument("--steps", type=int, default=4, help="optimizer steps a run")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument("--cases", default="", help="comma-separated numbers of the cases, from 0; all")
    parser.add_argument("--raw", type=Path, help="append what was found to this JSONL file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(
            json.dumps(
                child(CASES[options.child], options.dataset, options.out, options.steps, options.threads)
            )
        )
        return
    wanted = [int(n) for n in options.cases.split(",") if n] or list(range(len(CASES)))
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = prepared(options.dataset, Path(folder))
        for number in track(wanted, "measuring", console=Console(stderr=True)):
            found[number] = measured(number, data, options.steps, options.threads)
            if options.raw:
                with options.raw.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"case": number, "steps": options.steps} | found[number]) + "\n")
    libraries = ", ".join(f"{n} {version(n)}" for n in ("torch", "trl", "transformers", "peft"))
    print(f"{date.today()}, {processor_name()}, {os.cpu_count()} threads, {libraries}; {options.steps} steps\n")
    print("| recipe | engine | estimated MB | measured MB | off by | estimated s | measured s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    errors = []
    for number, case in found.items():
        peak = sum(case["estimated"].values())
        errors.append(abs(peak / case["peak"] - 1))
        name = ", ".join([CASES[number].recipe, *CASES[number].changes])
        if CASES[number].rows == "long":
            name += ", rows of about 400 tokens"
        print(
            f"| {name} | {case['engine']} | {peak / 1e6:,.0f} | {case['peak'] / 1e6:,.0f} "
            f"| {peak / case['peak'] - 1:+.1%} | {case['estimated_s']:.0f} | {case['seconds']:.0f} |"
        )
    print(f"\nmemory off by {statistics.mean(errors):.1%} in the mean, {max(errors):.1%} at most")


if __name__ == "__main__":
    main()
