"""Presidio beside our own patterns: offline, without a model, and named where it is missing."""

import importlib.util
import socket
import sys
from typing import Any

import pytest

from ta_safety.detectors import pii
from ta_safety.guard import Guard
from ta_safety.policy import parse_domain
from ta_schemas import SetupError

WITH = parse_domain({"safety": {"presidio": True}}, where="domain.yaml")
NUMBER = "My NHS number is 943 476 5919."
needs_presidio = pytest.mark.skipif(
    importlib.util.find_spec("presidio_analyzer") is None, reason="needs the extra: install ta-safety[presidio]"
)


def test_a_policy_that_asks_for_a_missing_presidio_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pii.presidio.cache_clear()
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(SetupError, match=r"ta-safety\[presidio\]"):
        Guard(WITH)


@needs_presidio
@pytest.mark.filterwarnings("ignore")  # of spaCy's own imports
def test_presidio_masks_what_our_patterns_do_not_know() -> None:
    assert Guard().check_output(NUMBER).action == "allow"
    assert Guard(WITH).check_output(NUMBER).text == "My NHS number is [UK_NHS]."


@needs_presidio
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ["Ping 192.168.1.4.", "See https://example.org.", "It was on 2024-05-06."])
def test_addresses_and_dates_stay_content_with_presidio(text: str) -> None:
    assert Guard(WITH).check_output(text).text == text


@needs_presidio
@pytest.mark.filterwarnings("ignore")
def test_presidio_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise AssertionError(f"network: {arguments}")

    pii.presidio.cache_clear()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert Guard(WITH).check_output("Write to anna.kern@firma-mueller.de.").text == "Write to [EMAIL]."
