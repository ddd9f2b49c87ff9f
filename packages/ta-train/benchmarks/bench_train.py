"""Tokens per second of supervised fine-tuning on this processor: our engine beside TRL's trainer, in one run.

    uv run just bench-train            # about half an hour on two cores
    uv run just bench-train --rounds 1 --steps 3 --tables 0

Every variant trains the embedded model (LoRA, rank 16, all linear layers) from the same initial adapter on the
same rows in the same order, in a process of its own; rounds are interleaved, so that a slow minute hits all of
them. tokens/s: tokens of the rows (padding not counted, a shared prefix counted in every row) over the seconds
of a step, optimizer included, without the first step. The loss column is the largest difference to the loss of
TRL in fp32 without checkpointing (where it is not in the table: of the second variant) at the same step.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from ta_train.processor import cpu_has_bfloat16, processor_name

SPIN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
NATIVE = cpu_has_bfloat16()
DTYPE = "bfloat16" if NATIVE else "float32"
FAST = {"engine": "fast", "dtype": DTYPE}


@dataclass(frozen=True)
class Variant:
    """A row of the table."""

    name: str
    trl: dict[str, Any] | None = None
    """What is set in TRL's SFTConfig, where the variant is TRL's SFTTrainer as it comes; None: ours."""
    threads: int = 0
    """0: as many as there are."""
    without: str = ""
    """A lever of the fast engine that is taken out (`levers.py`)."""
    spin: str = "short"
    """`short`: what ta-train sets; `libgomp`: the library's default."""
    busy: bool = False
    """Whether another process keeps one core busy meanwhile."""


@dataclass(frozen=True)
class Rows:
    """The shape of the rows."""

    name: str
    variants: list[Variant]
    system_prompt: str = ""
    """In place of the domain's, to make rows shorter; empty: the domain's."""
    length: int = 0
    """Tokens a row: conversations of the dataset are joined until they reach it; 0 leaves them alone."""
    trained_share: float = 1.0
    """Share of the tokens trained at most: the last ones of each row; 1 leaves the labels alone."""
    batch_size: int = 8
    steps: int = 0
    """0: as many as the command line says."""
    rounds: int = 0
    """0: as many as the command line says."""


EMULATED = "" if NATIVE else ", emulated here"
DEFAULTS = Variant(f"TRL as it comes (bf16{EMULATED}, checkpointing)", {})
BF16 = Variant(f"TRL, bf16{EMULATED}, no checkpointing", {"gradient_checkpointing": False})
FP32_SAVING = Variant("TRL, fp32, checkpointing", {"bf16": False})
FP32 = Variant("TRL, fp32, no checkpointing", {"bf16": False, "gradient_checkpointing": False})
FAST = Variant(f"fast ({DTYPE})")
# A product in emulated bfloat16 takes about 40 times as long: one small table shows it, the others do without.
SLOW, WELL_SET = (DEFAULTS, BF16) if NATIVE else (FP32_SAVING, FP32)
USUAL = [SLOW, WELL_SET, FAST]
TABLES = [
    Rows("the domain's rows", variants=USUAL),
    Rows("the domain's rows, one thread", variants=[replace(v, threads=1) for v in USUAL]),
    Rows("the domain's rows, 16 % of the tokens trained", trained_share=0.16, variants=USUAL),
    Rows(
        "rows without the domain's long system prompt", system_prompt="Answer with one command.", variants=USUAL
    ),
    Rows("rows of 512 tokens", length=512, batch_size=2, variants=USUAL),
    Rows(
        "what each lever gives",
        variants=[
            FAST,
            replace(FAST, name="without sharing prefixes", without="sharing"),
            replace(FAST, name="output layer over every position", without="head"),
            replace(FAST, name="torch's attention kernel", without="attention"),
            replace(FAST, name="a product a projection", without="fusing"),
            replace(FAST, name="autograd's gradients of LoRA, norm, SwiGLU", without="gradients"),
        ],
    ),
    Rows(
        "beside a busy process",
        variants=[
            replace(FAST, name="threads spin briefly, as ta-train sets it", busy=True),
            replace(FAST, name="libgomp's default", spin="libgomp", busy=True),
        ],
    ),
    Rows(
        "TRL's defaults, two rows a batch",
        batch_size=2,
        steps=2,
        rounds=1,
        variants=[DEFAULTS, BF16, FP32, FAST],
    ),
]


def child(dataset: Path, steps: int, rows: Rows, variant: Variant) -> dict[str, Any]:
    """Train in this process and say what it took."""
    if variant.spin == "libgomp":  # importing ta_train has set them; torch, which reads them, comes later
        for name in SPIN:
            os.environ.pop(name, None)
    import torch
    from measure import Clock, batches, ours, plain_trl

    from ta_train.config import SftConfig
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer, load_with_adapter

    config = SftConfig(
        engine="fast",
        device="cpu",
        dtype=DTYPE if variant.trl is None else "float32",  # TRL holds float32 and multiplies under autocast
        threads=variant.threads or (os.cpu_count() or 1),
        batch_size=rows.batch_size,
        max_steps=steps,
        eval_points=1,
        eval_rows=1,
        save_every=10_000,
    )
    torch.set_num_threads(config.threads)
    base = resolve(config.base_model)
    tokenizer = load_tokenizer(base)
    rendered = batches(
        dataset,
        tokenizer,
        config,
        system_prompt=rows.system_prompt,
        length=rows.length,
        trained_share=rows.trained_share,
    )
    model = load_with_adapter(config, base)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        if variant.trl is None:
            losses = ours(config, model, tokenizer, rendered, Path(folder), clock, without=variant.without)
        else:
            losses = plain_trl(config, model, tokenizer, rendered, Path(folder), clock, variant.trl)
    lengths = [len(r.input_ids) for r in rendered]
    return clock.rates(lengths, rows.batch_size) | {
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "losses": losses,
        "mean_length": statistics.mean(lengths),
        "trained_share": sum(label != -100 for r in rendered for label in r.labels) / sum(lengths),
    }


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
    parser.add_argument("--steps", type=int, default=6, help="optimizer steps a run, the first not counted")
    parser.add_argument("--tables", default="", help="comma-separated numbers of the tables, from 0; all")
    parser.add_argument("--verbose", action="store_true", help="show what the children print")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        table, variant = map(int, options.child.split(","))
        rows = TABLES[table]
        print(json.dumps(child(options.dataset, rows.steps or options.steps, rows, rows.variants[variant])))
        return
    wanted = [int(t) for t in options.tables.split(",") if t] or list(range(len(TABLES)))
    jobs = [
        (t, v)
        for turn in range(options.rounds)
        for t in wanted
        if not TABLES[t].rounds or turn < TABLES[t].rounds
        for v in range(len(TABLES[t].variants))
    ]
    found: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for table, variant in track(jobs, "measuring", console=Console(stderr=True)):
        found[table, variant].append(measured(table, variant, options))
    libraries = ", ".join(f"{n} {version(n)}" for n in ("torch", "trl", "transformers", "peft"))
    print(f"{date.today()}, {processor_name()}, {os.cpu_count()} threads, {libraries}; ", end="")
    print(f"median of {options.rounds} rounds of {options.steps} steps\n")
    for table in wanted:
        show(TABLES[table], [found[table, v] for v in range(len(TABLES[table].variants))])


def show(rows: Rows, found: list[list[dict[str, Any]]]) -> None:
    """Print one table."""
    shape = found[0][0]
    print(
        f"**{rows.name}**: batches of {rows.batch_size}, {shape['mean_length']:.0f} tokens a row, "
        f"{shape['trained_share']:.0%} of them trained\n"
    )
    print("| | tokens/s | against the first | against the second | tokens/CPU-s | peak GB | loss differs by |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")

    def middle(runs: list[dict[str, Any]], key: str) -> float:
        return float(statistics.median(run[key] for run in runs))

    first, second = (middle(runs, "tokens_per_s") for runs in found[:2])
    names = [v.name for v in rows.variants]
    reference = found[names.index(FP32.name) if FP32.name in names else 1][0]["losses"]
    for variant, runs in zip(rows.variants, found, strict=True):
        speed = middle(runs, "tokens_per_s")
        difference = max(abs(a - b) / a for a, b in zip(reference, runs[0]["losses"], strict=True))
        print(
            f"| {variant.name} | {speed:.3g} | {speed / first:.2f} | {speed / second:.2f} "
            f"| {middle(runs, 'tokens_per_cpu_s'):.3g} | {middle(runs, 'peak_gb'):.1f} | {difference:.2%} |"
        )
    print()


if __name__ == "__main__":
    main()
