"""Training on a CUDA GPU: Unsloth beside TRL, ours beside TRL, the embedded recipe; no network.

    uv run just bench-gpu                       # all parts, about 20 minutes on a data-centre GPU
    uv run just bench-gpu --parts embedded      # one of: qlora-8b, lora-1b, lora-8b, embedded
    uv run just bench-gpu --rehearse            # the same code on tiny models on a CPU: does it run?

The 1B and 8B models have the shapes of Llama 3 and random weights, made here once: speed and memory depend on
shapes, not on what was learned. Every variant runs in a process of its own, on the same rows in the same order.
tokens/s: tokens of the rows, padding not counted, over the seconds of a step, without the first step. peak:
what torch's allocator held at most (on a CPU: the process). TRL as it comes trains every token, ta-train what
the assistant says.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track


@dataclass(frozen=True)
class Shape:
    """A Llama's sizes."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    width: int
    vocabulary: int


ONE_B = Shape(2048, 16, 32, 8, 8192, 128_256)
EIGHT_B = Shape(4096, 32, 32, 8, 14_336, 128_256)
TINY = Shape(64, 2, 4, 2, 128, 49_152)


@dataclass(frozen=True)
class Variant:
    """A row of a table."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    """Keys of our configuration."""
    trl: dict[str, Any] | None = None
    """What is set in TRL's SFTConfig, where the variant is TRL's SFTTrainer as it comes; None: ours."""


@dataclass(frozen=True)
class Part:
    """A table."""

    title: str
    shape: Shape | None
    """None: the embedded model."""
    length: int
    batch_size: int
    config: dict[str, Any]
    variants: list[Variant]


PLAIN = Variant("TRL as it comes", trl={})
NO_CHECKPOINTING = {"gradient_checkpointing": False}
FLASH = {"packing": True, "attention": "flash_attention_2"}
PARTS = {
    "qlora-8b": Part(
        "QLoRA (NF4, rank 16), 8B",
        EIGHT_B,
        512,
        4,
        {"quantization": "nf4", "gradient_checkpointing": True},
        [PLAIN, Variant("ta-train, backend trl"), Variant("ta-train, backend unsloth", {"backend": "unsloth"})],
    ),
    "lora-1b": Part(
        "LoRA (bf16, rank 16), 1B",
        ONE_B,
        512,
        16,
        {},
        [
            PLAIN,
            Variant("TRL, no checkpointing", trl=NO_CHECKPOINTING),
            Variant("ta-train"),
            Variant("ta-train, packed", FLASH),
        ],
    ),
    "lora-8b": Part(
        "LoRA (bf16, rank 16), 8B",
        EIGHT_B,
        512,
        4,
        {"gradient_checkpointing": True},
        [PLAIN, Variant("ta-train"), Variant("ta-train, packed", FLASH)],
    ),
    "embedded": Part(
        "the embedded model and its rows",
        None,
        0,
        8,
        {},
        [PLAIN, Variant("TRL, no checkpointing", trl=NO_CHECKPOINTING), Variant("ta-train")],
    ),
}


def make_model(shape: Shape, folder: Path, device: str) -> None:
    """A Llama with random weights in bfloat16 and the embedded model's tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, set_seed

    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer

    tokenizer = load_tokenizer(resolve("smollm2-135m-instruct"))
    set_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        intermediate_size=shape.width,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def child(part: Part, variant: Variant, options: argparse.Namespace) -> dict[str, Any]:
    """Train in this process and say what it took."""
    from ta_train.config import SftConfig
    from ta_train.machine import check_machine

    config = SftConfig(
        **{"base_model": str(options.model), **part.config, **variant.config},
        device=options.device,
        batch_size=part.batch_size,
        max_steps=options.steps,
        max_length=2048,
        learning_rate=2e-4,
        eval_points=1,
        eval_rows=1,
        save_every=10_000,
    )
    check_machine(config)
    if config.backend == "unsloth":  # it replaces parts of transformers, so it comes first
        from ta_train.models.unsloth_model import import_unsloth, load_with_adapter

        import_unsloth(config)
    else:
        from ta_train.models.load import load_with_adapter
    import torch
    from measure import Clock, batches, ours, plain_trl

    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer

    base = resolve(config.base_model)
    tokenizer = load_tokenizer(base)
    rows = batches(options.dataset, tokenizer, config, length=part.length)
    model = load_with_adapter(config, base)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        if variant.trl is None:
            losses = ours(config, model, tokenizer, rows, Path(folder), clock)
        else:
            everything = [row._replace(labels=list(row.input_ids)) for row in rows]  # TRL's default: all tokens
            losses = plain_trl(config, model, tokenizer, everything, Path(folder), clock, variant.trl)
    gpu = torch.cuda.is_available() and options.device == "cuda"
    peak = (
        torch.cuda.max_memory_reserved() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return clock.rates([len(row.input_ids) for row in rows], part.batch_size) | {
        "peak_gb": peak / 1e9,
        "losses": losses,
    }


def measured(part: str, variant: int, options: argparse.Namespace, model: str) -> dict[str, Any]:
    """One variant in a process of its own; `error` where it could not run."""
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--child", f"{part},{variant}", "--model", model),
            *("--steps", str(options.steps), "--dataset", str(options.dataset), "--device", options.device),
            *(["--rehearse"] if options.rehearse else []),
        ],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        print(done.stderr, file=sys.stderr)
        return {"error": lines[-1][:110]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def embedded_recipe(options: argparse.Namespace, folder: Path) -> None:
    """The recipe of the main job by its own command: seconds and validation loss."""
    out = folder / "adapter"
    command = [sys.executable, "-m", "ta_train", "sft", str(options.dataset), "--out", str(out), "--json"]
    command += ["--set", f"device={options.device}", *(["--max-steps", "3"] if options.rehearse else [])]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"the embedded recipe failed: {done.stderr.strip().splitlines()[-1]}\n")
        return
    metrics = json.loads(done.stdout)["metrics"]
    print(
        f"**The recipe of the main job** on {options.device}: {time.monotonic() - started:.0f} s from the "
        f"command to the sealed adapter, {metrics['steps']} steps, validation loss "
        f"{metrics['validation_loss']:.3f}; the README has the CPU's figures.\n"
    )


def show(part: Part, found: list[dict[str, Any]]) -> None:
    """Print a part's table."""
    length = f", rows of about {part.length} tokens" if part.length else ""
    print(f"**{part.title}**: batches of {part.batch_size}{length}\n")
    print("| | tokens/s | against the first | peak GB | against the first | loss, first and last step |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    first = found[0]
    for variant, run in zip(part.variants, found, strict=True):
        if "error" in run:
            print(f"| {variant.name} | {run['error']} | | | | |")
            continue
        against = ("", "")
        if "error" not in first:
            ratios = (run[key] / first[key] for key in ("tokens_per_s", "peak_gb"))
            against = tuple(f"{ratio:.2f}" for ratio in ratios)  # type: ignore[assignment]
        losses = f"{run['losses'][0]:.3f} → {run['losses'][-1]:.3f}"
        speed, peak = f"{run['tokens_per_s']:.0f}", f"{run['peak_gb']:.1f}"
        print(f"| {variant.name} | {speed} | {against[0]} | {peak} | {against[1]} | {losses} |")
    print()


def main() -> None:
    """Run the parts and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated names")
    parser.add_argument("--dataset", type=Path, default=Path("runs/bench/dataset"))
    parser.add_argument(
        "--models", type=Path, default=Path("runs/bench/models"), help="where random models lie"
    )
    parser.add_argument("--steps", type=int, default=12, help="optimizer steps a run")
    parser.add_argument("--rehearse", action="store_true", help="tiny models on a CPU")
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rehearse:
        options.device = "cpu"
        options.steps = min(options.steps, 3)
    if options.child:
        name, variant = options.child.split(",")
        part = PARTS[name]
        print(json.dumps(child(part, part.variants[int(variant)], options)))
        return
    wanted = options.parts.split(",")
    for name in wanted:
        if name not in PARTS:
            sys.exit(f"unknown part {name!r}: choose from {', '.join(PARTS)}")
    import torch

    if not options.rehearse and not torch.cuda.is_available():
        sys.exit("bench-gpu needs a CUDA GPU, torch sees none here: --rehearse tries the code on tiny models")
    print(heading(options))
    folders = {None: "smollm2-135m-instruct"}
    for name in wanted:
        part = PARTS[name]
        if part.shape not in folders:
            folder = options.models / ("tiny" if options.rehearse else name.split("-")[-1])
            if not (folder / "config.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                make_model(TINY if options.rehearse else part.shape, folder, options.device)  # type: ignore[arg-type]
            folders[part.shape] = str(folder)
        jobs = track(range(len(part.variants)), name, console=Console(stderr=True))
        show(part, [measured(name, i, options, folders[part.shape]) for i in jobs])
    if "embedded" in wanted:
        with tempfile.TemporaryDirectory() as folder_name:
            embedded_recipe(options, Path(folder_name))


def heading(options: argparse.Namespace) -> str:
    """Date, device, versions."""
    import torch

    device = "a rehearsal on a CPU" if options.rehearse else torch.cuda.get_device_name()
    found = []
    for name in ("torch", "transformers", "trl", "peft", "bitsandbytes", "unsloth"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return f"{date.today()}, {device}, {', '.join(found)}; {options.steps} steps a run\n"


if __name__ == "__main__":
    main()
