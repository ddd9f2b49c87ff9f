"""Tokens per second of supervised fine-tuning on this processor: our engine beside TRL's, in one run.

    uv run just bench-train            # about 15 minutes on two cores
    uv run just bench-train --rounds 1 --steps 3

Every variant trains the embedded model on the same rows in the same order, in a process of its own; rounds are
interleaved, so that a slow minute hits all of them. tokens/s: tokens of the rows (padding not counted, a shared
prefix counted in every row) over the seconds of a step, optimizer included, without the first step. The loss
column is the largest difference to TRL's loss at the same step.
"""

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from ta_train.processor import cpu_has_bfloat16, processor_name

SPIN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
DTYPE = "bfloat16" if cpu_has_bfloat16() else "float32"
TRL = {"engine": "trl", "dtype": DTYPE}
FAST = {"engine": "fast", "dtype": DTYPE}


@dataclass(frozen=True)
class Variant:
    """A row of the table."""

    name: str
    config: dict[str, Any]
    share: bool = True
    """Whether rows share their prefixes (fast engine)."""
    spin: str = "short"
    """`short`: what ta-train sets; `libgomp`: the library's default."""
    busy: bool = False
    """Whether another process keeps one core busy meanwhile."""


@dataclass(frozen=True)
class Rows:
    """The shape of the rows."""

    name: str
    length: int
    """Tokens a row: conversations of the dataset are joined until they reach it; 0 leaves them alone."""
    trained_share: float
    """Share of the tokens trained at most: the last ones of each row; 1 leaves the labels alone."""
    batch_size: int = 8
    variants: list[Variant] = field(default_factory=list)


DEFAULTS = Variant("TRL, its defaults", TRL | {"gradient_checkpointing": True})
WELL_SET = Variant("TRL, no checkpointing", TRL)
OURS = Variant("fast", FAST)
TABLES = [
    Rows(
        "the domain's rows, two threads",
        0,
        1.0,
        variants=[DEFAULTS, WELL_SET, Variant("fast, prefixes not shared", FAST, share=False), OURS],
    ),
    Rows(
        "the domain's rows, one thread",
        0,
        1.0,
        variants=[
            Variant(v.name, v.config | {"threads": 1}, share=v.share) for v in (DEFAULTS, WELL_SET, OURS)
        ],
    ),
    Rows("the domain's rows, 16 % of the tokens trained", 0, 0.16, variants=[DEFAULTS, WELL_SET, OURS]),
    Rows("512 tokens", 512, 1.0, batch_size=2, variants=[DEFAULTS, WELL_SET, OURS]),
    Rows(
        "beside a busy process",
        0,
        1.0,
        variants=[
            Variant("fast, threads spin briefly", FAST, busy=True),
            Variant("fast, libgomp's default", FAST, spin="libgomp", busy=True),
        ],
    ),
]


def child(dataset: Path, steps: int, rows: Rows, variant: Variant) -> dict[str, Any]:
    """Train in this process and say what it took."""
    if variant.spin == "libgomp":  # importing ta_train has set them; torch, which reads them, comes later
        for name in SPIN:
            os.environ.pop(name, None)
    from transformers import TrainerCallback

    import ta_train.fast.engine
    from ta_schemas import read_jsonl
    from ta_schemas.rows import ConversationRow
    from ta_train.base_model import resolve
    from ta_train.config import SftConfig
    from ta_train.fast.llama import FastLlama
    from ta_train.model import load_tokenizer, load_with_adapter
    from ta_train.order import training_order
    from ta_train.render import render_all
    from ta_train.run_log import RunLog
    from ta_train.trainer import build_trainer
    from ta_train.work import WorkFolder

    if not variant.share:
        ta_train.fast.engine.FastLlama = functools.partial(FastLlama, share=False)  # type: ignore[assignment,attr-defined]
    config = SftConfig(
        **variant.config,
        batch_size=rows.batch_size,
        max_steps=steps,
        order="shuffle",
        learning_rate=1e-3,
        eval_points=1,
        eval_rows=1,
        save_every=10_000,
    )
    base = resolve(config.base_model)
    tokenizer = load_tokenizer(base)
    conversations = list(read_jsonl(dataset / "train.jsonl", ConversationRow))
    if rows.length:
        conversations = joined(conversations, tokenizer, rows.length)
    rendered = [
        with_share(r, rows.trained_share) for r in render_all(conversations, tokenizer, max_length=2048)
    ]
    order = training_order(rendered, order="shuffle", epochs=1, batch_size=config.batch_size, seed=config.seed)
    rendered = [rendered[i] for i in order[: steps * config.batch_size]]
    times: list[tuple[float, float]] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append((time.monotonic(), time.process_time()))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            wall, cpu = times.pop()
            times.append((time.monotonic() - wall, time.process_time() - cpu))

    with tempfile.TemporaryDirectory() as folder:
        work = WorkFolder(Path(folder))
        log = RunLog(work.metrics_file, Console(quiet=True))
        model = load_with_adapter(config, base)
        trainer = build_trainer(config, model, tokenizer, rendered, rendered[:1], work, log)
        trainer.add_callback(Clock())
        trainer.train()
        lines = [json.loads(line) for line in work.metrics_file.read_text().splitlines()]
    steps_logged = [line for line in lines if "loss" in line]
    tokens = steps_logged[-1]["tokens"] - steps_logged[0]["tokens"]
    return {
        "tokens_per_s": tokens / sum(wall for wall, _ in times[1:]),
        "tokens_per_cpu_s": tokens / sum(cpu for _, cpu in times[1:]),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "losses": [line["loss"] for line in steps_logged],
    }


def joined(conversations: list[Any], tokenizer: Any, length: int) -> list[Any]:
    """Conversations joined into longer ones of about `length` tokens, one system prompt each."""
    from ta_schemas.rows import ConversationRow

    out: list[ConversationRow] = []
    messages: list[Any] = []
    size = 0
    for conversation in conversations:
        turns = [m for m in conversation.messages if m.role != "system" or not messages]
        added = sum(len(tokenizer(m.content).input_ids) + 5 for m in turns)
        if messages and size + added > length:
            out.append(ConversationRow(id=f"joined-{len(out)}", messages=messages))
            messages, size = list(conversation.messages), added
        else:
            messages, size = [*messages, *turns], size + added
    return out


def with_share(rendered: Any, share: float) -> Any:
    """At most this share of a row's tokens trained: its last ones."""
    trained = [i for i, label in enumerate(rendered.labels) if label != -100]
    kept = set(trained[-max(1, round(share * len(rendered.labels))) :])
    return rendered._replace(labels=[label if i in kept else -100 for i, label in enumerate(rendered.labels)])


def measured(table: int, variant: int, options: argparse.Namespace) -> dict[str, Any]:
    """One variant in a process of its own."""
    chosen = TABLES[table].variants[variant]
    environment = {k: v for k, v in os.environ.items() if k not in SPIN}
    busy = None
    if chosen.busy:
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = subprocess.run(
            [
                *(sys.executable, __file__, "--child", f"{table},{variant}"),
                *("--steps", str(options.steps), "--dataset", str(options.dataset)),
            ],
            env=environment | {"HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            stderr=None if options.verbose else subprocess.DEVNULL,
            text=True,
            check=True,
        )
    finally:
        if busy:
            busy.kill()
            busy.wait()
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run the rounds and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("runs/bench/dataset"))
    parser.add_argument("--rounds", type=int, default=3, help="how often each variant runs")
    parser.add_argument("--steps", type=int, default=7, help="optimizer steps a run, the first not counted")
    parser.add_argument("--tables", default="", help="comma-separated numbers of the tables, from 0; all")
    parser.add_argument("--verbose", action="store_true", help="show what the children print")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        table, variant = map(int, options.child.split(","))
        rows = TABLES[table]
        print(json.dumps(child(options.dataset, options.steps, rows, rows.variants[variant])))
        return
    wanted = [int(t) for t in options.tables.split(",") if t] or list(range(len(TABLES)))
    jobs = [(t, v) for _ in range(options.rounds) for t in wanted for v in range(len(TABLES[t].variants))]
    found: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for table, variant in track(jobs, "measuring", console=Console(stderr=True)):
        found[table, variant].append(measured(table, variant, options))
    libraries = ", ".join(f"{n} {version(n)}" for n in ("torch", "trl", "transformers", "peft"))
    print(f"{date.today()}, {processor_name()}, {os.cpu_count()} threads, {DTYPE}, {libraries}; ", end="")
    print(f"median of {options.rounds} rounds of {options.steps} steps\n")
    for table in wanted:
        show(TABLES[table], [found[table, v] for v in range(len(TABLES[table].variants))])


def show(rows: Rows, found: list[list[dict[str, Any]]]) -> None:
    """Print one table."""
    print(f"**{rows.name}**, batches of {rows.batch_size}\n")
    print("| | tokens/s | against the first | against the second | tokens/CPU-s | peak GB | loss differs by |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")

    def middle(runs: list[dict[str, Any]], key: str) -> float:
        return float(statistics.median(run[key] for run in runs))

    first, second = (middle(runs, "tokens_per_s") for runs in found[:2])
    for variant, runs in zip(rows.variants, found, strict=True):
        speed = middle(runs, "tokens_per_s")
        difference = max(abs(a - b) / a for a, b in zip(found[1][0]["losses"], runs[0]["losses"], strict=True))
        print(
            f"| {variant.name} | {speed:.0f} | {speed / first:.2f} | {speed / second:.2f} "
            f"| {middle(runs, 'tokens_per_cpu_s'):.0f} | {middle(runs, 'peak_gb'):.1f} | {difference:.2%} |"
        )
    print()


if __name__ == "__main__":
    main()
