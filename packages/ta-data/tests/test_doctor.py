"""The doctor: every finding has rows that show it, a count, examples with their place, and a fix."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.diagnose import Diagnosis, diagnose
from ta_data.doctor.findings import CHECKS
from ta_data.doctor.template import Template, TemplateError
from ta_schemas.errors import InputError


def say(*turns: str, **more: Any) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(turns)
    messages = [{"role": r, "content": t} for r, t in zip(roles, turns, strict=False)]
    return {"messages": messages, "license": "MIT", "source": "s:1", **more}


def turns(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": r, "content": c} for r, c in pairs], "license": "MIT", "source": "s:1"}


def look(
    folder: Path, config: DoctorConfig | None = None, benchmarks: Any = None, **splits: list[Any]
) -> Diagnosis:
    folder.mkdir(exist_ok=True)
    for name, rows in splits.items():
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return diagnose(folder, config or DoctorConfig(), benchmarks=benchmarks)


def found(diagnosis: Diagnosis) -> dict[str, int]:
    return {finding.check: finding.count for finding in diagnosis.findings}


WORDS = " ".join(f"word{chr(97 + n)}" for n in range(20))
PREFERENCE = {"prompt": "How?", "license": "MIT", "source": "s:1"}

ONE_SPLIT: dict[str, list[Any]] = {
    "unreadable": ["{broken"],
    "misshaped": [{"text": "x", "license": "MIT", "source": "s"}],
    "unknown-role": [turns(("user", "A?"), ("bot", "x"), ("assistant", "B."))],
    "empty-message": [say("A?", " ")],
    "no-answer": [turns(("user", "A?"))],
    "not-user-first": [turns(("assistant", "A."), ("user", "B?"), ("assistant", "C."))],
    "roles-repeat": [turns(("user", "A?"), ("user", "B?"), ("assistant", "C."))],
    "last-not-assistant": [say("A?", "B.", "C?")],
    "chosen-is-rejected": [{**PREFERENCE, "chosen": "So.", "rejected": " So. "}],
    "no-trained-tokens": [say("word " * 3000, "B.")],
    "secret": [say("A?", "password: hunter2-Blue")],
    "duplicate-id": [say("A?", "B.", id="x"), say("C?", "D.", id="x")],
    "truncated-answer": [say("A?", "word " * 3000)],
    "duplicate": [say("A?", "B."), say("A?", "B.")],
    "several-answers": [say("A?", "B."), say("A?", "C.")],
    "repeated-answer": [say(f"Question {n}?", "Yes.") for n in range(21)],
    "answer-in-prompt": [say("Repeat: the lid turns left.", "the lid turns left.")],
    "system-prompts": [
        turns(("system", f"Be {n}."), ("user", f"Q{n}?"), ("assistant", f"A{n}.")) for n in range(4)
    ],
    "special-tokens": [say("A?", "B.<|im_end|>")],
    "language-mix": [
        say("Wie öffne ich diesen Deckel am besten?", "Drehen Sie ihn langsam und vorsichtig nach links."),
        *(
            say(f"How do I open the lid number {n} of this pot?", f"Turn it to the left, {n} times.")
            for n in range(3)
        ),
    ],
    "mojibake": [say("A?", "GrÃ¶ÃŸe")],
    "invisible": [say("A?", "B\u200bC")],
    "refusal": [say("A?", "As an AI language model I cannot say.")],
    "personal-data": [say("A?", "Mail a@b.example")],
    "length-skew": [
        {**PREFERENCE, "prompt": f"{n}?", "chosen": f"long answer {n}", "rejected": "no"} for n in range(3)
    ],
    "imbalance": [
        *(say(f"Q{n}?", f"A{n}.", source="big:1") for n in range(9)),
        say("Q?", "A.", source="small:1"),
    ],
    "synthetic": [say("A?", "B.", synthetic={"teacher": "t"})],
    "no-license": [{**say("A?", "B."), "license": ""}],
    "no-source": [{**say("A?", "B."), "source": ""}],
}
TWO_SPLITS: dict[str, tuple[Any, Any]] = {
    "duplicate-across-splits": (say("How is it opened?", "B."), say("how is it opened", "C.")),
    "near-duplicate-across-splits": (say(WORDS, "B."), say(f"{WORDS} today", "C.")),
    "task-across-splits": (say("A?", "B.", task="t"), say("C?", "D.", task="t")),
    "group-across-splits": (say("A?", "B.", group="g"), say("C?", "D.", group="g")),
}


@pytest.mark.parametrize("check", ONE_SPLIT)
def test_a_finding_is_counted_and_named(tmp_path: Path, check: str) -> None:
    diagnosis = look(tmp_path / "d", train=ONE_SPLIT[check])

    (finding,) = [f for f in diagnosis.findings if f.check == check]
    assert finding.count == 1
    assert (finding.severity, finding.fix) == (CHECKS[check].severity, CHECKS[check].fix)
    assert len(finding.examples) == 1
    assert diagnosis.blocked == any(f.severity == "block" for f in diagnosis.findings)


@pytest.mark.parametrize("check", TWO_SPLITS)
def test_what_crosses_splits_blocks(tmp_path: Path, check: str) -> None:
    train, test = TWO_SPLITS[check]

    diagnosis = look(tmp_path / "d", train=[train], test=[test])

    assert found(diagnosis) == {check: 1}
    assert diagnosis.findings[0].examples[0]["where"] == "test.jsonl:1"
    assert diagnosis.blocked


def test_questions_that_differ_in_a_key_do_not_leak(tmp_path: Path) -> None:
    diagnosis = look(
        tmp_path / "d", train=[say(f"{WORDS} `ls -a`", "B.")], test=[say(f"{WORDS} `ls -A`", "C.")]
    )

    assert found(diagnosis) == {}


def test_every_check_has_a_test() -> None:
    assert CHECKS.keys() - ONE_SPLIT.keys() - TWO_SPLITS.keys() == {"template-error", "benchmark-contact"}


def test_a_healthy_dataset_has_no_findings(tmp_path: Path) -> None:
    diagnosis = look(tmp_path / "d", train=[say("A?", "B."), say("C?", "D.")], test=[say("E?", "F.")])

    assert diagnosis.as_json()["verdict"] == "healthy"
    assert diagnosis.splits == {"train": 2, "test": 1}


def test_contact_with_a_benchmark_blocks(tmp_path: Path) -> None:
    bench = tmp_path / "bench.jsonl"
    bench.write_text(json.dumps({"id": "q", "question": "How is the lid opened?"}))

    diagnosis = look(tmp_path / "d", train=[say("how is the lid opened", "B.")], benchmarks=[bench])

    assert diagnosis.findings[0].examples[0]["what"] == "exact: q"


def test_thresholds_let_rows_through_and_change_the_severity(tmp_path: Path) -> None:
    rows = [say("A?", "B."), say("A?", "C."), say("D?", "password: hunter2-Blue")]
    config = DoctorConfig.model_validate(
        {
            "thresholds": {
                "several-answers": {"severity": "block", "max_count": 1},
                "secret": {"severity": "off"},
            }
        }
    )

    assert found(look(tmp_path / "d", config, train=rows)) == {}
    assert look(tmp_path / "d", train=rows).blocked
    shared = DoctorConfig.model_validate({"thresholds": {"secret": {"max_share": 0.34}}})
    assert found(look(tmp_path / "d", shared, train=rows)) == {"several-answers": 1}


@pytest.mark.parametrize(
    ("setting", "value", "check", "rows"),
    [
        ("max_tokens", 10_000, "truncated-answer", ONE_SPLIT["truncated-answer"]),
        ("repeats", 21, "repeated-answer", ONE_SPLIT["repeated-answer"]),
        ("systems", 4, "system-prompts", ONE_SPLIT["system-prompts"]),
        ("dominant", 0.95, "imbalance", ONE_SPLIT["imbalance"]),
        ("skew", 1.0, "length-skew", ONE_SPLIT["length-skew"]),
        ("language_sample", 0, "language-mix", ONE_SPLIT["language-mix"]),
    ],
)
def test_each_setting_counts(tmp_path: Path, setting: str, value: Any, check: str, rows: list[Any]) -> None:
    assert check not in found(look(tmp_path / "d", DoctorConfig(**{setting: value}), train=rows))


def test_near_is_a_setting_too(tmp_path: Path) -> None:
    train, test = TWO_SPLITS["near-duplicate-across-splits"]

    assert found(look(tmp_path / "d", DoctorConfig(near=0.99), train=[train], test=[test])) == {}


def test_a_dataset_of_prepare_passes_and_its_funnel_adds_up(
    domain: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    ta_data("prepare", domain, "--out", tmp_path / "out")

    ran = ta_data("doctor", tmp_path / "out", "--json")

    report = json.loads(ran.out)
    assert report["funnel"] == {"input": 24, "drops": {}, "output": 24, "adds_up": True}
    assert report["rows"] == 24 == sum(report["splits"].values())


def test_a_funnel_that_does_not_add_up_is_shown(
    domain: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    ta_data("prepare", domain, "--out", tmp_path / "out")
    train = tmp_path / "out" / "train.jsonl"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[1:]))

    ran = ta_data("doctor", tmp_path / "out")

    assert "the funnel does not add up" in ran.out


def test_the_exit_code_follows_the_severity(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    good, warned, bad = (tmp_path / name for name in ("g.jsonl", "w.jsonl", "b.jsonl"))
    good.write_text(json.dumps(say("A?", "B.")))
    warned.write_text(json.dumps(say("A?", "Mail a@b.example")))
    bad.write_text(json.dumps(say("A?", "")))

    assert ta_data("doctor", good).code == 0
    assert ta_data("doctor", warned).code == 0
    assert ta_data("doctor", warned, "--strict").code == 6
    assert ta_data("doctor", bad).code == 6
    assert "not fit to train on: empty-message" in ta_data("doctor", bad).err


def test_the_settings_file_is_read_and_checked(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    rows, settings = tmp_path / "r.jsonl", tmp_path / "doctor.yaml"
    rows.write_text(json.dumps(say("A?", "password: hunter2-Blue")))
    settings.write_text("thresholds: {secret: {severity: warn}}\n")

    assert ta_data("doctor", rows, "--config", settings).code == 0
    settings.write_text("thresholds: {sekret: {severity: warn}}\n")
    assert "unknown check 'sekret'" in ta_data("doctor", rows, "--config", settings).err
    settings.write_text("max_token: 3\n")
    assert "did you mean 'max_tokens'?" in ta_data("doctor", rows, "--config", settings).err


def test_the_page_shows_findings_and_marks_what_is_trained(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    rows = tmp_path / "r.jsonl"
    rows.write_text(json.dumps(say("A <b>?", "Mail a@b.example")))

    ta_data("doctor", rows, "--html", tmp_path / "d.html", "--summary", tmp_path / "d.json")

    page = (tmp_path / "d.html").read_text()
    assert "<mark>Mail a@b.example&lt;|im_end|&gt;\n</mark>" in page
    assert "A &lt;b&gt;?" in page
    assert "personal-data" in page
    assert json.loads((tmp_path / "d.json").read_text())["verdict"] == "warnings"


STRICT = (
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def model(tokenizer: Path) -> Path:
    """A model folder whose template refuses system prompts."""
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"chat_template": STRICT, "eos_token": "</s>"}))
    return tokenizer


def test_a_template_that_raises_blocks(tmp_path: Path, model: Path, ta_data: Callable[..., Any]) -> None:
    rows = tmp_path / "r.jsonl"
    rows.write_text(json.dumps(turns(("system", "S"), ("user", "A?"), ("assistant", "B."))))

    report = json.loads(ta_data("doctor", rows, "--tokenizer", model, "--json").out)

    assert [f["check"] for f in report["findings"]] == ["template-error"]
    assert "no system role" in report["findings"][0]["examples"][0]["what"]


def test_the_models_own_template_and_tokenizer_are_used(
    tmp_path: Path, model: Path, ta_data: Callable[..., Any]
) -> None:
    rows = tmp_path / "r.jsonl"
    rows.write_text(json.dumps(say("Hi?", "Yes.")))

    report = json.loads(ta_data("doctor", rows, "--tokenizer", model, "--json", "--max-tokens", 20).out)

    assert [part["text"] for part in report["previews"][0]["parts"]] == ["[user]Hi?</s>[assistant]", "Yes.</s>"]
    assert report["lengths"]["unit"] == "tokens"
    assert [f["check"] for f in report["findings"]] == ["no-trained-tokens"]


def test_every_answer_of_a_conversation_is_trained_and_nothing_else(model: Path) -> None:
    messages = say("A?", "B.", "C?", "D.")["messages"]

    parts = Template(model).parts(messages)

    assert [part.text for part in parts if part.trained] == ["B.</s>", "D.</s>"]
    assert "".join(part.text for part in parts) == Template(model).text(messages, ask=False)


def test_a_template_that_changes_earlier_turns_is_named(tmp_path: Path) -> None:
    tmp_path.joinpath("chat_template.jinja").write_text("{{ messages|length }}{{ messages[-1]['content'] }}")

    with pytest.raises(TemplateError, match="a later turn changes"):
        Template(tmp_path).parts(say("A?", "B.")["messages"])


def test_a_broken_template_and_an_empty_source_are_named(tmp_path: Path) -> None:
    tmp_path.joinpath("chat_template.jinja").write_text("{% if %}")
    (tmp_path / "e.jsonl").write_text("\n")

    with pytest.raises(InputError, match=r"chat_template\.jinja:1: not a chat template"):
        Template(tmp_path)
    with pytest.raises(InputError, match="no rows in it"):
        diagnose(tmp_path / "e.jsonl", DoctorConfig())
