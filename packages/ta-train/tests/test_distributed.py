"""Several processes: what is started, what is refused, and real runs of two processes over gloo."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from preference_fixtures import preference_rows, seal_preferences
from train_fixtures import rows, seal_dataset

from ta_schemas import Artifact, InputError, SetupError
from ta_train.config import SftConfig
from ta_train.launch.launch import Launch, launch, load_preset, plan, preset_names
from ta_train.processor import cpu_threads
from ta_train.sft import sft


def settings(base_model: Path, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 4,
        "lora_alpha": 8,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "epochs": 30,
        "max_steps": 8,
        "eval_points": 2,
        "eval_rows": 2,
        "save_every": 10,
        "dtype": "float32",
        "threads": 1,
    }
    return {**values, **changes}


# ── commands and refusals ────────────────────────────────────────────────────


def command(name: str, **numbers: Any) -> str:
    return str(plan(name, ["sft", "data", "--out", "a b"], **{"processes": 2, **numbers}))


def test_every_preset_says_what_it_is_for() -> None:
    assert preset_names() == ["ddp", "fsdp2", "multi-node", "zero3"]
    assert all(load_preset(name).description for name in preset_names())


def test_ddp_is_torchrun_on_one_machine_and_the_arguments_survive_the_shell() -> None:
    words = shlex.split(command("ddp"))
    assert words[:5] == ["TA_TRAIN_PROCESSES=2", "torchrun", "--nproc-per-node", "2", "--standalone"]
    assert words[-6:] == ["-m", "ta_train", "sft", "data", "--out", "a b"]


def test_torchrun_understands_the_command_and_gives_ctrl_c_time_for_a_checkpoint() -> None:
    from torch.distributed.run import parse_args

    planned = plan("multi-node", ["sft", "data"], processes=4, nodes=3, node=2, address="host:29500")
    arguments = parse_args(planned.command[1:])
    found = (arguments.nnodes, arguments.node_rank, arguments.master_addr, arguments.master_port)
    assert found == ("3", 2, "host", 29500)
    assert (arguments.nproc_per_node, arguments.shutdown_timeout) == ("4", 600)
    assert (arguments.module, arguments.training_script) == (True, "ta_train")
    assert planned.environment == {"TA_TRAIN_PROCESSES": "12"}


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "fsdp2",
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"},
        ),
        (
            "zero3",
            {
                "ACCELERATE_USE_DEEPSPEED": "true",
                "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3",
                "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL": "true",
            },
        ),
    ],
)
def test_accelerate_reads_the_shipped_configuration_as_it_is_meant(
    preset: str, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.commands import launch as accelerate_launch
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    started: list[tuple[Any, dict[str, str]]] = []
    monkeypatch.setattr(
        accelerate_launch, "multi_gpu_launcher", lambda a: started.append((a, prepare_multi_gpu_env(a)))
    )
    monkeypatch.setattr(
        accelerate_launch, "deepspeed_launcher", lambda a: started.append((a, prepare_deepspeed_cmd_env(a)[1]))
    )
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path))
    planned = plan(preset, ["sft", "data"], processes=8, nodes=2, node=1, address="host:29500")
    assert planned.config_file
    planned.config_file.parent.mkdir(parents=True)
    planned.config_file.write_text(planned.config_text)
    parser = accelerate_launch.launch_command_parser()
    accelerate_launch.launch_command(parser.parse_args(planned.command[2:]))
    ((parsed, environment),) = started
    assert (parsed.num_processes, parsed.num_machines, parsed.machine_rank) == (16, 2, 1)
    assert (parsed.main_process_ip, parsed.main_process_port) == ("host", 29500)
    assert (parsed.module, parsed.training_script, parsed.training_script_args) == (
        True,
        "ta_train",
        ["sft", "data"],
    )
    assert {key: environment.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("dpp", {}, "unknown preset 'dpp': choose one of ddp"),
        ("multi-node", {}, "--nodes 1: expected at least 2"),
        ("multi-node", {"nodes": 2}, "expected host:port of node 0"),
        ("multi-node", {"nodes": 2, "address": "host"}, "expected host:port of node 0"),
        ("ddp", {"nodes": 2, "node": 2, "address": "host:1"}, "--node 2: expected 0 to 1"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(name: str, numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        command(name, **numbers)


@pytest.mark.parametrize("preset", ["fsdp2", "zero3"])
def test_sharding_without_a_gpu_is_refused_at_launch(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SetupError, match=f"sharding {preset} needs CUDA GPUs, this machine has none"):
        launch(plan(preset, ["sft", "data"], processes=2))


@pytest.mark.parametrize(
    ("environment", "change", "message"),
    [
        ({"TA_TRAIN_PROCESSES": "2"}, {}, "2 processes were asked for, 1 run"),
        ({"ACCELERATE_USE_FSDP": "true"}, {}, "sharding fsdp2 needs CUDA GPUs"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, {}, "sharding zero3 needs CUDA GPUs"),
    ],
)
def test_what_would_silently_be_another_run_is_refused(
    environment: dict[str, str],
    change: dict[str, Any],
    message: str,
    base_model: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(SetupError, match=message):
        sft(SftConfig(**settings(base_model, device="cpu", **change)), dataset, tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = cpu_threads()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cpu_threads() == max(1, alone // 2)
    assert cpu_threads(3) == 3


def test_processes_that_come_at_once_convert_a_model_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from ta_train.models.base_model import resolve

    made: list[Path] = []

    def convert(gguf: Path, folder: Path) -> None:
        made.append(folder)
        time.sleep(0.3)
        (folder / "config.json").write_text("{}")

    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ta_train.models.gguf_model.write_model_folder", convert)
    file = tmp_path / "some-1.5b.gguf"
    file.write_bytes(b"GGUF")
    with ThreadPoolExecutor(4) as pool:
        digests = {base.digest for base in pool.map(resolve, [str(file)] * 4)}
    assert len(digests) == len(made) == 1


def test_a_dry_run_prints_the_command_and_starts_nothing() -> None:
    ran = ta_train("launch", "--preset", "fsdp2", "--processes", "4", "--dry-run", "sft", "data", "--seed", "3")
    assert ran.returncode == 0, ran.stderr
    assert "fsdp_version: 2" in ran.stdout
    assert ran.stdout.strip().endswith("-m ta_train sft data --seed 3")


def ta_train(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ta_train", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


GUIDE = (Path(__file__).parent.parent / "CLUSTER.md").read_text()


@pytest.mark.parametrize(
    "line", [line for line in GUIDE.splitlines() if line.startswith("ta-train ")], ids=lambda line: line[:60]
)
def test_the_commands_of_the_guide_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer.main
    from typer.testing import CliRunner

    from ta_train.cli import app

    monkeypatch.setattr("ta_train.launch.cli._gpus", lambda: 8)
    words = [word for word in shlex.split(line)[1:] if word != "--dry-run"]
    if words[0] == "launch":
        result = CliRunner().invoke(app, ["launch", "--dry-run", *words[1:]])
        assert result.exit_code == 0, result.output
        words = shlex.split(result.output.splitlines()[-1])
        words = words[words.index("ta_train") + 1 :]
    commands: Any = typer.main.get_command(app)
    commands.commands[words[0]].make_context(words[0], words[1:])  # raises on an unknown option


def test_the_script_of_the_guide_is_a_script(tmp_path: Path) -> None:
    script = GUIDE.split("```bash\n")[1].split("```")[0]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


# ── two real processes ───────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of 16 to 60 tokens, so that a wrong weighting between the processes shows."""
    all_rows = rows()
    for i, row in enumerate(all_rows):
        row.messages[-1].content += " again" * (i * 7 % 23)
    out = tmp_path_factory.mktemp("data") / "dataset"
    seal_dataset(out, all_rows)
    return out


def started(
    folder: Path, config: dict[str, Any], dataset: Path, *options: str, launch_options: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps(config))
    launching = launch_options or ("--processes", "2")
    arguments = ["sft", str(dataset), "--recipe", str(recipe), "--out", str(folder / "adapter"), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "ta_train", "launch", *launching, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started_dpo(
    folder: Path, config: dict[str, Any], preferences: Path, *options: str, processes: int = 2
) -> subprocess.Popen[str]:
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({"method": "dpo", **config}))
    arguments = ["dpo", str(preferences), "--recipe", str(recipe), "--out", str(folder / "adapter"), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "ta_train", "launch", "--processes", str(processes), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str], folder: Path) -> Artifact:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return Artifact.open(folder / "adapter")


def lines(adapter: Artifact) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (adapter.path / "logs" / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, base_model: Path, uneven: Path) -> Artifact:
    """Two processes, dropout 0."""
    folder = tmp_path_factory.mktemp("pair")
    return finished(started(folder, settings(base_model, engine="trl"), uneven), folder)


@pytest.mark.slow
def test_two_processes_have_the_loss_of_one_with_the_same_rows_a_step(
    pair: Artifact, base_model: Path, uneven: Path, tmp_path: Path
) -> None:
    config = SftConfig(**settings(base_model, engine="trl", gradient_accumulation=2))
    one = sft(config, uneven, tmp_path / "adapter")
    for key in ("loss", "tokens", "validation_loss", "gradient_norm"):
        values = [line[key] for line in lines(one) if key in line]
        assert [line[key] for line in lines(pair) if key in line] == pytest.approx(values, rel=1e-4), key


@pytest.mark.slow
def test_only_the_first_process_writes(pair: Artifact) -> None:
    assert pair.manifest.environment["processes"] == 2
    assert [line["step"] for line in lines(pair) if "loss" in line] == list(range(1, 9))
    assert [line["step"] for line in lines(pair) if "validation_loss" in line] == [0, 4, 8]


@pytest.mark.slow
def test_two_nodes_of_one_process_give_the_adapter_of_one_node_of_two(
    pair: Artifact, base_model: Path, uneven: Path, tmp_path: Path
) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = settings(base_model, engine="trl")
    nodes = [
        started(
            tmp_path,
            config,
            uneven,
            launch_options=tuple(
                f"--preset multi-node --processes 1 --nodes 2 --node {node} --address {address}".split()
            ),
        )
        for node in (0, 1)
    ]
    for node in nodes:
        adapter = finished(node, tmp_path)
    assert adapter.digest == pair.digest


def wait_for_step(work: Path, step: int, process: subprocess.Popen[str]) -> None:
    for _ in range(1800):
        if any(int(f.parent.name.split("-")[1]) >= step for f in work.glob("checkpoint-*/trainer_state.json")):
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        time.sleep(0.1)
    raise AssertionError(f"no checkpoint {step} in {work}")


@pytest.mark.slow
def test_two_processes_stopped_then_killed_resume_to_the_same_adapter(
    base_model: Path, uneven: Path, tmp_path: Path
) -> None:
    """With dropout, so that the random state of each process matters."""
    config = settings(base_model, max_steps=200, lora_dropout=0.1)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = finished(started(whole, config, uneven), whole)
    work = broken / "adapter.work"

    process = started(broken, config, uneven)
    wait_for_step(work, 10, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "with a checkpoint: run again with --resume to go on" in output
    assert "Traceback" not in output
    stopped_at = max(int(f.name.split("-")[1]) for f in work.glob("checkpoint-*"))
    assert 10 <= stopped_at < 200

    process = started(broken, config, uneven, "--resume")
    wait_for_step(work, stopped_at + 30, process)
    for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        each.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (broken / "adapter").exists()

    resumed = finished(started(broken, config, uneven, "--resume"), broken)
    assert [line["loss"] for line in lines(resumed) if "loss" in line] == [
        line["loss"] for line in lines(expected) if "loss" in line
    ]
    assert resumed.digest == expected.digest


@pytest.fixture(scope="module")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal_preferences(tmp_path_factory.mktemp("data") / "preferences", preference_rows())


@pytest.mark.slow
def test_two_processes_of_dpo_have_the_loss_of_one_with_the_same_pairs_a_step(
    base_model: Path, preferences: Path, tmp_path: Path
) -> None:
    config = settings(base_model, max_steps=4)
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    one.mkdir()
    pair = finished(started_dpo(two, config, preferences), two)
    alone = {**config, "gradient_accumulation": 2}
    single = finished(started_dpo(one, alone, preferences, processes=1), one)
    for key in ("loss", "tokens", "reward_margin", "validation_loss"):
        values = [line[key] for line in lines(single) if key in line]
        found = [line[key] for line in lines(pair) if key in line]
        assert found == pytest.approx(values, rel=1e-4, abs=1e-6), key


@pytest.mark.slow
def test_two_processes_of_dpo_killed_resume_to_the_same_adapter(
    base_model: Path, preferences: Path, tmp_path: Path
) -> None:
    config = settings(base_model, max_steps=200, epochs=200)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = finished(started_dpo(whole, config, preferences), whole)
    process = started_dpo(broken, config, preferences)
    wait_for_step(broken / "adapter.work", 30, process)
    for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        each.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (broken / "adapter").exists()
    resumed = finished(started_dpo(broken, config, preferences, "--resume"), broken)
    assert resumed.digest == expected.digest


@pytest.mark.slow
def test_a_run_of_two_is_not_resumed_by_one(base_model: Path, uneven: Path, tmp_path: Path) -> None:
    from ta_schemas import ArtifactError

    config = settings(base_model, max_steps=200)
    process = started(tmp_path, config, uneven)
    wait_for_step(tmp_path / "adapter.work", 10, process)
    process.send_signal(signal.SIGINT)
    process.communicate()
    with pytest.raises(ArtifactError, match="another configuration"):
        sft(SftConfig(**config), uneven, tmp_path / "adapter", resume=True)


@pytest.mark.slow
def test_an_error_of_the_processes_is_one_line_and_their_exit_code(base_model: Path, tmp_path: Path) -> None:
    process = started(tmp_path, settings(base_model), tmp_path / "nowhere")
    output, _ = process.communicate()
    assert process.returncode == 4
    errors = [line for line in output.splitlines() if "error:" in line]
    assert all("nowhere: no such artifact directory" in line for line in errors)
    assert "Traceback" not in output
    assert "ChildFailedError" not in output


@pytest.mark.slow
def test_accelerate_that_silently_starts_one_process_is_noticed(
    base_model: Path, uneven: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(settings(base_model)))
    arguments = ["-m", "ta_train", "sft", str(uneven), "--recipe", str(recipe)]
    arguments += ["--out", str(tmp_path / "adapter")]
    ran = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TA_TRAIN_PROCESSES": "2"},
    )
    assert "2 processes were asked for, 1 run" in ran.stderr
    assert not (tmp_path / "adapter").exists()


def test_the_launch_of_a_failed_process_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real torchrun over a shell that kills itself (torchrun reads $$ as an escaped dollar sign)."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    killed = Launch({}, ["torchrun", "--standalone", "--nproc-per-node", "1", "--no-python"], None, "")
    killed.command.extend(["bash", "-c", "kill -9 $$$$"])
    with pytest.raises(SetupError, match="process 0 was ended by SIGKILL"):
        launch(killed)
