import json

from cli_fixtures import held, write

from ta_eval.config import EvalConfig
from ta_schemas import Parent
from tunedassist_cli.full.systems import System
from tunedassist_cli.full.times import PROBED, measure_times

OTHER = "sha256:" + "2" * 64


class Engine:
    """Answers at once and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def generate(self, batch, **options):
        self.asked += [(len(batch), batch[0][-1]["content"], options["max_tokens"])]
        return [None] * len(batch)

    def close(self):
        pass


def timed(tmp_path, engine, digest="sha256:" + "1" * 64, items=20):
    benchmark = tmp_path / "benchmark.jsonl"
    write(benchmark, [held(f"b{n}", f"Question {n}?") for n in range(items)])
    system = System("base", {"digest": digest}, Parent(kind="model", digest=digest), tmp_path, lambda: engine)
    (tmp_path / "domain.yaml").write_text("name: d\n")
    asked, file = EvalConfig(max_tokens=7), tmp_path / "times.json"
    return measure_times([system], benchmark, asked, file, domain=tmp_path)


def test_a_few_questions_are_asked_alone_after_a_first_one_that_loads_the_model(tmp_path):
    engine = Engine()
    assert timed(tmp_path, engine)["base"] >= 0
    questions = [f"Question {n}?" for n in (0, 0, 4, 8, 12, 16)]
    assert engine.asked == [(1, question, 7) for question in questions]
    assert len(questions) == PROBED + 1


def test_a_system_is_timed_once(tmp_path):
    first = timed(tmp_path, Engine())
    again = Engine()
    assert timed(tmp_path, again) == first
    assert again.asked == []


def test_another_model_under_the_same_name_is_timed_anew(tmp_path):
    timed(tmp_path, Engine())
    again = Engine()
    timed(tmp_path, again, digest=OTHER)
    assert again.asked
    assert json.loads((tmp_path / "times.json").read_text())["base"]["model"] == {"digest": OTHER}
