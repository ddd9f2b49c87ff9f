"""Sweeps of real trials, each a process of its own that tunes a random two-layer model for a few steps."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ta_schemas import Artifact, ArtifactError, ArtifactWriter, InputError, SetupError
from ta_train.sweep.report import Trial, best, plot, table
from ta_train.sweep.space import Range, Search, grid, parse_space
from ta_train.sweep.sweep import sweep

FAST = [
    "batch_size=2",
    "max_steps=2",
    "eval_points=1",
    "eval_rows=2",
    "threads=1",
    "dtype=float32",
    "lora_rank=2",
    "engine=trl",  # the fast engine compiles for seconds
]


def tiny(base_model: Path, *changes: str) -> list[str]:
    return [f"base_model={base_model}", *FAST, *changes]


@pytest.fixture(scope="module")
def ranks(
    tmp_path_factory: pytest.TempPathFactory, base_model: Path, dataset: Path
) -> tuple[Path, list[Trial]]:
    """A sweep of one rank, and after it of one more."""
    out = tmp_path_factory.mktemp("sweep") / "ranks"
    sweep("cpu-tiny", ["lora_rank=2"], dataset, out, overrides=tiny(base_model))
    before = (out / "lora_rank=2" / "manifest.json").stat().st_mtime_ns
    trials = sweep("cpu-tiny", ["lora_rank=2,4"], dataset, out, overrides=tiny(base_model))
    assert (out / "lora_rank=2" / "manifest.json").stat().st_mtime_ns == before
    return out, trials


def test_every_setting_becomes_a_sealed_adapter_of_its_own(ranks: tuple[Path, list[Trial]]) -> None:
    _, trials = ranks
    assert [trial.settings for trial in trials] == [{"lora_rank": 2}, {"lora_rank": 4}]
    for trial in trials:
        adapter = Artifact.open(trial.out, kind="adapter")
        assert adapter.manifest.config["sft"]["lora_rank"] == trial.settings["lora_rank"]
        assert json.loads(adapter.file("adapter_config.json").read_text())["r"] == trial.settings["lora_rank"]
        assert trial.metrics == adapter.manifest.metrics
    sizes = [trial.metrics["trainable_parameters"] for trial in trials]
    assert sizes[1] == 2 * sizes[0]


def test_finished_trials_are_not_run_again_and_their_memory_is_remembered(
    ranks: tuple[Path, list[Trial]], base_model: Path, dataset: Path
) -> None:
    out, trials = ranks
    before = [trial.out.joinpath("manifest.json").stat().st_mtime_ns for trial in trials]
    again = sweep("cpu-tiny", ["lora_rank=2,4"], dataset, out, overrides=tiny(base_model))
    assert again == trials
    assert [trial.out.joinpath("manifest.json").stat().st_mtime_ns for trial in again] == before
    assert all(trial.peak_memory_bytes > 100 * 2**20 for trial in again)


def test_the_result_is_a_table_json_and_a_plot(ranks: tuple[Path, list[Trial]]) -> None:
    out, trials = ranks
    content = json.loads((out / "sweep.json").read_text())
    assert [row["settings"]["lora_rank"] for row in content["trials"]] == [2, 4]
    winner = min(trials, key=lambda trial: trial.metrics["validation_loss"])
    assert content["best"] == f"lora_rank={winner.settings['lora_rank']}"
    lines = (out / "sweep.md").read_text().splitlines()
    for title in ("lora_rank", "validation loss", "training time (s)", "peak memory (MiB)"):
        assert f" {title} |" in lines[0]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 2", "| 4"]
    assert sum("best" in line for line in lines) == 1
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_score_handed_in_judges_instead_of_the_loss(
    ranks: tuple[Path, list[Trial]], base_model: Path, dataset: Path
) -> None:
    out, _ = ranks

    def smaller_is_better(adapter: Artifact) -> float:
        return 1.0 / float(adapter.manifest.metrics["trainable_parameters"])

    trials = sweep(
        "cpu-tiny", ["lora_rank=2,4"], dataset, out, overrides=tiny(base_model), score=smaller_is_better
    )
    assert json.loads((out / "sweep.json").read_text())["best"] == "lora_rank=2"
    assert trials[0].score == 1.0 / trials[0].metrics["trainable_parameters"]
    assert "score" in (out / "sweep.md").read_text().splitlines()[0]


def test_another_configuration_in_the_way_is_refused_before_anything_runs_unless_forced(
    ranks: tuple[Path, list[Trial]], base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(ranks[0] / "lora_rank=2", out / "lora_rank=2")
    shorter = tiny(base_model, "max_steps=1")
    with pytest.raises(ArtifactError, match="--force"):
        sweep("cpu-tiny", ["lora_rank=4,2"], dataset, out, overrides=shorter)
    assert not (out / "lora_rank=4").exists()
    (forced,) = sweep("cpu-tiny", ["lora_rank=2"], dataset, out, overrides=shorter, replace=True)
    assert forced.metrics["steps"] == 1


def test_a_trial_that_fails_is_a_row_with_its_reason_and_the_others_go_on(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    short = tiny(base_model, "max_steps=1")
    trials = sweep("cpu-tiny", ["device=cuda,cpu"], dataset, tmp_path / "out", overrides=short)
    assert trials[0].error.startswith("device: cuda") and not trials[1].error
    header, rows = table(trials)
    assert rows[0][-1].startswith("failed: ") and rows[1][-1] == "best"
    assert len(header) == len(rows[0])


def test_a_sweep_of_which_nothing_succeeds_is_an_error(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match="every trial failed; device=cuda: device: cuda"):
        sweep("cpu-tiny", ["device=cuda"], dataset, tmp_path / "out", overrides=tiny(base_model))
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["best"] is None


def start(base_model: Path, dataset: Path, out: Path) -> subprocess.Popen[str]:
    long = tiny(base_model, "max_steps=150", "epochs=20", "save_every=10", "lora_dropout=0.1")
    command = ["sweep", str(dataset), "--recipe", "cpu-tiny", "--over", "lora_alpha=4,8", "--out", str(out)]
    for change in long:
        command += ["--set", change]
    return subprocess.Popen(
        [sys.executable, "-c", "from ta_train.cli import main; main()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a terminal's process group: Ctrl-C reaches the sweep and its trial
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def wait_for(file: Path) -> None:
    for _ in range(1200):
        if file.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{file} did not appear")


@pytest.mark.slow
def test_after_ctrl_c_and_after_a_kill_the_same_command_goes_on(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(base_model, dataset, out)
    wait_for(out / "lora_alpha=4.work" / "checkpoint-10" / "trainer_state.json")
    os.killpg(process.pid, signal.SIGINT)
    shown, _ = process.communicate()
    assert process.returncode == 130, shown
    assert "finished trials are kept" in shown

    process = start(base_model, dataset, out)
    wait_for(out / "lora_alpha=8.work" / "checkpoint-10" / "trainer_state.json")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    first = Artifact.open(out / "lora_alpha=4")
    assert not (out / "lora_alpha=8").exists()

    process = start(base_model, dataset, out)
    shown, _ = process.communicate()
    assert process.returncode == 0, shown
    assert "resuming at step" in shown
    assert Artifact.open(out / "lora_alpha=4").manifest.created_at == first.manifest.created_at
    assert Artifact.open(out / "lora_alpha=8").manifest.metrics["steps"] == 150
    assert not list(out.glob("*.work"))


def test_peak_memory_is_the_trials_own_not_its_parents() -> None:
    code = "from ta_train.sweep.trial import peak_memory; held = bytearray({}); print(peak_memory())"

    def peak(size: int) -> int:
        asked = [sys.executable, "-c", code.format(size)]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

    held_here = bytearray(os.urandom(1) * (800 * 2**20))
    alone = peak(0)
    assert alone < len(held_here)
    assert 190 * 2**20 < peak(200 * 2**20) - alone < 250 * 2**20


def test_over_is_read_as_yaml_and_every_combination_is_trained() -> None:
    space = parse_space(["lora_rank=4, 8", "target_modules=[q_proj, v_proj],all-linear"])
    assert grid(space) == [
        {"lora_rank": rank, "target_modules": modules}
        for rank in ("4", "8")
        for modules in ('["q_proj", "v_proj"]', '"all-linear"')
    ]


def test_a_range_is_by_logarithm_where_it_is_tenfold() -> None:
    space = parse_space(["learning_rate=1e-4..3e-3", "lora_rank=4..32", "lora_dropout=0..0.2"])
    assert space == {
        "learning_rate": Range(1e-4, 3e-3, whole=False),
        "lora_rank": Range(4, 32, whole=True),
        "lora_dropout": Range(0, 0.2, whole=False),
    }
    assert [values.by_logarithm for values in space.values() if isinstance(values, Range)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ([], "nothing to go over"),
        (["lora_rank"], "expected key=value"),
        (["lora_rank="], "expected key=value"),
        (["lora_rank=4", "lora_rank=8"], "there twice: give all its values"),
        (["lora_rank=4,4"], "a value is there twice"),
        (["target_modules=[a"], "cannot be read"),
        (["lora_rank=8..4"], "the smaller number comes first"),
        (["schedule=a..b"], "a range of numbers"),
    ],
    ids=str,
)
def test_what_cannot_be_gone_over_is_refused(over: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_space(over)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("lora_rnk=4", "unknown key 'lora_rnk', did you mean lora_rank"),
        ("lora_rank=4,0", "lora_rank"),
        ("lora_rank=4..8", "pass --trials N"),
    ],
)
def test_a_wrong_key_value_or_range_is_refused_before_anything_runs(
    over: str, message: str, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        sweep("cpu-tiny", [over], dataset, tmp_path / "out", overrides=tiny(base_model))
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_extra_is_named(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SetupError, match=r"install ta-train\[sweep\]"):
        sweep("cpu-tiny", ["lora_rank=4..8"], dataset, tmp_path / "out", overrides=tiny(base_model), trials=2)
    assert not (tmp_path / "out").exists()


def draw(space: Sequence[str], count: int, *, seed: int = 1, maximize: bool = False) -> list[float]:
    """The learning rates drawn when the result is the learning rate itself."""
    search = Search(parse_space(space), seed=seed, maximize=maximize)
    found = []
    for settings, tell in search.draw(count):
        found.append(float(settings["learning_rate"]))
        tell(found[-1])
    return found


def test_optuna_draws_from_ranges_and_looks_where_it_was_good() -> None:
    pytest.importorskip("optuna")
    space = ["learning_rate=1e-5..1e-1"]
    low, high = draw(space, 40), draw(space, 40, maximize=True)
    assert all(1e-5 <= value <= 1e-1 for value in low + high)
    assert sorted(low[20:])[10] < 1e-4 and sorted(high[20:])[10] > 1e-2
    assert draw(space, 5) == low[:5] != draw(space, 5, seed=2)


@pytest.mark.slow
def test_optuna_trials_are_sealed_and_the_same_search_goes_on(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    out, over = tmp_path / "out", ["learning_rate=1e-4..1e-1", "lora_rank=2,4"]
    short = tiny(base_model, "max_steps=1")
    two = sweep("cpu-tiny", over, dataset, out, overrides=short, trials=2)
    before = [trial.out.joinpath("manifest.json").stat().st_mtime_ns for trial in two]
    three = sweep("cpu-tiny", over, dataset, out, overrides=short, trials=3)
    assert three[:2] == two and len(three) == 3
    assert [trial.out.joinpath("manifest.json").stat().st_mtime_ns for trial in two] == before
    assert all(set(trial.settings) == {"learning_rate", "lora_rank"} for trial in three)


def trial(name: str, **values: Any) -> Trial:
    return Trial({"schedule": name}, Path(name), **values)


def test_the_best_has_the_lowest_loss_or_the_highest_score_and_has_not_failed() -> None:
    a, b = trial("a", metrics={"validation_loss": 1.0}), trial("b", metrics={"validation_loss": 2.0})
    failed = trial("c", error="no")
    assert best([b, a, failed]) is a
    scored = [trial("a", metrics=a.metrics, score=0.1), trial("b", metrics=b.metrics, score=0.9), failed]
    assert best(scored) is scored[1]
    assert best([failed]) is None


def test_settings_that_are_no_numbers_and_unknown_memory_are_shown_too(tmp_path: Path) -> None:
    trials = [trial("cosine", metrics={"validation_loss": 1.0}), trial("linear", error="a | b")]
    assert table(trials) == (
        ["schedule", "validation loss", ""],
        [["cosine", "1.000", "best"], ["linear", "", "failed: a | b"]],
    )
    plot(trials, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").exists()


def test_the_command_sweeps_and_prints_json(
    ranks: tuple[Path, list[Trial]],
    base_model: Path,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ta_train.cli import app

    changes = [argument for change in tiny(base_model) for argument in ("--set", change)]
    command = ["sweep", str(dataset), "--recipe", "cpu-tiny", "--over", "lora_rank=2,4", *changes]
    app([*command, "--out", str(ranks[0]), "--json"], standalone_mode=False)
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 2
    with ArtifactWriter(tmp_path / "corpus", kind="corpus", producer="test 1"):
        pass
    with pytest.raises(ArtifactError, match="expected 'dataset'"):
        app(["sweep", str(tmp_path / "corpus"), *command[2:], "--out", str(tmp_path)], standalone_mode=False)
