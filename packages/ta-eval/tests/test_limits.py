"""Cost, budget, deadline, the estimate before a run, and the cache of answers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ta_eval.cache import AnswerCache
from ta_eval.config import EvalConfig
from ta_eval.evaluate import estimate_run, evaluate
from ta_eval.limits import Limits
from ta_eval.target import CallableTarget, Message, OnReplies, Reply
from ta_schemas import Artifact, InputError, SetupError

Write = Callable[..., Path]
Make = Callable[..., dict[str, Any]]


class OneByOne:
    """A target that answers one item at a time, 10 prompt and 5 answer tokens each."""

    def __init__(self, model: str = "m") -> None:
        self.name = model
        self.identity: dict[str, Any] = {"model": model}
        self.asked: list[str] = []

    def ask(self, conversations: Sequence[list[Message]], done: OnReplies, **_: Any) -> None:
        for at, messages in enumerate(conversations):
            self.asked.append(messages[-1]["content"])
            done({at: Reply(messages[-1]["content"].split()[-1], "stop", 10, 5)})


def speed_of(artifact: Artifact) -> dict[str, Any]:
    speed: dict[str, Any] = json.loads(artifact.file("logs/speed.json").read_text())
    return speed


PRICES = {"input_price": 1000.0, "output_price": 2000.0}
"""0.02 USD an answer."""


def test_the_cost_is_counted_with_the_prices_and_kept(write_benchmark: Write, tmp_path: Path) -> None:
    limits = Limits(**PRICES)
    artifact = evaluate(EvalConfig(), write_benchmark(4), OneByOne(), tmp_path / "o", limits=limits)
    assert limits.spent == pytest.approx(0.08)
    assert speed_of(artifact)["cost_usd"] == 0.08


def test_the_budget_stops_the_run_and_a_larger_one_goes_on(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, out, target = write_benchmark(10), tmp_path / "o", OneByOne()
    with pytest.raises(SetupError, match=r"budget used up: 0\.0600 of 0\.05 USD; 3 of 10 answers are kept"):
        evaluate(EvalConfig(), benchmark, target, out, limits=Limits(**PRICES, budget=0.05))
    assert len(target.asked) == 3
    with pytest.raises(SetupError, match="3 of 10 answers are kept"):
        evaluate(EvalConfig(), benchmark, target, out, limits=Limits(**PRICES, budget=0.05))
    assert len(target.asked) == 3
    resumed = evaluate(EvalConfig(), benchmark, target, out, limits=Limits(**PRICES, budget=1))
    assert len(target.asked) == 10
    assert resumed.digest == evaluate(EvalConfig(), benchmark, OneByOne(), tmp_path / "whole").digest


def test_a_budget_that_is_just_enough_is_enough(write_benchmark: Write, tmp_path: Path) -> None:
    evaluate(EvalConfig(), write_benchmark(3), OneByOne(), tmp_path / "o", limits=Limits(**PRICES, budget=0.06))


def test_a_budget_without_prices_is_refused() -> None:
    with pytest.raises(InputError, match="needs --input-price and --output-price"):
        Limits(budget=1)


def test_the_deadline_stops_the_run_and_keeps_the_answers(write_benchmark: Write, tmp_path: Path) -> None:
    limits = Limits(deadline_s=100)
    limits.started -= 101
    target = OneByOne()
    with pytest.raises(SetupError, match=r"deadline of 100 s has passed; 0 of 3 answers are kept"):
        evaluate(EvalConfig(), write_benchmark(3), target, tmp_path / "o", limits=limits)
    assert target.asked == []


def test_the_estimate_counts_requests_tokens_and_cost_and_asks_nothing(
    write_benchmark: Write, make_item: Make, tmp_path: Path
) -> None:
    rows = [make_item(n, messages=[{"role": "user", "content": "x" * 80}]) for n in range(10)]
    told = estimate_run(
        EvalConfig(max_tokens=50),
        write_benchmark(rows),
        OneByOne(),
        tmp_path / "o",
        limits=Limits(input_price=1, output_price=4),
    )
    assert told == (10, 0, 10, 240, 500, pytest.approx(240e-6 + 500 * 4e-6))
    assert list(tmp_path.iterdir()) == [tmp_path / "benchmark.jsonl"]


def test_the_estimate_leaves_out_what_is_answered_already(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, target = write_benchmark(10), OneByOne()
    with pytest.raises(SetupError):
        evaluate(EvalConfig(), benchmark, target, tmp_path / "o", limits=Limits(**PRICES, budget=0.05))
    told = estimate_run(EvalConfig(), benchmark, target, tmp_path / "o", limits=Limits())
    assert (told.items, told.already_answered, told.requests) == (10, 3, 7)


def test_a_second_run_takes_its_answers_from_the_cache(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, cache = write_benchmark(6), tmp_path / "c.sqlite"
    first = evaluate(EvalConfig(), benchmark, OneByOne(), tmp_path / "a", cache=cache)
    target = OneByOne()
    second = evaluate(EvalConfig(), benchmark, target, tmp_path / "b", cache=cache)
    assert target.asked == []
    assert second.digest == first.digest
    assert (speed_of(second)["cached"], speed_of(second)["asked"]) == (6, 0)
    told = estimate_run(EvalConfig(), benchmark, target, tmp_path / "c", limits=Limits(), cache=cache)
    assert told.requests == 0


def test_an_item_that_was_added_is_the_only_one_asked(write_benchmark: Write, tmp_path: Path) -> None:
    cache = tmp_path / "c.sqlite"
    evaluate(EvalConfig(), write_benchmark(3), OneByOne(), tmp_path / "a", cache=cache)
    target = OneByOne()
    evaluate(EvalConfig(), write_benchmark(4, "more.jsonl"), target, tmp_path / "b", cache=cache)
    assert target.asked == ["question 3"]


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (EvalConfig(max_tokens=9), "m"),
        (EvalConfig(system_prompt="Be brief."), "m"),
        (EvalConfig(temperature=0.5), "m"),
        (EvalConfig(), "other"),
    ],
)
def test_the_cache_never_answers_for_other_settings(
    config: EvalConfig, model: str, write_benchmark: Write, tmp_path: Path
) -> None:
    cache = tmp_path / "c.sqlite"
    evaluate(EvalConfig(), write_benchmark(3), OneByOne(), tmp_path / "a", cache=cache)
    target = OneByOne(model)
    evaluate(config, write_benchmark(3), target, tmp_path / "b", cache=cache)
    assert len(target.asked) == 3


def test_answers_that_were_drawn_at_random_are_not_cached(write_benchmark: Write, tmp_path: Path) -> None:
    cache, target = tmp_path / "c.sqlite", OneByOne()
    for name in "ab":
        evaluate(EvalConfig(temperature=1), write_benchmark(3), target, tmp_path / name, cache=cache)
    assert len(target.asked) == 6


def test_the_cache_holds_more_keys_than_a_query_may_name(tmp_path: Path) -> None:
    replies = {f"k{n}": Reply(str(n), "stop", n, 1) for n in range(1200)}
    with AnswerCache(tmp_path / "deep" / "c.sqlite") as cache:
        cache.add(replies)
        cache.add({"k0": Reply("new", "stop", 0, 1)})
        assert cache.find([*replies, "none"]) == replies | {"k0": Reply("new", "stop", 0, 1)}


def test_two_runs_use_a_cache_at_the_same_time(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c") as one, AnswerCache(tmp_path / "c") as other:
        one.add({"a": Reply("1", "stop", 1, 1)})
        other.add({"b": Reply("2", "stop", 1, 1)})
        assert one.find(["a", "b"]).keys() == {"a", "b"}


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("not a database, but long enough to look like one" * 40)
    with pytest.raises(InputError, match="no answer cache"), AnswerCache(tmp_path / "c"):
        pass


def test_a_callable_is_stopped_by_the_budget_between_batches(write_benchmark: Write, tmp_path: Path) -> None:
    batches: list[int] = []

    def answer(batch: list[Any], **_: Any) -> list[Reply]:
        batches.append(len(batch))
        return [Reply("1", "stop", 10, 5)] * len(batch)

    target = CallableTarget("t", {}, answer, batch_size=2)
    with pytest.raises(SetupError, match="4 of 10 answers are kept"):
        evaluate(
            EvalConfig(), write_benchmark(10), target, tmp_path / "o", limits=Limits(**PRICES, budget=0.07)
        )
    assert batches == [2, 2]


Cli = Callable[..., Any]


@pytest.fixture
def run(cli: Cli, server, write_benchmark: Write, tmp_path: Path) -> Callable[..., Any]:  # type: ignore[no-untyped-def]
    benchmark = write_benchmark(6)

    def call(*arguments: object, out: str = "out") -> Any:
        base = ["run", benchmark, "--base-url", server.url, "--model", "m", "--out", tmp_path / out]
        return cli(*base, *arguments)

    return call


def test_a_dry_run_says_what_it_would_take_and_sends_nothing(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    options = ["--dry-run", "--max-tokens", 100, "--input-price", 1, "--output-price", 10]
    done = run(*options)
    assert done.stdout.startswith("6 requests (0 of 6 items are answered already), about ")
    told = json.loads(run(*options, "--json").stdout)
    assert told["completion_tokens_at_most"] == 600
    assert told["cost_at_most"] == pytest.approx(600 * 10e-6 + told["prompt_tokens"] * 1e-6, abs=1e-6)
    assert server.requests == []


def test_the_budget_and_the_deadline_of_the_command_line_stop_the_run(run: Callable[..., Any], server) -> None:  # type: ignore[no-untyped-def]
    server.finish_reason = "stop"
    prices = ["--input-price", 1000, "--output-price", 1000, "--concurrency", 1]
    done = run(*prices, "--budget", 0.008)
    assert (done.returncode, len(server.requests)) == (5, 2)
    assert "budget used up" in done.stderr
    server.delay_s = 0.1
    done = run("--deadline-s", 0.15, "--concurrency", 1, out="other")
    assert done.returncode == 5
    assert "deadline of 0.15 s has passed" in done.stderr
    assert run(*prices, "--budget", 1).returncode == 0


def test_the_cache_of_the_command_line_is_shared_by_runs(
    run: Callable[..., Any], server, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    run("--cache", tmp_path / "c.sqlite")
    done = run("--cache", tmp_path / "c.sqlite", "--name", "again", out="again")
    assert "6 answers taken from" in done.stderr
    assert len(server.requests) == 6


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    import io
    import sys

    return lambda text: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_score_reads_answers_from_a_pipe_and_writes_scores(
    cli: Cli, pipe: Callable[[str], None], write_benchmark: Write
) -> None:
    pipe('{"id": "item-000", "output": "0"}\n{"id": "item-001", "output": "7"}\n')
    done = cli("score", "-", write_benchmark(3), "--on-missing", "unscored")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["score"]) for row in rows] == [
        ("item-000", 1.0),
        ("item-001", 0.0),
        ("item-002", None),
    ]


def test_score_reads_the_benchmark_from_a_pipe_too(
    cli: Cli, pipe: Callable[[str], None], write_benchmark: Write, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "item-000", "output": "0"}\n')
    pipe(write_benchmark(1).read_text())
    assert json.loads(cli("score", tmp_path / "a.jsonl", "-").stdout)["score"] == 1


def test_answers_and_benchmark_do_not_both_come_from_a_pipe(cli: Cli) -> None:
    done = cli("score", "-", "-")
    assert (done.returncode, "name one as a file" in done.stderr) == (3, True)


def test_options_of_an_artifact_need_out(cli: Cli, write_benchmark: Write, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "item-000", "output": "0"}\n')
    for option in (["--json"], ["--force"], ["--name", "x"]):
        assert "need --out" in cli("score", tmp_path / "a.jsonl", write_benchmark(1), *option).stderr
