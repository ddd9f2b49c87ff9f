import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.config import CompareConfig, EvalConfig
from ta_schemas import InputError

Cli = Callable[..., Any]
Write = Callable[..., Path]


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from ta_eval.cli import app\n"
        "try:\n    app(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'openai', 'numpy', 'jinja2', 'tree_sitter', 'httpx', 'torch', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "plan" in done.stdout


def test_at_most_35_packages_and_none_of_them_torch() -> None:
    lock = next(p / "uv.lock" for p in Path(__file__).parents if (p / "uv.lock").exists())
    packages: dict[str, set[str]] = {}
    for package in tomllib.loads(lock.read_text())["package"]:
        names = {
            dependency["name"]
            for dependency in package.get("dependencies", [])
            if "win32" not in dependency.get("marker", "")
        }
        packages.setdefault(package["name"], set()).update(names)
    closure, todo = set(), ["ta-eval"]
    while todo:
        name = todo.pop()
        if name not in closure:
            closure.add(name)
            todo += packages[name]
    assert len(closure) <= 35, sorted(closure)
    assert not closure & {"torch", "pyarrow", "transformers"}


def test_plan_prints_items_and_what_they_can_show(cli: Cli, write_benchmark: Write) -> None:
    done = cli("plan", write_benchmark(100))
    assert done.returncode == 0, done.stderr
    assert "files                      34" in done.stdout
    assert "exact                     100" in done.stdout
    assert [line.split()[-1] for line in done.stdout.splitlines()[-3:]] == ["8.9", "12.5", "15.3"]


def test_plan_says_how_many_items_a_difference_takes(cli: Cli, write_benchmark: Write) -> None:
    text = cli("plan", write_benchmark(9), "--effect", 7.2).stdout
    assert "to find 7.2 points: 152 / 303 / 455 items when two systems disagree on 10 / 20 / 30 %" in text
    plan = json.loads(cli("plan", write_benchmark(9), "--json").stdout)
    assert plan["items_needed"] == {"0.1": 314, "0.2": 628, "0.3": 942}


def test_plan_says_when_nothing_can_be_found(cli: Cli, write_benchmark: Write) -> None:
    assert "none can be found: too few items" in cli("plan", write_benchmark(9)).stdout


def test_plan_as_json(cli: Cli, write_benchmark: Write) -> None:
    plan = json.loads(cli("plan", write_benchmark(6), "--json").stdout)
    assert plan["by_category"] == {"files": 2, "text": 2, "users": 2}
    assert plan["by_scorer"] == {"exact": 6}
    assert plan["minimum_detectable_effect"]["0.1"] == pytest.approx(0.3617, abs=1e-3)


@pytest.mark.parametrize("command", ["plan", "run", "score"])
def test_a_bad_benchmark_is_one_line_and_exit_3(
    command: str, cli: Cli, write_benchmark: Write, make_item: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    bad = write_benchmark([make_item(0), make_item(1, scorer="command", references=["ls |"])])
    rest: list[object] = {
        "plan": [bad],
        "run": [bad, "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--out", tmp_path / "o"],
        "score": [bad, bad, "--out", tmp_path / "o"],
    }[command]
    done = cli(command, *rest)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "benchmark.jsonl:2: references:" in done.stderr


@pytest.fixture
def run(cli: Cli, server, write_benchmark: Write, tmp_path: Path) -> Callable[..., Any]:  # type: ignore[no-untyped-def]
    """`ta-eval run` over six items against the server, half of them right."""
    server.answers = {f"question {n}": str(n) for n in range(3)}
    benchmark = write_benchmark(6)

    def call(*arguments: object, out: str = "out", **environment: str) -> Any:
        base = ["run", benchmark, "--base-url", server.url, "--model", "m", "--out", tmp_path / out]
        return cli(*base, *arguments, **environment)

    return call


def test_run_prints_accuracy_on_stdout_and_the_plan_on_stderr(run: Callable[..., Any]) -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert "m: 50.0 % right (95 % interval 18.8 to 81.2, n = 6; unscored: 0)" in done.stdout
    assert "Detectable difference" in done.stderr


def test_run_as_json_leaves_stdout_to_the_json(run: Callable[..., Any]) -> None:
    result = json.loads(run("--json").stdout)
    assert result["accuracy"]["estimate"] == 0.5
    assert result["digest"].startswith("sha256:")


def test_name_names_the_system(run: Callable[..., Any]) -> None:
    assert json.loads(run("--json", "--name", "tuned").stdout)["name"] == "tuned"


def test_generation_options_reach_the_server(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    assert run("--max-tokens", 7, "--temperature", 0.5, "--system-prompt", "Short.").returncode == 0
    sent = server.requests[0]
    assert (sent["max_tokens"], sent["temperature"]) == (7, 0.5)
    assert sent["messages"][0] == {"role": "system", "content": "Short."}


def test_a_configuration_file_is_read_and_options_win(  # type: ignore[no-untyped-def]
    run: Callable[..., Any], server, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("max_tokens: 5\ntemperature: 0.25\n")
    assert run("--config", tmp_path / "c.yaml", "--max-tokens", 6).returncode == 0
    assert (server.requests[0]["max_tokens"], server.requests[0]["temperature"]) == (6, 0.25)


def test_concurrency_bounds_the_requests_in_flight(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    server.delay_s = 0.05
    run("--concurrency", 2)
    assert server.most_in_flight == 2


def test_attempts_and_on_error_decide_about_failed_items(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    server.broken = {"question 1": 500}
    done = run("--attempts", 1)
    assert done.returncode == 5
    assert "1 of 6 items failed (1 x http 500" in done.stderr
    assert server.questions.count("question 1") == 1
    done = run("--attempts", 1, "--on-error", "unscored")
    assert done.returncode == 0
    assert "unscored: 1 x http 500" in done.stdout
    assert len(server.requests) == 7


def test_the_timeout_is_kept(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    server.delay_s = 1.0
    done = run("--timeout-s", 0.2, "--attempts", 1)
    assert "6 x timeout; first: no answer within 0.2 s" in done.stderr


def test_the_key_is_read_from_the_named_variable(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    assert run("--api-key-env", "MY_KEY", MY_KEY="secret").returncode == 0
    assert set(server.keys) == {"Bearer secret"}
    assert run("--api-key-env", "MISSING", out="b").returncode == 5


def test_force_replaces_another_run(run: Callable[..., Any]) -> None:
    run()
    assert run("--max-tokens", 9).returncode == 4
    assert run("--max-tokens", 9, "--force").returncode == 0


def test_an_unknown_on_error_is_refused(run: Callable[..., Any]) -> None:
    done = run("--on-error", "ignore")
    assert done.returncode == 3
    assert "on_error" in done.stderr


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"id": f"item-{n:03}", "output": str(n)}) + "\n" for n in range(4)))
    return file


def test_score_scores_saved_answers(cli: Cli, write_benchmark: Write, answers: Path, tmp_path: Path) -> None:
    done = cli("score", answers, write_benchmark(4), "--out", tmp_path / "o", "--name", "saved", "--json")
    result = json.loads(done.stdout)
    assert (result["name"], result["accuracy"]["estimate"]) == ("saved", 1.0)


def test_on_missing_decides_about_items_without_an_answer(
    cli: Cli, write_benchmark: Write, answers: Path, tmp_path: Path
) -> None:
    call = ["score", answers, write_benchmark(6), "--out", tmp_path / "o"]
    assert cli(*call).returncode == 3
    assert "unscored: 2 x missing" in cli(*call, "--on-missing", "unscored").stdout
    assert cli(*call, "--on-missing", "drop").returncode == 3
    assert cli(*call, "--on-missing", "unscored", "--name", "other").returncode == 4
    assert cli(*call, "--on-missing", "unscored", "--name", "other", "--force").returncode == 0


def test_compare_prints_the_headline_and_takes_every_option(
    cli: Cli, run: Callable[..., Any], write_benchmark: Write, tmp_path: Path
) -> None:
    run(out="base")
    run("--name", "tuned", "--max-tokens", 9, out="tuned")
    pair = [tmp_path / "base", tmp_path / "tuned"]
    done = cli("compare", *pair, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert "No measurable difference between tuned and m: 0 points" in done.stdout
    assert (tmp_path / "report" / "report.html").exists()
    assert cli("compare", *pair, "--out", tmp_path / "report", "--title", "T").returncode == 4
    options = ["--title", "T", "--resamples", 500, "--seed", 3, "--side-by-side", 2, "--force", "--json"]
    checks = ["--forgetting", pair[0], "--forgetting", pair[1]]
    result = json.loads(cli("compare", *pair, *checks, "--out", tmp_path / "report", *options).stdout)
    assert result["title"] == "T"
    assert [items["name"] for items in result["item_sets"]] == ["benchmark", "forgetting check"]
    assert len(result["side_by_side"]) == 2
    config = json.loads((tmp_path / "report" / "manifest.json").read_text())["config"]
    assert (config["resamples"], config["seed"]) == (500, 3)
    (tmp_path / "c.yaml").write_text("title: From file\n")
    from_file = cli("compare", *pair, "--out", tmp_path / "r2", "--config", tmp_path / "c.yaml", "--json")
    assert json.loads(from_file.stdout)["title"] == "From file"


def test_compare_refuses_a_directory_that_is_no_artifact(cli: Cli, tmp_path: Path) -> None:
    done = cli("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "o")
    assert done.returncode == 4
    assert "no such artifact directory" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_token: 5", "max_token: unknown key: did you mean 'max_tokens'?"),
        ("zzz: 5", "zzz: unknown key: known: system_prompt"),
        ("max_tokens: many", "max_tokens: "),
        ("max_tokens: 0", "max_tokens: "),
        ("a: [", ":1: not valid YAML"),
        ("- 1", "expected keys and values, got list"),
    ],
)
def test_a_wrong_configuration_names_file_key_and_remedy(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        EvalConfig.load(file)
    assert str(file) in str(caught.value)
    assert told in str(caught.value)


def test_an_empty_configuration_is_the_defaults_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")
    assert CompareConfig.load(tmp_path / "c.yaml") == CompareConfig()
    with pytest.raises(InputError, match="no such file"):
        CompareConfig.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: \xe4")
    with pytest.raises(InputError, match="not UTF-8: byte 8"):
        CompareConfig.load(tmp_path / "latin.yaml")


def test_every_setting_is_described() -> None:
    from ta_eval import config

    source = Path(config.__file__).read_text()
    for model in (EvalConfig, CompareConfig):
        for name in model.model_fields:
            after = source.split(f"\n    {name}: ", 1)[1].split("\n", 1)[1]
            assert after.lstrip().startswith('"""'), name
