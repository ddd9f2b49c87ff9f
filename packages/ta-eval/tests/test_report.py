import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from ta_eval.report import headline, p_value, points, render
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
