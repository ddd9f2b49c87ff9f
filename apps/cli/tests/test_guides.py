"""What the guides say of options, formats and files is what the code has."""

import re
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[1] / "guides"
ROOT = Path(__file__).parents[3]
FILES = sorted(GUIDES.glob("*.md"))


def text(name):
    return (GUIDES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", FILES, ids=lambda file: file.name)
def test_every_link_of_a_guide_leads_somewhere(guide):
    for target in re.findall(r"\]\(([^)#:]+)\)", guide.read_text(encoding="utf-8")):
        assert (guide.parent / target).exists(), target


@pytest.mark.parametrize("guide", FILES, ids=lambda file: file.name)
def test_every_recipe_a_guide_names_exists(guide):
    recipes = (ROOT / "Justfile").read_text(encoding="utf-8")
    for recipe in re.findall(r"\bjust (?!--)([a-z][\w-]+)", guide.read_text(encoding="utf-8")):
        assert re.search(rf"^{recipe}\b", recipes, flags=re.M), recipe


def test_the_gates_table_has_every_threshold_with_its_default():
    from tunedassist_cli.release.thresholds import Thresholds

    told = dict(re.findall(r"`(m\w+): ([\d.]+)`", text("reading-the-report.md")))
    assert {key: float(value) for key, value in told.items()} == Thresholds().model_dump()


def test_the_contracts_name_every_kind_and_exit_code():
    from ta_schemas.manifest import KINDS
    from tunedassist_cli.exit_codes import EXIT_CODES

    guide = text("the-contracts.md")
    assert all(f"`{kind}`" in guide for kind in KINDS)
    assert all(re.search(rf"\b{code} ", guide) for code in EXIT_CODES)


def test_the_python_of_the_contracts_makes_a_dataset(tmp_path, monkeypatch):
    from ta_schemas import Artifact

    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", text("the-contracts.md"), flags=re.S)
    exec(program, {})
    assert Artifact.open(Path("mine"), kind="dataset").digest


def test_the_detector_of_the_rail_guide_works():
    program = next(
        block
        for block in re.findall(r"```python\n(.*?)```", text("writing-a-rail.md"), flags=re.S)
        if "def find_promises" in block
    )
    names = {}
    exec("\n".join(line.removeprefix("   ") for line in program.splitlines()), names)
    (match,) = names["find_promises"]("Your bike arrives on Monday.")
    assert (match.start, match.end) == (10, 27)
    assert names["find_promises"]("It arrives when it is ready.") == []


def test_the_yaml_of_the_rail_guide_is_a_valid_policy():
    import yaml

    from ta_safety.policy import parse_domain

    (block,) = re.findall(r"```yaml\n(.*?)```", text("writing-a-rail.md"), flags=re.S)
    policy = parse_domain(yaml.safe_load(block), where="guide").safety
    assert policy.rails["injection"].threshold == 0.4


POINTS = [
    "Prepare data", "SFT with LoRA", "QLoRA", "Unsloth", "DPO", "Export to GGUF", "Evaluate",
    "LLM as judge, pairwise",
    "Red team", "Gradio demo", "Rank experiments", "Adapter registry", "A benchmark of 30 questions and more",
    "20 blind judgments by people", "15 injection cases", "20 adversarial scenarios", "Model card",
    "Weights & Biases", "RLHF", "Merging", "Distillation", "Quantization study", "Continuous learning",
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_every_point_of_the_original_brief_has_its_place(point):
    assert f"**{point}.**" in text("seed-commands.md")


def test_the_counts_of_the_brief_are_those_of_the_data():
    guide = text("seed-commands.md")
    folder = ROOT / "data" / "linux-cli"
    count = {
        name: len((folder / name).read_text(encoding="utf-8").splitlines())
        for name in ("benchmark.jsonl", "general.jsonl", "injection.jsonl", "red-team.jsonl")
    }
    assert f"{count['benchmark.jsonl']} in the domain, {count['general.jsonl']} outside it" in guide
    assert f"{count['injection.jsonl']} labelled messages" in guide
    assert count["red-team.jsonl"] >= 20
