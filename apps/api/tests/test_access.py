"""Who may ask, and how often."""

import pytest
from api_fixtures import CHAT, chat, http
from word_engine import WordEngine

from ta_schemas import InputError
from tunedassist_api.keys import KeyRing, add_key, remove_key
from tunedassist_api.rate_limit import RateLimit


@pytest.fixture
def locked(start, tmp_path):
    """A server with one key: (URL, key, key file)."""
    file = tmp_path / "keys.json"
    key = add_key(file, "alice")
    return start(WordEngine(), keys_file=file)[0], key, file


def bearer(key):
    return {"authorization": f"Bearer {key}"}


WRONG = {
    "none": {},
    "another": bearer("ta-wrong"),
    "empty": {"authorization": "Bearer"},
    "another scheme": {"authorization": "Basic YTpi"},
    "bytes": {"authorization": b"Bearer \xff\xfe"},
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/openapi.json", "/nowhere"])
def test_without_the_right_key_nothing_is_answered(locked, path, name):
    answer = http.get(locked[0] + path, headers=WRONG[name])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_with_the_key_it_is_answered(locked):
    assert http.post(locked[0] + CHAT, json=chat(), headers=bearer(locked[1])).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_key(locked, path):
    assert http.get(locked[0] + path).status_code == 200


def test_a_key_is_asked_for_before_the_body_is_read(locked):
    answer = http.post(locked[0] + CHAT, content=b" " * 3_000_000, headers={"content-type": "application/json"})
    assert answer.status_code == 401


def test_a_key_added_or_removed_counts_from_the_next_request_on(locked):
    url, alice, file = locked
    bob = add_key(file, "bob")
    assert http.get(url + "/v1/models", headers=bearer(bob)).status_code == 200
    remove_key(file, "alice")
    assert http.get(url + "/v1/models", headers=bearer(alice)).status_code == 401


def test_a_key_file_that_breaks_leaves_the_keys_read_last(locked):
    url, alice, file = locked
    file.write_text("{")
    assert http.get(url + "/v1/models", headers=bearer(alice)).status_code == 200
    assert http.get(url + "/v1/models", headers=bearer("other")).status_code == 401


def test_a_server_whose_last_key_is_removed_stays_locked(locked):
    url, _, file = locked
    remove_key(file, "alice")
    assert http.get(url + "/v1/models").status_code == 401


def test_keys_may_come_from_the_environment(start):
    url, _ = start(WordEngine(), environment_keys="first-key-of-many, second-key-of-many")
    assert http.get(url + "/v1/models").status_code == 401
    assert http.get(url + "/v1/models", headers=bearer("second-key-of-many")).status_code == 200


def test_a_key_that_can_be_guessed_is_refused():
    with pytest.raises(InputError, match="less than 16 characters"):
        KeyRing(None, "secret")


def test_a_key_file_never_holds_the_key_and_is_private(tmp_path):
    file = tmp_path / "keys.json"
    key = add_key(file, "alice")
    assert key.removeprefix("ta-") not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_keys_a_foreign_host_name_is_refused(url):
    answer = http.get(url + "/v1/models", headers={"host": "evil.example:80"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
    for host in ("localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert http.get(url + "/v1/models", headers={"host": host}).status_code == 200


def test_with_keys_any_host_name_goes(locked):
    headers = {"host": "api.example", **bearer(locked[1])}
    assert http.get(locked[0] + "/v1/models", headers=headers).status_code == 200


def test_more_requests_a_minute_than_allowed_get_429_with_the_wait(start):
    url, _ = start(WordEngine(), requests_per_minute=2)
    first, second, third = (http.post(url + CHAT, json=chat()) for _ in range(3))
    assert [a.headers["x-ratelimit-remaining-requests"] for a in (first, second)] == ["1", "0"]
    assert (third.status_code, third.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert third.headers["x-ratelimit-limit-requests"] == "2"
    assert http.get(url + "/readyz").status_code == 200


def test_each_key_has_its_own_limit(start, tmp_path):
    file = tmp_path / "keys.json"
    alice, bob, carol = (
        add_key(file, "alice"),
        add_key(file, "bob", requests_per_minute=2),
        add_key(file, "carol", requests_per_minute=0),
    )
    url, _ = start(WordEngine(), keys_file=file, requests_per_minute=1)

    def statuses(key):
        return [http.get(url + "/v1/models", headers=bearer(key)).status_code for _ in range(3)]

    assert statuses(alice) == [200, 429, 429]
    assert statuses(bob) == [200, 200, 429]
    assert statuses(carol) == [200, 200, 200]


def test_a_bucket_fills_again():
    now = 0.0
    limit = RateLimit(clock=lambda: now)
    assert [limit.take("a", 2).ok for _ in range(3)] == [True, True, False]
    assert limit.take("a", 2).retry_after_s == 30
    now = 29.0
    assert not limit.take("a", 2).ok
    now = 30.0
    assert limit.take("a", 2).ok


def test_callers_seen_long_ago_are_forgotten():
    limit = RateLimit()
    for number in range(10_050):
        limit.take(str(number), 1)
    assert len(limit._buckets) == 10_000


def test_other_origins_are_closed_out_by_default(url):
    answer = http.get(url + "/v1/models", headers={"origin": "https://app.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_was_named_may_call_and_reads_errors_too(start, tmp_path):
    file = tmp_path / "keys.json"
    add_key(file, "alice")
    url, _ = start(WordEngine(), keys_file=file, cors_origins=("https://app.example",))
    origin = {"origin": "https://app.example"}
    preflight = http.options(
        url + CHAT,
        headers={
            **origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type",
        },
    )
    assert preflight.status_code == 200
    refused = http.get(url + "/v1/models", headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    other = http.get(url + "/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
