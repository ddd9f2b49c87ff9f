import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ta_eval.ab.analysis import analyze, uncovered
from ta_eval.ab.bundle import Bundle, Key, create_bundle, open_bundle, open_key
from ta_eval.ab.page import vote_server
from ta_eval.ab.votes import Choice, add_vote, next_pair, read_votes
from ta_eval.answers import read_answered_pair
from ta_schemas import ArtifactError, InputError

Cli = Callable[..., Any]


def answer_files(folder: Path, count: int = 30, same: int = 0) -> list[Path]:
    """Two systems that answer `count` questions, `same` of them in the same words."""
    files = []
    for name in ("base", "tuned"):
        rows = [
            {
                "id": f"q{k}",
                "category": ("files", "text")[k % 2],
                "question": f"question {k}",
                "output": f"answer {k}" if k < same else f"{name} says {k}",
            }
            for k in range(count)
        ]
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(file)
    return files


def make(folder: Path, *, count: int = 30, items: int = 100, votes_per_item: int = 1, same: int = 0) -> Bundle:
    answers = read_answered_pair(*answer_files(folder, count, same))
    return create_bundle(
        answers, folder / "ab", folder / "key.json", items=items, votes_per_item=votes_per_item, title="Which?"
    )


def key_of(bundle: Bundle) -> Key:
    return open_key(bundle, bundle.path.parent / "key.json")


def vote_all(bundle: Bundle, rater: str, choose: Callable[[Any], Choice], limit: int = 10_000) -> int:
    given = 0
    while given < limit and (pair := next_pair(bundle, read_votes(bundle.path), rater)) is not None:
        assert add_vote(bundle.path, pair.id, rater, choose(pair), seconds=2.0)
        given += 1
    return given


def for_tuned(pair: Any) -> Choice:
    return "left" if pair.left.startswith("tuned") else "right"


def test_raters_see_no_name_and_no_side(tmp_path: Path) -> None:
    make(tmp_path)
    about = (tmp_path / "ab" / "ab.json").read_text()
    rows = [json.loads(line) for line in (tmp_path / "ab" / "pairs.jsonl").read_text().splitlines()]
    assert "tuned" not in about and "base" not in about
    assert set(rows[0]) == {"id", "question", "left", "right", "repeat_of"}
    assert not any("q1" in row["id"] for row in rows)


def test_the_key_is_apart_and_for_its_owner_only(tmp_path: Path) -> None:
    make(tmp_path)
    assert not (tmp_path / "ab" / "key.json").exists()
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600


def test_sides_are_dealt_by_chance(tmp_path: Path) -> None:
    sides = []
    for turn in range(3):
        folder = tmp_path / str(turn)
        folder.mkdir()
        bundle = make(folder, count=60)
        key = key_of(bundle)
        sides.append({key.items[p.id]: key.candidate_side[p.id] for p in bundle.originals})
        assert 10 <= list(sides[-1].values()).count("left") <= 50
    assert sides[0] != sides[1] or sides[1] != sides[2]


def test_one_pair_in_ten_comes_again_with_sides_exchanged(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=40)
    repeated = [pair for pair in bundle.pairs.values() if pair.repeat_of]
    assert len(repeated) == 4
    for pair in repeated:
        before = bundle.pairs[pair.repeat_of]
        assert (pair.left, pair.right) == (before.right, before.left)


def test_answers_in_the_same_words_are_not_asked(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=30, same=12)
    assert len(bundle.originals) == 18
    assert key_of(bundle).identical == 12
    with pytest.raises(InputError, match="nothing to vote on"):
        create_bundle(
            read_answered_pair(*answer_files(tmp_path, 5, 5)),
            tmp_path / "x",
            tmp_path / "y",
            items=5,
            votes_per_item=1,
            title="",
        )


def test_the_number_of_items_is_kept_and_the_choice_is_the_same_every_time(tmp_path: Path) -> None:
    chosen = []
    for turn in "ab":
        (tmp_path / turn).mkdir()
        bundle = make(tmp_path / turn, count=40, items=10)
        chosen.append({pair.question for pair in bundle.originals})
    assert len(chosen[0]) == 10
    assert chosen[0] == chosen[1] != {f"question {k}" for k in range(10)}


def test_another_key_and_changed_pairs_are_refused(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    changed = tmp_path / "other.json"
    changed.write_text((tmp_path / "key.json").read_text().replace('"left"', '"right"', 1))
    with pytest.raises(ArtifactError, match="is not the key"):
        open_key(bundle, changed)
    pairs = tmp_path / "ab" / "pairs.jsonl"
    pairs.write_text(pairs.read_text().replace("says 3", "says more", 1))
    with pytest.raises(ArtifactError, match="changed after it was sealed"):
        key_of(open_bundle(tmp_path / "ab"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        make(tmp_path)


def test_a_repetition_comes_after_eight_others_to_the_same_rater(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=40)
    assert vote_all(bundle, "ann", for_tuned) == 44
    order = [vote.pair for vote in read_votes(bundle.path)]
    for pair in bundle.pairs.values():
        if pair.repeat_of:
            assert order.index(pair.id) - order.index(pair.repeat_of) > 8 or order.index(pair.id) >= 40


def test_raters_have_orders_of_their_own_and_share_the_work(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=20)
    ann = next_pair(bundle, [], "ann")
    assert any(next_pair(bundle, [], f"rater {k}") != ann for k in range(5))
    vote_all(bundle, "ann", for_tuned, limit=8)
    vote_all(bundle, "bob", for_tuned)
    originals = [vote.pair for vote in read_votes(bundle.path) if not bundle.pairs[vote.pair].repeat_of]
    assert sorted(originals) == sorted(pair.id for pair in bundle.originals)


def test_with_two_votes_an_item_everybody_sees_every_pair(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=12, votes_per_item=2)
    for rater in ("ann", "bob"):
        vote_all(bundle, rater, for_tuned)
    found = analyze(bundle, key_of(bundle), read_votes(bundle.path))
    assert (found["items"], found["unfinished"]) == (12, 0)
    assert found["agreement"]["rated_twice"] == 12
    assert vote_all(bundle, "cy", for_tuned) == 0


def test_items_that_lack_votes_do_not_count_yet(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=12, votes_per_item=2)
    vote_all(bundle, "ann", for_tuned)
    found = analyze(bundle, key_of(bundle), read_votes(bundle.path))
    assert (found["items"], found["unfinished"], found["verdict"]) == (0, 12, "not enough")


def test_people_who_always_prefer_one_are_enough_within_twenty_votes(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    vote_all(bundle, "ann", for_tuned, limit=20)
    found = analyze(bundle, key_of(bundle), read_votes(bundle.path))
    assert (found["verdict"], found["win_rate"]["estimate"]) == ("better", 1.0)
    assert found["win_rate"]["low"] > 0.5


def test_twenty_undecided_votes_are_not_enough(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    turn = iter("ab" * 100)
    vote_all(bundle, "ann", lambda p: for_tuned(p) if next(turn) == "a" else "tie", limit=4)
    vote_all(bundle, "ann", lambda p: "both_bad", limit=16)
    found = analyze(bundle, key_of(bundle), read_votes(bundle.path))
    assert found["verdict"] == "not enough"
    assert found["counts"]["both_bad"] + found["counts"]["tie"] >= 16
    assert found["win_rate"]["estimate"] > 0.5


def test_a_rater_who_always_takes_the_left_side_is_seen(tmp_path: Path) -> None:
    bundle = make(tmp_path, count=40)
    vote_all(bundle, "ann", lambda pair: "left")
    found = analyze(bundle, key_of(bundle), read_votes(bundle.path))
    assert found["left_share"]["estimate"] == 1.0
    assert (found["self_consistency"]["repeated"], found["self_consistency"]["estimate"]) == (4, 0.0)


def test_a_second_vote_on_the_same_pair_is_not_taken(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    assert add_vote(bundle.path, "pair-0001", "ann", "left", seconds=1)
    assert not add_vote(bundle.path, "pair-0001", "ann", "right", seconds=1)
    assert [vote.choice for vote in read_votes(bundle.path)] == ["left"]


def test_a_vote_torn_by_a_crash_costs_no_other(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    add_vote(bundle.path, "pair-0001", "ann", "left", seconds=1)
    with (bundle.path / "votes.jsonl").open("ab") as file:
        file.write(b'{"pair": "pair-00')
    add_vote(bundle.path, "pair-0002", "ann", "tie", seconds=1)
    assert [vote.pair for vote in read_votes(bundle.path)] == ["pair-0001", "pair-0002"]


def test_the_labels_say_which_system_each_rater_preferred(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    vote_all(bundle, "ann", for_tuned, limit=10)
    labels = uncovered(bundle, key_of(bundle), read_votes(bundle.path))
    assert {label.label for label in labels} == {"candidate"}
    assert {label.item for label in labels} <= {f"q{k}" for k in range(30)}


@pytest.mark.parametrize("name", ["", " ", "x" * 41, "a\nb"])
def test_a_rater_has_a_short_name(name: str, tmp_path: Path) -> None:
    bundle = make(tmp_path)
    with pytest.raises(InputError, match="1 to 40 characters"):
        add_vote(bundle.path, "pair-0001", name, "left", seconds=1)


class Page:
    """The voting page, served; `get` and `post` like a browser."""

    def __init__(self, bundle: Bundle) -> None:
        self.server = vote_server(bundle, 0)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = urlencode(form) if form is not None else None
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, answer.headers


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    opened = Page(make(tmp_path, count=3))
    yield opened
    opened.close()


def test_a_person_votes_in_the_browser_to_the_end(page: Page, tmp_path: Path) -> None:
    assert "Your name" in page.ask("GET", "/")[1]
    for _ in range(4):  # three pairs, one of them twice
        text = page.ask("GET", "/?rater=ann")[1]
        pair = text.split('name="pair" value="')[1].split('"')[0]
        shown = text.split('name="shown" value="')[1].split('"')[0]
        form = {"pair": pair, "rater": "ann", "choice": "tie", "shown": shown}
        status, _, headers = page.ask("POST", "/", form)
        assert (status, headers["location"]) == (303, "/?rater=ann")
    assert "Thank you, ann: 4 votes" in page.ask("GET", "/?rater=ann")[1]
    assert len(read_votes(tmp_path / "ab")) == 4


def test_the_page_asks_nothing_from_outside_and_escapes_answers(tmp_path: Path) -> None:
    files = answer_files(tmp_path, 1)
    row = {"id": "q0", "question": "<img src=x>", "output": "<script>alert(1)</script>"}
    files[0].write_text(json.dumps(row) + "\n")
    answers = read_answered_pair(*files)
    bundle = create_bundle(answers, tmp_path / "ab", tmp_path / "k", items=9, votes_per_item=1, title="T")
    opened = Page(bundle)
    try:
        _, text, headers = opened.ask("GET", "/?rater=ann")
    finally:
        opened.close()
    assert "&lt;script&gt;alert(1)" in text and "<img src" not in text
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "http://" not in text and "https://" not in text


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_other_sites_can_neither_read_nor_vote(header: dict[str, str], page: Page, tmp_path: Path) -> None:
    form = {"pair": "pair-0001", "rater": "ann", "choice": "left", "shown": "1"}
    assert page.ask("GET", "/?rater=ann", **header)[0] == 403
    assert page.ask("POST", "/", form, **header)[0] == 403
    assert read_votes(tmp_path / "ab") == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"pair": "none"}, 400),
        ({"choice": "up"}, 400),
        ({"rater": ""}, 400),
        ({"shown": "x"}, 400),
        ({"more": "x" * 5000}, 413),
    ],
)
def test_a_malformed_vote_is_refused(change: dict[str, str], status: int, page: Page, tmp_path: Path) -> None:
    form = {"pair": "pair-0001", "rater": "ann", "choice": "left", "shown": "1"} | change
    assert page.ask("POST", "/", form)[0] == status
    assert read_votes(tmp_path / "ab") == []


def test_there_is_only_one_page(page: Page) -> None:
    assert page.ask("GET", "/votes.jsonl")[0] == 404
    assert page.ask("GET", "/?rater=" + "x" * 41)[0] == 400


def test_the_whole_course_from_the_command_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, tuned = answer_files(tmp_path, 12)
    done = cli("ab", "create", base, tuned, "--out", tmp_path / "ab", "--items", 9, "--votes-per-item", 2)
    assert done.returncode == 0, done.stderr
    assert "9 pairs, 1 of them shown twice" in done.stdout
    for rater in ("ann", "bob"):
        answers = iter("x" + "t" * 30)
        monkeypatch.setattr("builtins.input", lambda *_: next(answers))  # noqa: B023
        assert "10 votes given" in cli("ab", "vote", tmp_path / "ab", "--rater", rater).stdout
    status = json.loads(cli("ab", "status", tmp_path / "ab", "--json").stdout)
    assert (status["votes"], status["items"], status["enough"]) == (20, 9, False)
    assert status["raters"]["ann"] == {"votes": 10, "done": True}
    assert "win_rate" not in status
    done = cli("ab", "analyze", tmp_path / "ab")
    assert "Not enough votes to tell tuned from base (win rate of tuned 50 %" in done.stdout
    labels = (tmp_path / "ab" / "labels.jsonl").read_text().splitlines()
    assert len(labels) == 18
    assert cli("agree", tmp_path / "ab" / "labels.jsonl", "--json").returncode == 0


def test_quitting_keeps_the_votes_given(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("ab", "create", *answer_files(tmp_path, 12), "--out", tmp_path / "ab", "--key", tmp_path / "k.json")
    answers = iter("abq")
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    assert "2 votes given" in cli("ab", "vote", tmp_path / "ab", "--rater", "ann").stdout
    assert "2 votes on 12 pairs" in cli("ab", "status", tmp_path / "ab").stdout
    assert cli("ab", "analyze", tmp_path / "ab").returncode == 3
    assert cli("ab", "analyze", tmp_path / "ab", "--key", tmp_path / "k.json").returncode == 0


def test_an_answer_cannot_steer_the_terminal(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, tuned = answer_files(tmp_path, 1)
    row = {"id": "q0", "question": "question 0", "output": "\x1b[2J\x07[bold]x[/bold]"}
    tuned.write_text(json.dumps(row) + "\n")
    cli("ab", "create", base, tuned, "--out", tmp_path / "ab")
    answers = iter("q")
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    text = cli("ab", "vote", tmp_path / "ab", "--rater", "ann").stdout
    assert "\x1b[2J" not in text and "\x07" not in text
    assert "[bold]x[/bold]" in text


def test_the_title_heads_the_page(cli: Cli, tmp_path: Path) -> None:
    cli("ab", "create", *answer_files(tmp_path, 3), "--out", tmp_path / "ab", "--title", "Helpful?")
    assert open_bundle(tmp_path / "ab").title == "Helpful?"


def test_a_folder_that_is_no_bundle_is_told(cli: Cli, tmp_path: Path) -> None:
    done = cli("ab", "status", tmp_path)
    assert (done.returncode, "no ab.json" in done.stderr) == (3, True)


def test_a_port_that_is_taken_is_told(page: Page, tmp_path: Path, cli: Cli) -> None:
    done = cli("ab", "serve", tmp_path / "ab", "--port", page.port)
    assert (done.returncode, "name another --port" in done.stderr) == (5, True)
