"""`ta-serve bench`: what is asked, and what of it is told."""

import json
import sys

import pytest
from stub_servers import stub_server

from ta_serve.cli import main


@pytest.fixture
def server():
    with stub_server() as running:
        yield running


@pytest.fixture
def bench(server, monkeypatch, capsys):
    """Measure the stub; gives the exit code, stdout, stderr."""

    def call(*options):
        monkeypatch.setattr(sys, "argv", ["ta-serve", "bench", f"{server.url}/v1", *map(str, options)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


def test_each_number_of_clients_is_a_row(bench, server):
    code, out, _ = bench("--clients", 1, "--clients", 3, "--requests", 2, "--json")
    assert code == 0
    assert [(load["clients"], load["requests"]) for load in json.loads(out)] == [(1, 2), (3, 3)]
    assert len(server.asked) == 1 + 2 + 3
    for load in json.loads(out):
        assert load["tokens_per_s"] > 0
        assert 0 < load["first_token_p50_ms"] <= load["first_token_p95_ms"]


def test_without_json_it_is_a_table(bench):
    _, out, _ = bench("--clients", 2, "--requests", 2)
    assert out.splitlines()[0].startswith("| clients | requests | tokens/s |")
    assert out.splitlines()[2].startswith("| 2 | 2 | ")


def test_the_longest_answer_reaches_the_server(bench, server):
    bench("--clients", 1, "--requests", 1, "--max-tokens", 7)
    assert {body["max_tokens"] for body in server.asked} == {7}


def test_conversations_of_a_file_are_asked_in_turn(bench, server, tmp_path):
    file = tmp_path / "asked.jsonl"
    rows = [{"messages": [{"role": "user", "content": text}]} for text in ("one", "two")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench("--clients", 1, "--requests", 3, "--in", file)
    assert [body["messages"][-1]["content"] for body in server.asked] == ["one", "two", "one", "two"]


def test_a_server_that_fails_is_one_line(bench, server):
    server.fault = 500
    code, _, err = bench("--clients", 1)
    assert code == 5
    assert err.startswith("error: the server answers 500")
