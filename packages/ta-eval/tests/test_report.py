import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from ta_eval.report import Report, headline, p_value, points, render, verdict_sentence
from ta_eval.report.model import Lengths, Risk, Run
from ta_schemas.reports import Comparison, EvalReport, Interval, ItemSetReport, SystemScore


def interval(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, method="x")


def comparison(estimate: float, low: float, high: float, verdict: str, p: float) -> Comparison:
    extra: dict[str, Any] = {"by_category": {"a|b <i>": {"items": 12, **interval(0.1, -0.2, 0.4).model_dump()}}}
    return Comparison(
        baseline="base",
        candidate="tuned",
        items=156,
        difference=interval(estimate, low, high),
        only_baseline=3,
        only_candidate=51,
        mcnemar_p=p,
        minimum_detectable_effect=0.093,
        verdict=verdict,
        **extra,
    )


EVIL = "</pre><script>alert(1)</script> ``` & | {{ 7 * 7 }}"


def report() -> EvalReport:
    systems = [
        SystemScore(
            name=name,
            items=156,
            scored=150,
            unscored={"http 503": 6},
            accuracy=interval(value, value - 0.05, value + 0.05),
            by_category={"a|b <i>": interval(value, 0.1, 0.9)},
        )
        for name, value in (("base", 0.2), ("tuned", 0.51))
    ]
    prompt = {
        "id": "x",
        "category": "a|b <i>",
        "question": EVIL,
        "answers": [
            {"system": "base", "output": EVIL, "score": 0.0, "reason": "differs"},
            {"system": "tuned", "output": "ls", "score": 1.0, "reason": "equal"},
            {"system": "third", "output": "", "score": None, "reason": "timeout"},
        ],
    }
    return EvalReport(
        title="Linux <support>",
        item_sets=[
            ItemSetReport(
                name="benchmark",
                systems=systems,
                comparisons=[comparison(0.31, 0.24, 0.39, "better", 1e-9)],
            )
        ],
        side_by_side=[prompt],
        notes=["a note"],
    )


def test_the_headline_of_a_win_is_one_a_manager_can_read() -> None:
    assert headline(comparison(0.31, 0.24, 0.39, "better", 1e-9)) == (
        "Tuned beats base by 31 points (95 % interval 24 to 39, n = 156, McNemar p < .001)."
    )


def test_the_headline_of_a_loss_counts_the_points_lost() -> None:
    assert headline(comparison(-0.12, -0.2, -0.05, "worse", 0.004)) == (
        "Tuned loses to base by 12 points (95 % interval 5 to 20, n = 156, McNemar p = .004)."
    )


def test_the_headline_of_no_result_says_what_would_go_unseen() -> None:
    assert headline(comparison(0.01, -0.03, 0.05, "not measurable", 0.52)) == (
        "No measurable difference between tuned and base: 1 point (95 % interval −3 to 5, n = 156, "
        "McNemar p = .52); a difference below 9 points could well go unseen."
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.31, "31"), (-0.31, "−31"), (0.004, "0.4"), (-0.004, "−0.4"), (0.0, "0"), (-0.0001, "0"), (1, "100")],
)
def test_points_are_whole_but_never_hide_a_small_difference(share: float, text: str) -> None:
    assert points(share) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0004, "< .001"), (0.004, "= .004"), (0.0421, "= .042"), (0.52, "= .52"), (1.0, "= 1.00")],
)
def test_p_values_are_written_as_journals_do(p: float, text: str) -> None:
    assert p_value(p) == text


def test_the_page_is_well_formed_and_needs_nothing_from_outside() -> None:
    page = render(report(), "html")
    stack: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "img", "iframe")
            assert not {"src", "href", "onload"} & {name for name, _ in attrs}
            if tag not in ("meta", "line", "rect", "circle", "path") or tag == "path":
                stack.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Checker().feed(page)
    assert stack == []
    assert "http://" not in page
    assert "url(" not in page


def test_what_models_and_people_wrote_is_escaped_in_the_page() -> None:
    page = render(report(), "html")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page
    assert "a|b &lt;i&gt;" in page


def test_the_page_has_both_plots_with_intervals() -> None:
    drawings = re.findall(r"<svg.*?</svg>", render(report(), "html"), re.DOTALL)
    assert len(drawings) == 2
    accuracy, forest = [ElementTree.fromstring(drawing) for drawing in drawings]
    widths = [float(bar.attrib["width"]) for bar in accuracy.iter("rect")]
    assert widths == [pytest.approx(0.2 * 480), pytest.approx(0.51 * 480, abs=0.1)]
    assert len([path for path in accuracy.iter("path") if path.attrib["class"] == "interval"]) == 2
    assert len([path for path in forest.iter("path") if path.attrib["class"] == "interval"]) == 2
    [dot] = forest.iter("circle")
    assert float(dot.attrib["cx"]) == pytest.approx(410 + 0.1 / 0.4 * 240)


def test_every_mark_is_words_too_not_only_a_colour() -> None:
    page = render(report(), "html")
    for mark in ("✓ right", "✗ wrong", "– not scored"):
        assert mark in page


def test_markdown_tables_stay_tables_and_fences_stay_closed() -> None:
    text = render(report(), "md")
    table = [line for line in text.splitlines() if line.startswith("| a")]
    assert table == [
        "| a\\|b &lt;i> | 12 | 20.0 % | 51.0 % | 10 | −20 to 40 |",
    ]
    assert text.count("\n````text\n") == 2
    assert "# Linux &lt;support>" in text
    assert "**benchmark: Tuned beats base by 31 points" in text


def test_both_renderings_say_what_was_not_scored_and_the_notes() -> None:
    for kind in ("md", "html"):
        text = render(report(), kind)
        assert "6 × http 503" in text
        assert "150 of 156" in text
        assert "a note" in text


def test_the_verdict_says_what_was_won_and_what_was_not_lost() -> None:
    whole = report()
    whole.item_sets.append(
        ItemSetReport(
            name="forgetting check",
            systems=whole.item_sets[0].systems,
            comparisons=[comparison(-0.01, -0.04, 0.02, "not measurable", 0.6)],
        )
    )
    assert verdict_sentence(whole) == (
        "Tuned is better than base by 31 points on benchmark (95 % interval 24 to 39); no measurable loss on "
        "the forgetting check, at most 4 points (95 % interval −4 to 2)."
    )
    whole.item_sets[1].comparisons = [comparison(-0.12, -0.2, -0.05, "worse", 0.004)]
    assert "it lost 12 points on the forgetting check (95 % interval −20 to −5)" in verdict_sentence(whole)


def test_the_verdict_of_several_candidates_names_the_best_or_none() -> None:
    whole = report()
    better, worse = whole.item_sets[0].comparisons[0], comparison(-0.1, -0.2, -0.01, "worse", 0.01)
    whole.item_sets[0].comparisons = [worse.model_copy(update={"candidate": "other"}), better]
    assert verdict_sentence(whole).startswith("Tuned, best of 2 candidates, is better than base by 31 points")
    whole.item_sets[0].comparisons = [worse, worse]
    assert verdict_sentence(whole) == "None of 2 candidates is measurably better than base on benchmark."


def test_what_holms_adjustment_takes_back_is_said_and_not_hidden() -> None:
    lost = comparison(-0.08, -0.14, -0.01, "not measurable", 0.07).model_copy(update={"p_adjusted": 0.14})
    assert headline(lost) == (
        "Tuned differs from base by −8 points (95 % interval −14 to −1, n = 156, McNemar p = .070), but not "
        "after Holm's adjustment for the number of candidates (p = .14): not measurable."
    )
    whole = report()
    whole.item_sets.append(
        ItemSetReport(name="general", systems=whole.item_sets[0].systems, comparisons=[lost])
    )
    assert "perhaps it lost 8 points on the general" in verdict_sentence(whole)


def whole_report() -> Report:
    """With everything that a report can hold."""
    rate = {"estimate": 0.6, "low": 0.5, "high": 0.7, "method": "x"}
    alpha = {"krippendorff": rate}
    people = {
        "candidate": "tuned",
        "baseline": "base",
        "verdict": "better",
        "win_rate": rate,
        "items": 40,
        "votes": 44,
        "raters": {"ann": 44},
        "counts": {"candidate": 30, "base": 14},
        "identical": 2,
        "capital": 25.0,
        "enough": 20.0,
        "left_share": rate,
        "longer_wins": rate,
        "self_consistency": rate | {"repeated": 4},
        "agreement": alpha,
        "commitment": "sha256:abc",
    }
    judge = {
        "kind": "pairs",
        "judge": "stub <1>",
        "baseline": "base",
        "candidate": "tuned",
        "items": 100,
        "scored": 98,
        "counts": {"tie": 98},
        "identical": 0,
        "order_decides": 3,
        "raw": rate,
        "calibration": None,
        "min_kappa": 0.4,
        "verdict": "no verdict",
        "why": "it was not compared with people",
        "warnings": ["of one family"],
        "audit": {
            "position_consistency": rate,
            "first_position": rate,
            "longer_wins": rate,
            "win_rate_at_equal_length": rate,
            "length_effect": rate,
            "retest": rate | {"items": 9},
            "read_by": {"json_schema": 98},
            "unread": {"unreadable judgment": 2},
            "cost": {"prompt_tokens": 1000, "completion_tokens": 50, "usd": 0.0123},
        },
    }
    prompt = report().side_by_side[0] | {"answers": report().side_by_side[0]["answers"][:2]}
    lengths = {"quantiles": [5, 9, 20, 40, 90], "mean_tokens": 12, "cut": 3}
    return Report(
        **report().model_dump(),
        wins=[prompt],
        losses=[],
        lengths=[
            Lengths(system=name, right_shorter_half=0.25, right_longer_half=0.75, **lengths)
            for name in ("base", "tuned")
        ],
        risks=[Risk(system="tuned", area=0.123, area_low=0.1, area_high=0.2, points=[(0.5, 0.1), (1.0, 0.3)])],
        judges=[judge],
        people=[people],
        runs=[
            Run(
                item_set="benchmark", system="tuned", digest="sha256:0123456789abcdef", cost_usd=0.5, seconds=61
            )
        ],
    )


@pytest.mark.parametrize("kind", ["md", "html"])
@pytest.mark.parametrize(
    "told",
    [
        "People prefer tuned to base",
        "25.0 of 20 needed",
        "Judge audit: stub",
        "No verdict: the judge",
        "of one family",
        "2 unreadable judgment",
        "0.0123 USD",
        "Length of the answers",
        "75.0 %",
        "Risk and coverage",
        "0.123",
        "Cost and origin",
        "sha256:0123456789ab",
        "0.5000",
    ],
)
def test_the_whole_report_tells(told: str, kind: str) -> None:
    assert told in render(whole_report(), kind)


def test_the_whole_page_is_well_formed_and_draws_every_plot() -> None:
    page = render(whole_report(), "html")
    drawings = [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    labels = " ".join(drawing.attrib["aria-label"] for drawing in drawings)
    assert len(drawings) == 4
    assert "Length of the answers" in labels and "Share of wrong answers" in labels
    assert "<script" not in page


def test_several_candidates_and_categories_get_plots_of_their_own() -> None:
    whole = report()
    items = whole.item_sets[0]
    for system in items.systems:
        system.by_category["other"] = interval(0.5, 0.2, 0.8)
    items.comparisons.append(items.comparisons[0].model_copy(update={"candidate": "second"}))
    labels = re.findall(r'aria-label="([^"]*)"', render(whole, "html"))
    assert "Difference of every candidate from base, in points" in labels
    assert "Accuracy by category of every system" in labels
