"""HTML: nothing that comes from data runs or fetches, findings are marked where they stand."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ta_safety.events import RailEvent
from tunedassist_gradio_demo.look.heat_map import heat_map
from tunedassist_gradio_demo.look.interval_plot import Line, interval_plot
from tunedassist_gradio_demo.look.markdown import plain, rendered
from tunedassist_gradio_demo.look.parts import Html, chip, notice, table
from tunedassist_gradio_demo.talk.turn import Turn
from tunedassist_gradio_demo.talk.view import conversation, live

HOSTILE = "<script>x</script><img src=x onerror=y> ![a](http://h/p.png) [b](javascript:z) `<b>`"


def test_a_models_html_and_images_come_out_as_text():
    html = rendered(HOSTILE)
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_commands_stay_code():
    assert "<pre><code" in rendered("```bash\nls -a\n```")


def test_a_span_is_marked_where_it_stands():
    assert plain("a <b> c", [(2, 5)]) == "a <mark>&lt;b&gt;</mark> c"


def test_overlapping_spans_are_one_mark():
    assert plain("abcdef", [(1, 3), (2, 5), (5, 5)]) == "a<mark>bcde</mark>f"


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4))
def test_marking_changes_no_text_and_opens_no_other_tag(words, spans):
    html = plain(words, spans)
    assert set(re.findall(r"<[^>]*>", html)) <= {"<mark>", "</mark>"}
    assert html.count("<mark>") == html.count("</mark>")


@given(st.text(alphabet="<>\"'&`![]()ab=:/ \n\ue000\ue001", max_size=80))
def test_rendered_text_opens_only_the_tags_of_markdown(words):
    tags = set(re.findall(r"<\s*([a-zA-Z!][a-zA-Z0-9]*)", rendered(words, [(0, 3)])))
    assert tags <= {
        "p",
        "a",
        "code",
        "pre",
        "em",
        "strong",
        "blockquote",
        "h1",
        "h2",
        "ul",
        "li",
        "br",
        "hr",
        "mark",
    }


def test_cells_of_a_table_are_escaped_unless_they_are_html():
    assert "<b>" not in table(("<b>",), [("<b>",)])
    assert chip("warn", "x") in table(("a",), [(chip("warn", "x"),)])


def test_a_chip_says_in_words_what_its_colour_says():
    turn = Turn(
        "hi", state="done", answer="ok", entered=(RailEvent("pii", "input", "warn", 0.9, 0.5, "an address"),)
    )
    assert re.search(r"pii warned · 0\.90 ≥ 0\.50 · 0\.0 ms", conversation((turn,)))


def test_the_live_panel_names_score_threshold_and_milliseconds():
    turn = Turn(
        "hi", state="answering", received=9, entered=(RailEvent("pii", "input", "allow", 0.25, 0.5, ms=1.5),)
    )
    for shown in ("0.25", "0.50", "1.5", "9 characters received"):
        assert shown in live(turn)


def test_a_hostile_question_is_text_in_the_conversation():
    assert "<img" not in conversation((Turn(HOSTILE, HOSTILE, "failed", note=HOSTILE),))


def test_the_heat_map_frames_what_got_through_the_guard():
    cells = [
        {"scenario": "s", "style": "direct", "raw": 1, "guarded": 1, "attempts": 1},
        {"scenario": "s", "style": "encoded", "raw": 0, "guarded": 0, "attempts": 1},
    ]
    html = heat_map(cells, {"s": "Says <b>"})
    assert html.count("through") == 1
    assert "1 → 1" in html
    assert "Says &lt;b&gt;" in html


def test_the_plot_has_a_dot_and_a_whisker_for_every_line():
    html = interval_plot(
        [Line("files", "base", 0.1, 0.0, 0.3), Line("files", "tuned", 0.5, 0.2, 0.8)], title="t"
    )
    assert html.count("<title>") == 2
    assert "tuned, files: 50.0 % (20.0 % to 80.0 %)" in html


def test_a_notice_shows_its_command_whole():
    assert "<code>just train --x &lt;y&gt;</code>" in notice("gone", todo="just train --x <y>")
    assert isinstance(notice("x"), Html)
