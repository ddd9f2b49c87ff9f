"""What the registry knows and what it refuses; its command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from registry_fixtures import make, make_report

from ta_schemas import Artifact, ArtifactError, InputError
from ta_train.registry.comparison import compare
from ta_train.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "runs" / "registry.sqlite")


def test_an_artifact_is_found_by_name_alias_and_digest(registry: Registry, tmp_path: Path) -> None:
    adapter = make(tmp_path / "runs" / "linux" / "adapter")
    registry.add(adapter.path, alias="champion")
    for ref in ("linux/adapter", "champion", adapter.digest, adapter.digest[:19], adapter.digest[7:13]):
        assert registry.find(ref).digest == adapter.digest
    with pytest.raises(InputError, match="champoin: no name, alias or digest .* did you mean champion"):
        registry.find("champoin")
    with pytest.raises(InputError, match="known: linux/adapter, champion"):
        registry.find(adapter.digest[7:10])


def test_adding_again_keeps_one_entry_and_takes_what_is_new(registry: Registry, tmp_path: Path) -> None:
    adapter = make(tmp_path / "runs" / "adapter")
    registry.add(adapter.path, name="first", alias="champion")
    moved = tmp_path / "runs" / "moved"
    adapter.path.rename(moved)
    entry = registry.add(moved)
    assert (entry.name, entry.path, entry.aliases) == ("first", moved, ["champion"])
    assert registry.add(moved, name="second").name == "second"
    assert len(registry.entries()) == 1


def test_a_name_that_is_taken_or_malformed_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.add(make(tmp_path / "a").path, name="one", alias="best")
    other = make(tmp_path / "b").path
    for name in ("one", "best"):
        with pytest.raises(InputError, match=f"{name}: names another artifact .*--name"):
            registry.add(other, name=name)
    with pytest.raises(InputError, match="name 'with space'"):
        registry.add(other, name="with space")
    with pytest.raises(InputError, match="is the name of an entry"):
        registry.point("one", "one")
    assert [entry.name for entry in registry.entries()] == ["one"]


def test_a_tampered_artifact_is_not_added(registry: Registry, tmp_path: Path) -> None:
    adapter = make(tmp_path / "runs" / "adapter")
    (adapter.path / "content.txt").write_text("changed")
    with pytest.raises(ArtifactError, match=r"content\.txt"):
        registry.add(adapter.path)
    assert not registry.file.exists()


def test_an_alias_moves_and_can_be_dropped(registry: Registry, tmp_path: Path) -> None:
    for name in ("one", "two"):
        registry.add(make(tmp_path / name).path, name=name)
    assert registry.point("champion", "one") == ""
    assert registry.point("champion", "two") == "one"
    assert registry.find("champion").name == "two"
    registry.drop_alias("champion")
    with pytest.raises(InputError, match="no such alias"):
        registry.drop_alias("champion")


def test_lineage_goes_from_the_merged_model_to_the_data(registry: Registry, tmp_path: Path) -> None:
    dataset = make(tmp_path / "dataset", "dataset")
    base = make(tmp_path / "base", "model")
    adapter = make(tmp_path / "adapter", parents=[dataset, base])
    merged = make(tmp_path / "merged", "model", parents=[adapter, base])
    for artifact in (merged, adapter, dataset):
        registry.add(artifact.path, name=artifact.path.name)
    found = [(a.depth, a.kind, a.name) for a in registry.ancestors(registry.find("merged"))]
    assert found == [
        (1, "adapter", "adapter"),
        (2, "dataset", "dataset"),
        (2, "model", ""),
        (1, "model", ""),
    ]
    assert registry.children(registry.find("adapter")) == ["merged"]


def test_scores_come_from_the_reports_system_that_is_this_artifact(registry: Registry, tmp_path: Path) -> None:
    base, tuned = make(tmp_path / "base", "model"), make(tmp_path / "tuned")
    accuracy = {"before": 0.2, "after": 0.5}
    report = make_report(tmp_path / "run" / "report", {"before": base, "after": tuned}, accuracy=accuracy)
    entry = registry.add(tuned.path, reports=[report.path])
    assert [(s.item_set, s.items, s.estimate) for s in entry.scores] == [
        ("benchmark", 40, 0.5),
        ("general", 40, 0.5),
    ]
    assert registry.add(base.path, reports=[report.path]).scores[0].estimate == 0.2
    with pytest.raises(ArtifactError, match="this artifact is after, not before"):
        registry.add(tuned.path, reports=[report.path], system="before")


def test_without_the_predictions_the_system_must_be_named(registry: Registry, tmp_path: Path) -> None:
    tuned = make(tmp_path / "tuned")
    report = make_report(tmp_path / "run" / "report", {"after": tuned}, accuracy={"after": 0.5})
    shutil.rmtree(tmp_path / "run" / "predictions")
    with pytest.raises(InputError, match=r"--system \(after\)"):
        registry.add(tuned.path, reports=[report.path])
    assert registry.add(tuned.path, reports=[report.path], system="after").scores[0].estimate == 0.5


def test_verify_finds_what_changed_what_is_gone_and_what_is_another(registry: Registry, tmp_path: Path) -> None:
    for name in ("good", "changed", "gone", "other"):
        registry.add(make(tmp_path / name).path, name=name)
    (tmp_path / "changed" / "content.txt").write_text("x" * len(str(tmp_path / "changed")))
    shutil.rmtree(tmp_path / "gone")
    shutil.rmtree(tmp_path / "other")
    make(tmp_path / "other", content="not what was added")
    problems = dict(registry.verify())
    assert problems["good"] == ""
    assert "content differs" in problems["changed"]
    assert "no such artifact directory" in problems["gone"]
    assert "another artifact stands there" in problems["other"]
    assert registry.verify(["good"]) == [("good", "")]


def test_removing_forgets_and_only_deletes_files_when_told(registry: Registry, tmp_path: Path) -> None:
    kept, deleted = make(tmp_path / "kept"), make(tmp_path / "deleted")
    registry.add(kept.path, name="kept")
    registry.add(deleted.path, name="deleted")
    registry.remove("kept")
    registry.remove("deleted", delete_files=True)
    assert registry.entries() == []
    assert kept.path.exists() and not deleted.path.exists()


def test_what_something_descends_from_is_not_removed(registry: Registry, tmp_path: Path) -> None:
    adapter = make(tmp_path / "adapter")
    merged = make(tmp_path / "merged", "model", parents=[adapter])
    registry.add(adapter.path, name="adapter")
    registry.add(merged.path, name="merged")
    for delete_files in (False, True):
        with pytest.raises(ArtifactError, match="merged descends from it"):
            registry.remove("adapter", delete_files=delete_files)
    registry.remove("merged")
    registry.remove("adapter", delete_files=True)
    assert not adapter.path.exists()


def test_files_are_not_deleted_while_an_artifact_that_was_never_added_descends_from_them(
    registry: Registry, tmp_path: Path
) -> None:
    adapter = make(tmp_path / "runs" / "adapter")
    make(tmp_path / "runs" / "export" / "merged", "model", parents=[adapter])
    registry.add(adapter.path, name="adapter")
    with pytest.raises(ArtifactError, match="export/merged descends from it"):
        registry.remove("adapter", delete_files=True)
    assert adapter.path.exists() and registry.find("adapter")


def test_a_champion_and_a_stranger_at_its_place_are_not_removed(registry: Registry, tmp_path: Path) -> None:
    adapter = make(tmp_path / "adapter")
    registry.add(adapter.path, name="adapter", alias="champion")
    with pytest.raises(ArtifactError, match="adapter is champion"):
        registry.remove("champion")
    registry.drop_alias("champion")
    shutil.rmtree(adapter.path)
    make(adapter.path, content="another")
    with pytest.raises(ArtifactError, match="another artifact stands there now"):
        registry.remove("adapter", delete_files=True)
    assert adapter.path.exists() and registry.find("adapter")


def test_comparing_shows_differing_settings_numbers_and_scores(registry: Registry, tmp_path: Path) -> None:
    for rank, loss in ((4, 1.5), (8, 1.2)):
        make(
            tmp_path / f"r{rank}",
            config={"sft": {"lora_rank": rank, "seed": 1}, "base_model": "tiny"},
            metrics={"validation_loss": loss, "fit": "a sentence"},
        )
    r4, r8 = Artifact.open(tmp_path / "r4"), Artifact.open(tmp_path / "r8")
    report = make_report(tmp_path / "run" / "report", {"a": r4}, accuracy={"a": 0.5})
    registry.add(r4.path, name="r4", reports=[report.path])
    registry.add(r8.path, name="r8")
    found = compare([registry.find("r4"), registry.find("r8")])
    assert found.names == ["r4", "r8"]
    assert found.settings == {"lora_rank": [4, 8]}
    assert found.metrics == {"validation_loss": [1.5, 1.2]}
    assert [score and score.estimate for score in found.scores["benchmark"]] == [0.5, None]


def test_the_folder_moves_with_its_registry(registry: Registry, tmp_path: Path) -> None:
    registry.add(make(tmp_path / "runs" / "linux" / "adapter").path, name="inside")
    registry.add(make(tmp_path / "elsewhere").path, name="outside")
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = Registry(tmp_path / "moved" / "registry.sqlite")
    assert moved.verify() == [("inside", ""), ("outside", "")]


def test_every_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ta_train.cli import app

    file = tmp_path / "registry.sqlite"
    make(tmp_path / "one", config={"sft": {"lora_rank": 4}})
    make(tmp_path / "two", "model")

    def ask(*arguments: str) -> Any:
        app(["registry", *arguments, "--registry", str(file), "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    assert ask("add", str(tmp_path / "one"), "--name", "one")["name"] == "one"
    assert ask("add", str(tmp_path / "two"), "--name", "two", "--alias", "best")["aliases"] == ["best"]
    assert [entry["name"] for entry in ask("list")] == ["one", "two"]
    assert [entry["name"] for entry in ask("list", "--kind", "model")] == ["two"]
    assert ask("show", "one")["ancestors"] == []
    assert ask("compare", "one", "two")["settings"] == {"lora_rank": [4, None]}
    assert ask("alias", "best", "one") == {"alias": "best", "name": "one", "before": "two"}
    assert ask("alias", "best", "--drop")["name"] == ""
    assert ask("verify") == [{"name": "one", "problem": ""}, {"name": "two", "problem": ""}]
    assert ask("remove", "one", "--delete-files")["deleted"] is True
    assert not (tmp_path / "one").exists()
    with pytest.raises(InputError, match="at least two"):
        ask("compare", "two")
    with pytest.raises(InputError, match="--drop"):
        ask("alias", "best")


def test_the_default_registry_stands_in_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ta_train.cli import app

    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs" / "linux" / "adapter")
    app(["registry", "add", "runs/linux/adapter"], standalone_mode=False)
    assert Registry(tmp_path / "runs" / "registry.sqlite").find("linux/adapter")


def test_what_is_shown_names_lineage_scores_and_aliases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ta_train.cli import app

    registry = Registry(tmp_path / "registry.sqlite")
    dataset = make(tmp_path / "dataset", "dataset")
    adapter = make(tmp_path / "adapter", parents=[dataset], config={"base_model": "tiny"})
    report = make_report(tmp_path / "run" / "report", {"a": adapter}, accuracy={"a": 0.5})
    registry.add(dataset.path, name="tickets")
    registry.add(adapter.path, name="helper", alias="champion", reports=[report.path])
    for command in (["list"], ["show", "champion"], ["compare", "helper", "tickets"]):
        app(["registry", *command, "--registry", str(registry.file)], standalone_mode=False)
        shown = capsys.readouterr().out
        assert "helper" in shown and "tickets" in shown and "50" in shown
    assert "tiny" in shown
