"""The stage as a whole: what goes in comes out or is named, sealed, the same every time."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_data import DataConfig, prepare
from ta_data.config import Shares
from ta_schemas.artifact import Artifact
from ta_schemas.errors import ArtifactError, InputError
from ta_schemas.jsonl import read_jsonl
from ta_schemas.rows import ConversationRow

STAGE = sys.modules["ta_data.prepare"]  # the package has a function of that name
FILES = ["README.md", "dropped.jsonl", "stats.json", "test.jsonl", "train.jsonl", "validation.jsonl"]


def stats_of(artifact: Artifact) -> Any:
    return json.loads(artifact.file("stats.json").read_text())


def rows_of(artifact: Artifact, *names: str) -> list[ConversationRow]:
    names = names or ("train", "validation", "test")
    return [row for name in names for row in read_jsonl(artifact.file(f"{name}.jsonl"), ConversationRow)]


def test_a_domain_becomes_a_sealed_dataset(domain: Path, tmp_path: Path) -> None:
    prepare(DataConfig(), domain, tmp_path / "out")

    dataset = Artifact.open(tmp_path / "out", kind="dataset")
    assert [entry.path for entry in dataset.manifest.files] == FILES
    assert dataset.manifest.metrics == {
        "rows": {"train": 20, "validation": 2, "test": 2},
        "tasks": 12,
        "groups": 1,
        "dropped": 0,
        "ignored_files": [],
    }
    assert stats_of(dataset)["funnel"] == {"input": 24, "drops": {}, "output": 24}
    assert stats_of(dataset)["sources"] == [{"format": "knowledge-base", "files": 1, "rows": 24}]


def test_the_system_prompt_is_the_first_message_of_every_row(domain: Path, tmp_path: Path) -> None:
    rows = rows_of(prepare(DataConfig(), domain, tmp_path / "out"))

    assert all((row.messages[0].role, row.messages[0].content) == ("system", "Be brief.") for row in rows)
    assert all(row.messages[1].role == "user" for row in rows)


def test_a_system_prompt_that_came_with_the_row_stays(domain: Path, tmp_path: Path, make: Any) -> None:
    own = {"role": "system", "content": "Be long."}
    row = make.chat("Hi there?", "Yes.")
    make.lines(domain / "raw" / "x.jsonl", [{"messages": [own, *row["messages"]]}])
    (domain / "domain.yaml").write_text("name: shop\nsystem_prompt: Be brief.\nsources: [{path: raw}]\n")

    rows = rows_of(prepare(DataConfig(), domain, tmp_path / "out"))

    assert [m.content for row in rows if row.source == "raw/x.jsonl:1" for m in row.messages] == [
        "Be long.",
        "Hi there?",
        "Yes.",
    ]


def test_the_manifest_holds_all_that_decides_the_output_and_no_path_of_the_machine(
    domain: Path, tmp_path: Path, tokenizer: Path
) -> None:
    dataset = prepare(DataConfig(seed=3, tokenizer=tokenizer), domain, tmp_path / "out")

    config = dataset.manifest.config
    assert config["domain"] == "shop"
    assert (config["system_prompt"], config["refusal"], config["seed"]) == ("Be brief.", "I only copy.", 3)
    assert config["split"] == {"by": "task", "shares": {"train": 0.8, "validation": 0.1, "test": 0.1}}
    assert [entry["path"] for entry in config["inputs"]] == ["raw/files.md"]
    assert config["tokenizer"].startswith("sha256:")
    assert config["benchmark"].startswith("sha256:")
    for file in [tmp_path / "out" / "manifest.json", *(dataset.file(name) for name in FILES)]:
        assert str(tmp_path) not in file.read_text()


def test_the_same_input_gives_the_same_digest_elsewhere(domain: Path, tmp_path: Path) -> None:
    first = prepare(DataConfig(), domain, tmp_path / "out")
    moved = tmp_path / "elsewhere"
    domain.rename(moved)

    assert prepare(DataConfig(), moved, tmp_path / "again").digest == first.digest


CHANGES: list[dict[str, Any]] = [
    {"seed": 1},
    {"split_by": "group"},
    {"shares": Shares(train=0.5, validation=0.3, test=0.2)},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_setting_changes_the_digest(domain: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    text = (domain / "raw" / "files.md").read_text()
    other = (
        text.replace("cp-", "mv-").replace("group: cp", "group: mv").replace("copy", "move").replace("cp", "mv")
    )
    (domain / "raw" / "other.md").write_text(other)
    plain = prepare(DataConfig(), domain, tmp_path / "plain")

    changed = prepare(DataConfig(**change), domain, tmp_path / "changed")

    assert changed.digest != plain.digest
    assert {row.id for row in rows_of(changed)} == {row.id for row in rows_of(plain)}


def test_what_is_sealed_already_is_returned_at_once(domain: Path, tmp_path: Path) -> None:
    first = prepare(DataConfig(), domain, tmp_path / "out")
    stamp = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns

    second = prepare(DataConfig(), domain, tmp_path / "out")

    assert second.digest == first.digest
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == stamp


def test_another_runs_artifact_is_replaced_only_when_asked(domain: Path, tmp_path: Path) -> None:
    first = prepare(DataConfig(), domain, tmp_path / "out")

    with pytest.raises(ArtifactError, match="holds another run's artifact: pass --force"):
        prepare(DataConfig(seed=1), domain, tmp_path / "out")
    assert Artifact.open(tmp_path / "out").digest == first.digest

    prepare(DataConfig(seed=1), domain, tmp_path / "out", replace=True)
    assert Artifact.open(tmp_path / "out").manifest.config["seed"] == 1


def test_a_damaged_artifact_is_refused_and_can_be_replaced(domain: Path, tmp_path: Path) -> None:
    first = prepare(DataConfig(), domain, tmp_path / "out")
    (tmp_path / "out" / "train.jsonl").write_text("")

    with pytest.raises(ArtifactError, match="truncated or changed"):
        prepare(DataConfig(), domain, tmp_path / "out")
    assert prepare(DataConfig(), domain, tmp_path / "out", replace=True).digest == first.digest


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("delete the folder TMP", "Gone.", "benchmark: exact"),
        ("Please delete now the folder tmp.", "Gone.", "benchmark: jaccard"),
        ("How do I get rid of it?", "Gone.\n\n```bash\nrm  -r tmp\n```", "benchmark: answer"),
    ],
)
def test_rows_that_touch_the_benchmark_are_dropped_and_named(
    domain: Path, tmp_path: Path, make: Any, question: str, answer: str, reason: str
) -> None:
    make.lines(domain / "raw" / "x.jsonl", [make.chat(question, answer, id="leak"), make.chat("Fine?", "Yes.")])
    text = (domain / "domain.yaml").read_text()
    (domain / "domain.yaml").write_text(text.replace("    format: knowledge-base\n", ""))
    make.lines(domain / "bench.jsonl", [make.bench_row("b1", "Delete the folder tmp now.", ["rm -r tmp"])])
    if reason == "benchmark: exact":
        make.lines(domain / "bench.jsonl", [make.bench_row("b1", "Delete the folder tmp.", ["rm -r tmp"])])

    dataset = prepare(DataConfig(), domain, tmp_path / "out")

    assert stats_of(dataset)["funnel"] == {"input": 26, "drops": {reason: 1}, "output": 25}
    (dropped,) = [json.loads(line) for line in dataset.file("dropped.jsonl").read_text().splitlines()]
    assert dropped == {
        "id": "leak",
        "reason": reason,
        "source": "raw/x.jsonl:1",
        "detail": "touches the held-out question 'b1'",
    }
    assert "leak" not in {row.id for row in rows_of(dataset)}


def test_another_benchmark_makes_another_dataset(domain: Path, tmp_path: Path, make: Any) -> None:
    prepare(DataConfig(), domain, tmp_path / "out")
    make.lines(domain / "bench.jsonl", [make.bench_row("b1", "Something else entirely?", ["ls"])])

    with pytest.raises(ArtifactError, match="another run's artifact"):
        prepare(DataConfig(), domain, tmp_path / "out")


def test_a_plain_folder_mixes_formats_and_names_what_it_does_not_read(
    tmp_path: Path, make: Any, knowledge_base: str
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "kb.md").write_text(knowledge_base)
    (folder / "notes.txt").write_text("x")
    make.lines(folder / "a.jsonl", [make.chat("A?", "B")])
    make.lines(folder / "b.jsonl", [{"instruction": "C?", "output": "D"}])
    make.lines(folder / "c.jsonl", [{"prompt": "E?", "completion": "F"}])
    make.lines(
        folder / "d.jsonl",
        [{"conversations": [{"from": "human", "value": "G?"}, {"from": "gpt", "value": "H"}]}],
    )

    dataset = prepare(DataConfig(), folder, tmp_path / "out")

    counts = {source["format"]: source["rows"] for source in stats_of(dataset)["sources"]}
    assert counts == {"knowledge-base": 24, "messages": 1, "alpaca": 1, "prompt-completion": 1, "sharegpt": 1}
    assert dataset.manifest.metrics["ignored_files"] == ["notes.txt"]
    assert dataset.manifest.config["domain"] == "mixed"
    assert all(row.messages[0].role == "user" for row in rows_of(dataset))


def test_a_file_of_another_name_is_read_when_its_format_is_given(
    tmp_path: Path, make: Any, chats: Path
) -> None:
    chats.rename(tmp_path / "chats.txt")

    dataset = prepare(DataConfig(format="messages"), tmp_path / "chats.txt", tmp_path / "out")

    assert stats_of(dataset)["funnel"]["output"] == 40


def test_the_funnel_adds_up_with_every_kind_of_drop(tmp_path: Path, make: Any, chats: Path) -> None:
    faulty = [
        {"messages": [{"role": "bot", "content": "x"}]},
        make.chat("Empty?", " "),
        make.chat("Same id?", "No.", id="c0"),
        make.chat("What is question 1?", "Answer 1.", id="other"),
        {"messages": [{"role": "user", "content": "x"}] * 2},
        {"text": "x"},
    ]
    chats.write_text(chats.read_text() + "{broken\n" + "".join(json.dumps(row) + "\n" for row in faulty))

    dataset = prepare(DataConfig(on_error="skip"), chats, tmp_path / "out")

    funnel = stats_of(dataset)["funnel"]
    assert funnel["drops"] == {
        "duplicate conversation": 1,
        "duplicate id": 1,
        "empty answer": 1,
        "missing key": 1,
        "not valid JSON": 1,
        "two users in a row": 1,
        "wrong role": 1,
    }
    assert funnel["input"] == 47 == funnel["output"] + sum(funnel["drops"].values())
    dropped = [json.loads(line) for line in dataset.file("dropped.jsonl").read_text().splitlines()]
    assert [row["source"] for row in dropped] == [f"chats.jsonl:{n}" for n in range(41, 48)]
    assert all(row["id"] and row["reason"] and row["detail"] for row in dropped)


def test_ctrl_c_in_the_middle_leaves_nothing(
    domain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(STAGE, "render_card", stop)
    before = sorted(tmp_path.iterdir())

    with pytest.raises(KeyboardInterrupt):
        prepare(DataConfig(), domain, tmp_path / "out")

    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupted_replacement_leaves_the_old_artifact(
    domain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ta_data: Callable[..., Any]
) -> None:
    first = prepare(DataConfig(), domain, tmp_path / "out")

    def stop(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(STAGE, "render_card", stop)
    ran = ta_data("prepare", domain, "--out", tmp_path / "out", "--force", "--seed", 1)

    assert (ran.code, ran.out) == (130, "")
    assert "Traceback" not in ran.err
    assert Artifact.open(tmp_path / "out").digest == first.digest
    assert not list(tmp_path.glob("*.partial-*"))


@pytest.fixture
def mixed(domain: Path) -> Path:
    """The domain with a table and a handbook among its knowledge base."""
    (domain / "raw" / "desk.csv").write_text(
        "Asked,Reply,Matter\nWhere to?,Over there then.,place\nWhere is it?,Over there.,place\n"
    )
    (domain / "raw" / "handbook.md").write_text("# H\n\n## Is it open?\n\nYes, it is open.\n\n## Rest\n\nx\n")
    text = (domain / "domain.yaml").read_text()
    columns = "{prompt: Asked, answer: Reply, task: Matter}"
    (domain / "domain.yaml").write_text(
        f"{text}  - {{path: raw/desk.csv, columns: {columns}, license: CC0-1.0}}\n"
        "  - {path: raw/handbook.md, format: documents}\n"
    )
    return domain


def test_tables_and_handbooks_stand_beside_a_knowledge_base(mixed: Path, tmp_path: Path) -> None:
    dataset = prepare(DataConfig(), mixed, tmp_path / "out")

    others = {row.source: row for row in rows_of(dataset) if not row.source.startswith("raw/files.md")}
    assert others.keys() == {"raw/desk.csv:2", "raw/desk.csv:3", "raw/handbook.md:3"}
    assert {others[f"raw/desk.csv:{n}"].task for n in (2, 3)} == {"place"}
    assert others["raw/desk.csv:2"].license == "CC0-1.0"
    stats = stats_of(dataset)
    assert stats["columns"] == {"raw/desk.csv": {"prompt": "Asked", "answer": "Reply", "task": "Matter"}}
    assert {s["format"] for s in stats["sources"]} == {"csv", "knowledge-base", "md"}


def test_a_bad_line_of_a_table_stops_unless_it_is_to_be_skipped(mixed: Path, tmp_path: Path) -> None:
    with (mixed / "raw" / "desk.csv").open("a") as file:
        file.write("one,two,three,four\n")

    with pytest.raises(InputError, match=r"desk\.csv:4: 4 columns, the header has 3"):
        prepare(DataConfig(), mixed, tmp_path / "out")
    dataset = prepare(DataConfig(on_error="skip"), mixed, tmp_path / "out")
    assert stats_of(dataset)["funnel"]["drops"] == {"quote or delimiter does not fit": 1}


def test_a_file_that_cannot_be_read_is_named(mixed: Path, tmp_path: Path) -> None:
    (mixed / "raw" / "desk.csv").write_bytes(b"\x7fELF" * 9)

    with pytest.raises(InputError, match=r"desk\.csv: skipped: binary content"):
        prepare(DataConfig(), mixed, tmp_path / "out")
