from pathlib import Path

from cli_fixtures import write

from ta_data.domain import Domain
from ta_schemas import Artifact, ArtifactWriter, Parent
from tunedassist_cli.full.systems import (
    System,
    described,
    examples,
    index_of,
    with_prompt,
    with_retrieval,
)

DOMAIN = Domain(
    name="d", system_prompt="Be brief.", scope="Shells.", refusal="No.", answer_style=["one line", "no jokes"]
)
DIGEST = "sha256:" + "1" * 64
BASE = System(
    "base", {"model": "m", "digest": DIGEST}, Parent(kind="model", digest=DIGEST), Path(), lambda: None
)


def conversation(question, answer, **keys):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return {"id": question, "messages": messages, **keys}


def dataset_of(folder: Path, rows) -> Artifact:
    with ArtifactWriter(folder, kind="dataset", producer="test") as writer:
        write(writer.path / "train.jsonl", rows)
    return Artifact.open(folder)


ROWS = [
    conversation("copy a tree", "cp -a", task="cp"),
    conversation("copy the whole tree", "cp -a x", task="cp"),
    conversation("list the files", "ls", task="ls"),
    conversation("erase the disk", "Warning!", task="dd", kind="warn"),
    conversation("sing", "No.", kind="out-of-scope"),
]


def asked_of(system, messages):
    """What the model sees."""
    seen = []

    def engine(batch, **_):
        seen.extend(batch)
        return [None] * len(batch)

    system.answering(engine)([messages], max_tokens=1, temperature=0.0)
    return seen[0]


QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "how to copy a tree"}]


def test_a_plain_system_is_asked_as_it_is():
    assert asked_of(BASE, QUESTION) == QUESTION


def test_the_prompted_system_sees_what_the_domain_says_then_examples_then_the_question(tmp_path):
    dataset = dataset_of(tmp_path / "d", ROWS)
    seen = asked_of(with_prompt(BASE, dataset, DOMAIN), QUESTION)
    assert seen[0] == {"role": "system", "content": described(DOMAIN)}
    assert seen[-1] == QUESTION[-1]
    assert [message["role"] for message in seen[1:-1]] == ["user", "assistant"] * ((len(seen) - 2) // 2)
    assert {"role": "assistant", "content": "Warning!"} in seen


def test_the_described_domain_names_scope_style_and_refusal():
    text = described(DOMAIN)
    for part in ("Be brief.", "Shells.", "one line", "no jokes", '"No."'):
        assert part in text


def test_a_domain_that_says_nothing_more_keeps_its_system_prompt():
    assert described(Domain(name="d", system_prompt="Be brief.")) == "Be brief."


def test_examples_show_every_kind(tmp_path):
    assert {row.kind for row in examples(dataset_of(tmp_path / "d", ROWS))} == {
        "warn",
        "out-of-scope",
        "answer",
    }


def test_the_retrieving_system_sees_passages_of_the_training_split(tmp_path):
    dataset = dataset_of(tmp_path / "d", ROWS)
    seen = asked_of(with_retrieval(BASE, dataset, index_of(dataset)), QUESTION)
    assert "Question: copy a tree\nAnswer: cp -a" in seen[0]["content"]
    assert seen[1:] == QUESTION[1:]


def test_a_task_is_one_passage(tmp_path):
    texts = [document.text for document in index_of(dataset_of(tmp_path / "d", ROWS)).documents]
    assert len(texts) == 4
    assert not any("whole tree" in text for text in texts)


def test_what_is_added_to_the_prompt_identifies_a_system(tmp_path):
    dataset = dataset_of(tmp_path / "d", ROWS)
    systems = [BASE, with_prompt(BASE, dataset, DOMAIN), with_retrieval(BASE, dataset, index_of(dataset))]
    assert len({str(system.model) for system in systems}) == 3
    assert {system.model["digest"] for system in systems} == {DIGEST}


def test_the_folder_of_a_system_is_a_plain_file_name():
    assert BASE._replace(name="tuned + DPO, Q8_0").folder == "tuned-dpo-q8-0"
