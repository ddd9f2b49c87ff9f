"""Start a run in several processes: a preset becomes a torchrun or accelerate command (`ta-train launch`)."""

import hashlib
import importlib.resources
import importlib.util
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ta_schemas import InputError, SetupError
from ta_schemas.errors import Stopped
from ta_train.models.base_model import cache_folder
from ta_train.processes import ASKED_PROCESSES, ASKED_SHARDING

SHUTDOWN_S = 600
"""How long after Ctrl-C the processes may take for their step and checkpoint before they are killed."""


class Preset(BaseModel):
    """A way to spread a run; `presets/*.yaml`."""

    model_config = ConfigDict(extra="forbid")

    description: str
    launcher: Literal["torchrun", "accelerate"]
    fewest_nodes: int = 1
    sharding: Literal["", "fsdp2", "zero3"] = Field("", description="what the run checks that it got")
    config: dict[str, Any] = Field(default_factory=dict, description="accelerate's configuration file")


class Launch(NamedTuple):
    """What will be run."""

    environment: dict[str, str]
    command: list[str]
    config_file: Path | None
    """Where accelerate's configuration is written; None for torchrun."""
    config_text: str

    def __str__(self) -> str:
        """The command as a shell takes it."""
        variables = [f"{key}={shlex.quote(value)}" for key, value in self.environment.items()]
        return " ".join([*variables, shlex.join(self.command)])


def preset_names() -> list[str]:
    """The presets that ship with the package."""
    folder = importlib.resources.files("ta_train.launch") / "presets"
    return sorted(Path(str(f)).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_preset(name: str) -> Preset:
    """Read a shipped preset. Raises InputError for an unknown name."""
    if name not in preset_names():
        raise InputError(f"unknown preset {name!r}: choose one of {', '.join(preset_names())}")
    file = importlib.resources.files("ta_train.launch") / "presets" / f"{name}.yaml"
    return Preset.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def plan(
    name: str, arguments: list[str], *, processes: int, nodes: int = 1, node: int = 0, address: str = ""
) -> Launch:
    """The command that runs `ta-train <arguments>` in `processes` processes on each of `nodes` machines.

    `address` is `host:port` of node 0. Raises InputError where the numbers do not fit the preset.
    """
    preset = load_preset(name)
    if nodes < preset.fewest_nodes:
        raise InputError(f"preset {name}: --nodes {nodes}: expected at least {preset.fewest_nodes}")
    host, colon, port = address.rpartition(":")
    if nodes > 1 and not (host and colon and port.isdigit()):
        raise InputError(f"--address {address!r}: with several nodes expected host:port of node 0")
    if not 0 <= node < nodes:
        raise InputError(f"--node {node}: expected 0 to {nodes - 1}")
    environment = {ASKED_PROCESSES: str(processes * nodes)}
    program = ["-m", "ta_train", *arguments]
    if preset.launcher == "torchrun":
        command = ["torchrun", "--nproc-per-node", str(processes)]
        if nodes > 1:
            command += ["--nnodes", str(nodes), "--node-rank", str(node)]
            command += ["--master-addr", host, "--master-port", port]
        else:
            command += ["--standalone"]
        # The first process speaks; what the others say is kept for when they fail.
        others = ",".join(f"{i}:3" for i in range(1, processes))
        command += ["--redirects", others] if others else []
        command += ["--log-dir", str(log_folder()), "--shutdown-timeout", str(SHUTDOWN_S)]
        return Launch(environment, command + program, None, "")
    environment |= {ASKED_SHARDING: preset.sharding, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SHUTDOWN_S)}
    text = yaml.safe_dump(preset.config, sort_keys=False)
    file = cache_folder() / "launch" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.yaml"
    command = ["accelerate", "launch", "--config_file", str(file), "--num_processes", str(processes * nodes)]
    command += ["--num_machines", str(nodes), "--machine_rank", str(node)]
    command += ["--main_process_ip", host, "--main_process_port", port] if nodes > 1 else []
    return Launch(environment, command + program, file, text)


def launch(planned: Launch) -> None:
    """Run it in this process, which stays to watch over the others, and end as they end.

    Raises SetupError (no GPU to shard over, no deepspeed), Stopped (Ctrl-C, after all have saved), SystemExit
    with the exit code of the process that failed.
    """
    os.environ.setdefault("LOGLEVEL", "CRITICAL")  # torchrun tells every signal and exit code otherwise
    os.environ.update(planned.environment)
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        if planned.config_file:
            _check_accelerate(planned.environment[ASKED_SHARDING])
            planned.config_file.parent.mkdir(parents=True, exist_ok=True)
            planned.config_file.write_text(planned.config_text, encoding="utf-8")
            from accelerate.commands.launch import launch_command, launch_command_parser

            launch_command(launch_command_parser().parse_args(planned.command[2:]))
        else:
            from torch.distributed.run import parse_args, run

            run(parse_args(planned.command[1:]))
    except ChildFailedError as error:
        _end_as(error)
    except SignalException:
        raise Stopped("all processes have stopped: the same command with --resume goes on") from None


def log_folder() -> Path:
    """Where the output of all processes but the first is kept."""
    return Path(tempfile.gettempdir()) / f"ta-train-launch-{os.getuid()}"


def _check_accelerate(sharding: str) -> None:
    import torch

    if not torch.cuda.is_available():
        raise SetupError(f"sharding {sharding} needs CUDA GPUs, this machine has none: take the preset ddp")
    if sharding == "zero3" and importlib.util.find_spec("deepspeed") is None:
        raise SetupError("sharding zero3 needs deepspeed: install it beside ta-train, or take the preset fsdp2")


def _end_as(error: Any) -> None:
    """One line for what torchrun says in forty; the exit code of the first process that failed."""
    rank, failure = error.get_first_failure()
    code = int(failure.exitcode)
    if code < 0:
        name = signal.Signals(-code).name
        raise SetupError(
            f"process {rank} was ended by {name} (SIGKILL: out of memory?): --resume goes on"
        ) from None
    if failure.local_rank:  # the first one's words stand on the screen already
        said = sorted(log_folder().glob(f"*/attempt_0/{failure.local_rank}/stderr.log"), key=os.path.getmtime)
        last = said[-1].read_text(encoding="utf-8").strip().splitlines()[-1:] if said else []
        print(f"process {rank} failed. {' '.join(last)}", file=sys.stderr)
    raise SystemExit(code)
