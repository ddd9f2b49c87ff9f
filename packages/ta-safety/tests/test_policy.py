"""The `safety` part of domain.yaml: known keys only, and a hint for a typo."""

import re
from pathlib import Path

import pytest
import yaml

from ta_safety.policy import DEFAULTS, RAILS, Domain, load_domain, parse_domain, rail_policy
from ta_safety.red_team.command import harmless_conversations
from ta_schemas import InputError

ROOT = Path(__file__).parents[3]


def test_every_rail_has_a_default() -> None:
    assert set(DEFAULTS) == set(RAILS)


def test_the_domain_of_the_repository_is_read() -> None:
    domain = load_domain(ROOT / "data" / "linux-cli")
    assert domain.name == "linux-cli"
    assert "rm -rf" in domain.safety.warn_before


@pytest.mark.parametrize(
    ("safety", "message"),
    [
        ({"rails": {"injektion": {}}}, "safety.rails.injektion: unknown key: did you mean 'injection'?"),
        (
            {"rails": {"pii": {"treshold": 1}}},
            "safety.rails.pii.treshold: unknown key: did you mean 'threshold'?",
        ),
        ({"max_char": 1}, "safety.max_char: unknown key: did you mean 'max_chars'?"),
        ({"rails": {"leak": {"action": "mask"}}}, "leak cannot be masked"),
        ({"rails": {"pii": {"threshold": 2}}}, "less than or equal to 1"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_key(safety: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=".") as error:
        parse_domain({"safety": safety}, where="domain.yaml")
    assert message in str(error.value)


def test_keys_of_the_other_stages_pass() -> None:
    assert parse_domain({"name": "x", "sources": []}, where="d").name == "x"


@pytest.mark.parametrize(("content", "message"), [("a: [", "not valid YAML"), ("- x", "expected 'key: value'")])
def test_a_file_that_is_no_domain_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "domain.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        load_domain(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_domain(tmp_path)


def test_what_the_domain_leaves_out_is_the_default() -> None:
    domain = parse_domain({"safety": {"rails": {"pii": {"threshold": 0.2}}}}, where="d")
    assert rail_policy(domain.safety, "pii").action == DEFAULTS["pii"].action
    assert rail_policy(domain.safety, "pii").threshold == 0.2
    assert Domain().refusal


def test_what_must_pass_is_what_the_domain_names_else_its_benchmark(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "b"}\n')
    plain = parse_domain({"benchmark": "a.jsonl"}, where="d")
    named = parse_domain({"benchmark": "a.jsonl", "safety": {"harmless": ["b.jsonl"]}}, where="d")
    questions = [harmless_conversations(tmp_path, domain)[0][0]["content"] for domain in (plain, named)]
    assert questions == ["a", "b"]
    assert harmless_conversations(tmp_path, Domain()) == []


def test_the_example_in_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    monkeypatch.chdir(ROOT)
    exec(compile(code[1], "README.md", "exec"), {})


def test_the_yaml_in_the_readme_is_a_policy() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    assert parse_domain(yaml.safe_load(block[1]), where="README").safety.max_chars == 16_000
