"""`ta-train launch`: a training command in several processes, on one machine or several."""

from typing import Annotated

import typer

from ta_schemas import InputError

app = typer.Typer()


@app.command("launch", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def launch_command(
    arguments: Annotated[list[str], typer.Argument(help="A training command with its options: sft … --out …")],
    preset: Annotated[str, typer.Option(help="ddp, multi-node, fsdp2 or zero3.")] = "ddp",
    processes: Annotated[int, typer.Option(min=0, help="On this machine; 0: one for each GPU.")] = 0,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    node: Annotated[int, typer.Option(min=0, help="The number of this one, from 0.")] = 0,
    address: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where node 0 is reached.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command and its configuration, run nothing.")
    ] = False,
) -> None:
    """Train in several processes: the same loss as one process with the same rows a step.

    Example: `ta-train launch --processes 2 sft runs/linux-cli/dataset --out runs/linux-cli/adapter`
    """
    from ta_train.launch.launch import launch, plan
    from ta_train.recipe import CONFIGS

    if arguments[0] not in CONFIGS:
        raise InputError(f"launch {arguments[0]}: expected a training command: {', '.join(CONFIGS)}")
    planned = plan(preset, arguments, processes=processes or _gpus(), nodes=nodes, node=node, address=address)
    if not dry_run:
        launch(planned)
        return
    if planned.config_file:
        print(f"# {planned.config_file}\n{planned.config_text}")
    print(planned)


def _gpus() -> int:
    import torch

    found = int(torch.cuda.device_count())
    if not found:
        raise InputError("--processes: there is no GPU here to count: say how many")
    return found
