"""Trackers that follow a run: real ones, offline, where they are installed."""

import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ta_schemas import Artifact, InputError, SetupError
from ta_train.arguments import training_arguments
from ta_train.config import SftConfig
from ta_train.sft import sft
from ta_train.trackers import check_trackers


def fixed(base_model: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 3,
        "lora_alpha": 6,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 4,
        "eval_points": 2,
        "eval_rows": 2,
        "dtype": "float32",
        "threads": 1,
    }
    return SftConfig(**{**values, **changes})


def losses(adapter: Artifact) -> list[float]:
    from ta_train.curves import read_metrics

    return [line["loss"] for line in read_metrics(adapter.path / "logs" / "metrics.jsonl") if "loss" in line]


def tracked(tracker: str, base_model: Path, dataset: Path, tmp_path: Path) -> Artifact:
    return sft(fixed(base_model, track=[tracker]), dataset, tmp_path / "linux-cli" / "adapter")


@pytest.mark.parametrize("tracker", ["wandb", "trackio", "mlflow", "tensorboard"])
def test_a_missing_tracker_names_its_extra_before_anything_is_written(
    tracker: str, base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    with pytest.raises(SetupError, match=rf"track: {tracker} is not installed: install ta-train\[{tracker}\]"):
        tracked(tracker, base_model, dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_trackers_nothing_reports(base_model: Path, tmp_path: Path) -> None:
    assert training_arguments(fixed(base_model), tmp_path, steps=1, fresh=True)["report_to"] == "none"


def test_the_run_is_named_after_folder_and_name_of_what_it_makes(base_model: Path, tmp_path: Path) -> None:
    work = tmp_path / "linux-cli" / "adapter.work"
    arguments = training_arguments(fixed(base_model, track=["mlflow"]), work, steps=1, fresh=True)
    assert (arguments["report_to"], arguments["run_name"]) == (["mlflow"], "linux-cli-adapter")
    assert arguments["project"] == "tunedassist"


def test_who_follows_a_run_makes_no_other_run_of_it(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sft(fixed(base_model), dataset, tmp_path / "adapter")
    monkeypatch.setitem(sys.modules, "wandb", None)
    again = sft(fixed(base_model, track=["wandb"]), dataset, tmp_path / "adapter")
    assert again.manifest.created_at == plain.manifest.created_at


def test_ppo_has_no_trackers_and_says_so() -> None:
    from ta_train.rl.config import PpoConfig

    with pytest.raises(InputError, match="track: ppo writes logs/metrics.jsonl only"):
        check_trackers(PpoConfig(track=["wandb"]))


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: wandb and trackio read their variables once."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("WANDB_")} | environment,
    )


TWICE = """
import sys
from pathlib import Path
from ta_schemas.errors import exit_with_one_line
from ta_train.config import SftConfig
from ta_train.sft import sft
config, dataset, *outs = sys.argv[1:]
config = SftConfig.model_validate_json(config)
exit_with_one_line(lambda: [sft(config, Path(dataset), Path(out)) for out in outs])
"""


def test_wandb_offline_holds_curves_and_configuration_of_each_run(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="install ta-train[wandb]")
    config = fixed(base_model, track=["wandb"]).model_dump_json()
    outs = [tmp_path / "first" / "adapter", tmp_path / "second" / "adapter"]
    done = run(TWICE, config, str(dataset), *map(str, outs), WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    runs = sorted(
        (WandbRun(file) for file in tmp_path.glob("wandb/offline-run-*/*.wandb")),
        key=lambda found: str(found.run.display_name),
    )
    assert [found.run.display_name for found in runs] == ["first-adapter", "second-adapter"]
    for found, out in zip(runs, outs, strict=True):
        adapter = Artifact.open(out)
        assert found.run.project == "tunedassist"
        assert found.config["tunedassist"]["lora_rank"] == 3
        assert found.config["tunedassist"]["parents"] == [p.digest for p in adapter.manifest.parents]
        assert found.config["learning_rate"] == 1e-2
        assert [row["train/loss"] for row in found.history if "train/loss" in row] == losses(adapter)
        assert sum("eval/loss" in row for row in found.history) == 3


class WandbRun:
    """What an offline run wrote down to be synchronized later: records of protobuf in a LevelDB log.

    https://github.com/google/leveldb/blob/main/doc/log_format.md, behind a header of 7 bytes.
    """

    def __init__(self, file: Path) -> None:
        from wandb.proto import wandb_internal_pb2

        self.run: Any = None
        self.config: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        for data in self._records(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            match record.WhichOneof("record_type"):
                case "run":
                    self.run = record.run
                    self.config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
                case "config":
                    self.config |= {i.key: json.loads(i.value_json) for i in record.config.update}
                case "history":
                    items = record.history.item
                    self.history.append({i.key or i.nested_key[0]: json.loads(i.value_json) for i in items})

    @staticmethod
    def _records(log: bytes) -> Iterator[bytes]:
        block, header, last = 32768, 7, (1, 4)
        at, whole = header, b""
        while at + header <= len(log):
            if block - at % block < header:  # too short for another record
                at += block - at % block
                continue
            length, kind = struct.unpack_from("<HB", log, at + 4)
            whole += log[at + header : at + header + length]
            at += header + length
            if kind in last:
                yield whole
                whole = b""


def test_wandb_that_cannot_start_is_one_line(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="install ta-train[wandb]")
    config = fixed(base_model, track=["wandb"]).model_dump_json()
    nobody = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = run(TWICE, config, str(dataset), str(tmp_path / "adapter"), **nobody)
    assert done.returncode == 5, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert error.startswith("error: track: wandb does not start")
    assert error.endswith("or WANDB_MODE=offline")


def test_tensorboard_files_travel_with_the_adapter(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="install ta-train[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    adapter = tracked("tensorboard", base_model, dataset, tmp_path)
    events = EventAccumulator(str(adapter.path / "logs" / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses(adapter))


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # mlflow 3.17 on SQLAlchemy 2.1
def test_mlflow_holds_the_curves_and_the_configuration(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="install ta-train[mlflow]")
    pytest.importorskip("alembic", reason="install ta-train[mlflow]")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    adapter = tracked("mlflow", base_model, dataset, tmp_path)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("tunedassist")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("linux-cli-adapter", "FINISHED")
    assert run.data.params["tunedassist/lora_rank"] == "3"
    points = client.get_metric_history(run.info.run_id, "loss")
    assert [point.value for point in points] == losses(adapter)


def test_trackio_holds_the_curves(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="install ta-train[trackio]")
    config = fixed(base_model, track=["trackio"]).model_dump_json()
    out = tmp_path / "linux-cli" / "adapter"
    done = run(TWICE, config, str(dataset), str(out), TRACKIO_DIR=str(tmp_path / "trackio"))
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "trackio" / "tunedassist.db")) as database:
        rows = database.execute("select run_name, metrics from metrics order by step").fetchall()
    assert {name for name, _ in rows} == {"linux-cli-adapter"}
    logged = [json.loads(metrics) for _, metrics in rows]
    assert [row["train/loss"] for row in logged if "train/loss" in row] == losses(Artifact.open(out))
