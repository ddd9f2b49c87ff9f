import json

import pytest
from full_fixtures import make_predictions

from ta_eval.compare import compare
from ta_eval.config import CompareConfig
from tunedassist_cli.full.worth import best_of, worth, write_worth

TIMES = {"base": 2.0, "base + retrieval": 3.0, "tuned": 0.5}


def measured(folder, *, tuned, retrieval, general=None):
    """`worth` of three systems over 40 items, of which so many are right."""

    def right(count):
        return [at < count for at in range(40)]

    places = {
        "base": make_predictions(folder, "base", right(0)),
        "base + retrieval": make_predictions(folder, "base + retrieval", right(retrieval)),
        "tuned": make_predictions(folder, "tuned", right(tuned), seconds=12.0),
    }
    answers = {name: {"benchmark": place} for name, place in places.items()}
    sets = {"benchmark": list(places.values())}
    if general is not None:
        before = make_predictions(folder / "general", "base", right(30))
        after = make_predictions(folder / "general", "tuned", right(general))
        sets["general"] = [before, after]
    config = CompareConfig(resamples=200)
    report = compare(config, sets, folder / "report")
    best = best_of(report, ["base", "base + retrieval"])
    duel = compare(config, {"benchmark": [places[best], places["tuned"]]}, folder / "duel")
    return report, worth(report, duel, answers, TIMES, tuning_s=600)


def test_tuning_that_beats_the_best_untuned_system_paid(tmp_path):
    _, found = measured(tmp_path, tuned=30, retrieval=5)
    assert found.paid
    assert found.sentence.startswith("Tuning paid: tuned answers 75.0% of the benchmark, base + retrieval, ")
    assert "+62.5 points" in found.sentence


def test_tuning_that_cannot_be_told_from_retrieval_is_said_not_to_have_paid(tmp_path):
    _, found = measured(tmp_path, tuned=21, retrieval=20)
    assert not found.paid
    assert found.sentence.startswith("Tuning did not measurably pay: ")
    assert "could go unseen" in found.sentence


def test_where_retrieval_is_better_it_is_recommended_instead(tmp_path):
    _, found = measured(tmp_path, tuned=5, retrieval=30)
    assert not found.paid
    assert "Use base + retrieval instead." in found.sentence


def test_time_and_cost_stand_in_the_sentence_and_the_rows(tmp_path):
    _, found = measured(tmp_path, tuned=30, retrieval=5)
    assert "Tuning took 10 minutes; an answer takes 0.5 s instead of 3.0 s" in found.sentence
    tuned = next(row for row in found.rows if row.name == "tuned")
    assert (tuned.read, tuned.written, tuned.alone_s) == (20, 4, 0.5)
    assert tuned.thousand_min == pytest.approx(5.0)


def test_what_was_forgotten_is_told(tmp_path):
    _, found = measured(tmp_path, tuned=30, retrieval=5, general=10)
    assert "It cost general knowledge: -50.0 points" in found.sentence
    assert next(row for row in found.rows if row.name == "tuned").general == 0.25


def test_the_files_hold_the_sentence_and_every_system(tmp_path):
    report, found = measured(tmp_path, tuned=30, retrieval=5)
    write_worth(found, report, tmp_path)
    written = json.loads((tmp_path / "worth.json").read_text())
    assert written["paid"] is True
    assert [row["name"] for row in written["systems"]] == ["base", "base + retrieval", "tuned"]
    text = (tmp_path / "worth.md").read_text()
    assert found.sentence in text
    assert "| tuned | 75.0% | +75.0 points" in text
