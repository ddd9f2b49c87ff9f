"""`ta-train merge`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ta_schemas.errors import InputError

app = typer.Typer()


@app.command("merge")
def merge_command(
    adapters: Annotated[list[Path], typer.Argument(help="Adapter artifacts over one base model.")],
    out: Annotated[Path, typer.Option(help="Where the model artifact is sealed.")],
    method: Annotated[
        str, typer.Option(help="How several are combined: linear, svd, ties, dare_linear or dare_ties.")
    ] = "linear",
    weights: Annotated[
        str, typer.Option(metavar="W,W,…", help="One an adapter, such as 0.7,0.3. Default: equal.")
    ] = "",
    density: Annotated[
        float | None, typer.Option(help="Share of entries that ties and dare keep. Default: 0.5.")
    ] = None,
    seed: Annotated[int, typer.Option(help="What dare drops is random.")] = 42,
    dtype: Annotated[
        str, typer.Option(help="What is stored: float32, float16, bfloat16; auto: as the base model.")
    ] = "auto",
    base_model: Annotated[
        str, typer.Option(help="The base model's folder, if it is not where it was at training.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace what stands at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Merge adapters into their base model; the saved weights are checked against the adapted model.

    Example: `ta-train merge runs/linux-cli/adapter --out runs/linux-cli/model`
    """
    from pydantic import ValidationError

    from ta_train.merge.inputs import MergeConfig
    from ta_train.merge.merge import merge

    try:
        config = MergeConfig.model_validate(
            {
                "method": method,
                "weights": [weight for weight in weights.split(",") if weight],
                "density": density,
                "seed": seed,
                "dtype": dtype,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"--{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None
    model = merge(config, adapters, out, base_model=base_model, replace=force)
    metrics = model.manifest.metrics
    if as_json:
        print(json.dumps({"path": str(model.path), "digest": model.digest, "metrics": metrics}))
        return
    Console().print(
        f"the adapter moves the logits by {metrics['adapter_effect']:.2g}; the saved {metrics['dtype']} model "
        f"is {metrics['logit_difference']:.2g} away from them (allowed: {metrics['logit_tolerance']})\n"
        f"model: {model.path}"
    )
