"""mbox and eml: a message a document; a reply by somebody else to a message in the same box a conversation.

Addresses stay out of the text. Quoted lines and signatures are cut; attachments are counted and not read.
"""

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import NamedTuple

from ta_data.checks import Bad
from ta_data.collect.encoding import INVISIBLE, decode, tidy
from ta_data.collect.html import to_markdown
from ta_data.collect.outcome import Given, Raw, Skipped, Unreadable

MAX_MESSAGE_BYTES = 16 * 2**20
ATTRIBUTION = re.compile(r"^(On .{5,200}wrote|Am .{5,200}schrieb.{0,80}|Le .{5,200}écrit ?):\s*$", re.MULTILINE)


class Mail(NamedTuple):
    """What is kept of a message."""

    line: int
    sender: str
    subject: str
    body: str
    id: str
    reply_to: str


def read_mbox(given: Given) -> Iterator[Raw | Bad]:
    """Messages in their order, one in memory at a time but for the texts that a reply may refer to."""
    seen: dict[str, Mail] = {}
    answered: set[str] = set()
    count = 0
    for line, raw in split_mbox(given):
        count += 1
        if not raw:
            yield Bad(f":{line}", "message too large", f"more than {MAX_MESSAGE_BYTES // 2**20} MiB")
            continue
        mail, faults = parse(raw, line)
        yield from faults
        if not mail.body:
            yield Bad(f":{line}", "message without text", "no text part")
            continue
        before = seen.get(mail.reply_to)
        if before and before.sender != mail.sender:
            answered.add(before.id)
            yield {
                "messages": [
                    {"role": "user", "content": _with_subject(before)},
                    {"role": "assistant", "content": mail.body},
                ],
                "span": [mail.line, mail.line],
            }
        seen[mail.id or str(line)] = mail
    if not count:
        raise Unreadable("no message in it: not an mbox file")
    for key, mail in seen.items():
        if key not in answered and mail.reply_to not in seen:
            yield {"text": _with_subject(mail), "span": [mail.line, mail.line]}


def read_eml(given: Given) -> Iterator[Raw | Bad]:
    """One message."""
    mail, faults = parse(given.whole(), 1)
    yield from faults
    if not mail.body:
        raise Skipped("message without text")
    yield {"text": _with_subject(mail), "span": [1, 1]}


def split_mbox(given: Given) -> Iterator[tuple[int, bytes]]:
    """(first line, bytes) of each message; no bytes for one that is too large."""
    lines: list[bytes] = []
    first = number = size = 0
    while line := given.stream.readline(MAX_MESSAGE_BYTES):
        number += 1
        if line.startswith(b"From ") and (not lines or not lines[-1].strip() or size > MAX_MESSAGE_BYTES):
            if first:
                yield first, b"".join(lines) if size <= MAX_MESSAGE_BYTES else b""
            lines, first, size = [], number, 0
        elif first:
            size += len(line)
            if size <= MAX_MESSAGE_BYTES:
                lines.append(line)
    if first:
        yield first, b"".join(lines) if size <= MAX_MESSAGE_BYTES else b""


def parse(raw: bytes, line: int) -> tuple[Mail, list[Bad]]:
    """The message, and what of it was left out."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    attachments = sum(1 for _ in message.iter_attachments()) if message.is_multipart() else 0
    faults = [Bad(f":{line}", "attachment not read", f"{attachments} attached")] if attachments else []
    return Mail(
        line=line,
        sender=_header(message, "from"),
        subject=INVISIBLE.sub("", _header(message, "subject")),
        body=_cut(_body(message)),
        id=_header(message, "message-id"),
        reply_to=_header(message, "in-reply-to"),
    ), faults


def _body(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        text = tidy(raw.decode(part.get_content_charset("utf-8")))
    except (UnicodeDecodeError, LookupError):
        try:
            text = decode(raw).text
        except Skipped:
            return ""
    return to_markdown(text) if part.get_content_subtype() == "html" else text.replace("\r", "")


def _cut(body: str) -> str:
    body = re.split(r"^-- ?$", body, maxsplit=1, flags=re.MULTILINE)[0]
    body = ATTRIBUTION.sub("", body)
    return "\n".join(line for line in body.split("\n") if not line.startswith(">")).strip()


def _with_subject(mail: Mail) -> str:
    subject = re.sub(r"^((re|aw|fwd?|wg):\s*)+", "", mail.subject, flags=re.IGNORECASE)
    return f"{subject}\n\n{mail.body}" if subject else mail.body


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):  # headers the parser chokes on
        return ""
