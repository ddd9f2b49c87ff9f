"""A domain is a folder: every one below data/ goes through the same code, and no stage knows any by name."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ta_data import DataConfig, prepare
from ta_data.collect.sources import collect, find_inputs
from ta_data.disjoint import normalised
from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.diagnose import diagnose
from ta_data.domain import load_domain
from ta_eval.benchmark import read_benchmark
from ta_safety.lines import rows as read_rows
from ta_safety.policy import load_domain as load_policy
from ta_safety.red_team.scenario import read_scenarios, succeeded
from ta_schemas import Artifact
from ta_schemas.rows import ConversationRow

ROOT = Path(__file__).parent.parent
DOMAINS = sorted(file.parent for file in (ROOT / "data").glob("*/domain.yaml"))
SECOND = ROOT / "data" / "town-recycling"
NAMED_AS_AN_EXAMPLE = re.compile(r"such as (?:data|runs)/[\w./-]+")


class Prepared(NamedTuple):
    """A domain's dataset."""

    domain: Path
    dataset: Artifact


@pytest.fixture(scope="module", params=DOMAINS, ids=lambda folder: folder.name)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    out = tmp_path_factory.mktemp(request.param.name) / "dataset"
    return Prepared(request.param, prepare(DataConfig(), request.param, out))


@pytest.fixture(scope="module")
def rows() -> list[ConversationRow]:
    """What the second domain has of its own."""
    root, domain = load_domain(SECOND)
    inputs = [file for file in find_inputs(root, domain, None).inputs if not file.relative.startswith("..")]
    return [record.row for record in collect(inputs, domain.refusal, {}, {}) if hasattr(record, "row")]


def test_there_are_two_domains() -> None:
    assert len(DOMAINS) >= 2
    assert SECOND in DOMAINS


def test_prepare_keeps_every_row_of_a_domain(prepared: Prepared) -> None:
    metrics = prepared.dataset.manifest.metrics
    assert metrics["dropped"] == 0
    assert all(metrics["rows"][split] for split in ("train", "validation", "test"))


def test_the_doctor_finds_nothing_that_blocks_and_no_contact_with_the_benchmark(prepared: Prepared) -> None:
    _, domain = load_domain(prepared.domain)
    held_out = prepared.domain / domain.benchmark
    report = diagnose(prepared.dataset.path, DoctorConfig(), tokenizer=None, benchmarks=[held_out])
    assert [finding.check for finding in report.findings if finding.severity == "block"] == []


def test_no_stage_mentions_a_domain_by_name_outside_of_its_examples() -> None:
    names = [folder.name for folder in DOMAINS] + ["tarnbury"]
    found = [
        f"{file.relative_to(ROOT)}: {text!r}"
        for file in sorted(ROOT.glob("packages/*/src/**/*"))
        if file.suffix in (".py", ".yaml", ".txt", ".j2", ".jinja", ".sh")
        for text in (code_strings(file) if file.suffix == ".py" else [file.read_text(encoding="utf-8")])
        if any(name in NAMED_AS_AN_EXAMPLE.sub("", text.casefold()) for name in names)
    ]
    assert found == []


def code_strings(file: Path) -> Iterator[str]:
    """The names and strings of a module, docstrings (where a command shows its example) left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id


def test_a_domain_named_in_code_would_be_noticed(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""Example: data/linux-cli."""\nif name == "linux-cli":\n    pass\n')
    assert sorted(code_strings(module)) == ["linux-cli", "name"]


def test_the_second_domain_has_what_the_card_promises(rows: list[ConversationRow]) -> None:
    items = read_benchmark(SECOND / "benchmark.jsonl").rows
    cases = list(read_rows(SECOND / "injection.jsonl", fields=("text",)))
    assert len({row.task for row in rows}) >= 150
    assert len(items) >= 100
    assert {"regex", "numeric", "multiple_choice", "token_f1"} <= {item.scorer for item in items}
    assert len({item.category for item in items}) >= 5
    assert len({item.group for item in items}) >= 50
    assert len(cases) >= 30
    assert {case["label"] for case in cases} == {"attack", "benign"}


def test_the_second_domain_is_read_from_a_knowledge_base_a_table_and_a_handbook(
    rows: list[ConversationRow],
) -> None:
    files = Counter(row.source.rpartition(":")[0].rpartition(".")[0].rpartition("/")[2] for row in rows)
    assert files["desk-questions"] == 63
    assert files["handbook"] == 15
    assert sum(files.values()) > 1000


def test_every_answer_of_the_second_domain_has_the_style_of_its_kind(rows: list[ConversationRow]) -> None:
    _, domain = load_domain(SECOND)
    wrong = [
        f"{row.source}: {answer}"
        for row in rows
        for answer in [row.messages[-1].content if len(row.messages) == 2 else row.messages[1].content]
        if not {
            "answer": not answer.endswith("?") and answer != domain.refusal,
            "warn": answer.startswith("Warning:"),
            "clarify": answer.endswith("?"),
            "out-of-scope": answer == domain.refusal,
        }[row.kind]
        or len(answer.split()) > 32
    ]
    assert wrong == []


def test_no_question_of_the_second_domain_is_asked_twice_or_keeps_a_placeholder(
    rows: list[ConversationRow],
) -> None:
    asked = Counter(normalised(row.messages[0].content) for row in rows)
    assert [question for question, times in asked.items() if times > 1] == []
    assert [m.content for row in rows for m in row.messages if "{" in m.content] == []


def test_a_good_answer_is_no_success_of_an_attack_on_the_second_domain() -> None:
    policy = load_policy(SECOND)
    scenarios = read_scenarios(SECOND / "red-team.jsonl")
    assert len(scenarios) >= 10
    for scenario in scenarios:
        for good in (policy.refusal, "Warning: that is dangerous. Hazard counter: bring it there."):
            done = succeeded(scenario.success, good, system_prompt=policy.system_prompt, finish_reason="stop")
            assert not done, scenario.id
