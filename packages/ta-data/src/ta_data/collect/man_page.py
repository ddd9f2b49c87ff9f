"""Manual pages: through `mandoc` where it is installed, else by taking the roff requests out."""

import re
import shutil
import subprocess
from collections.abc import Iterator

from ta_data.checks import Bad
from ta_data.collect.encoding import decode, tidy
from ta_data.collect.outcome import Given, Raw, Skipped, Unreadable

HEADINGS = {"TH": "# ", "SH": "## ", "SS": "### ", "Sh": "## ", "Ss": "### ", "Dt": "# "}
ESCAPES = (
    (r"\(aq", "'"),
    (r"\-", "-"),
    (r"\e", "\\"),
    (r"\(co", "©"),
    (r"\(bu", "•"),
    (r"\&", ""),
    (r"\ ", " "),
)
NOT_TEXT = frozenset(
    [
        "so", "nr", "ds", "de", "ig", "if", "ie", "el", "ft", "ad", "na", "hy", "nh", "ne", "ta", "in", "PD",
        "AT", "UC", "Dd", "Os",
    ]
)  # fmt: skip


def read_man_page(given: Given) -> Iterator[Raw | Bad]:
    """One document a page."""
    raw = given.whole()
    source = decode(raw).text
    redirect = re.match(r"\.so (\S+)\s*\Z", source)
    if redirect:
        raise Skipped("only refers to another page")
    text = rendered(raw) if shutil.which("mandoc") else strip_roff(source)
    if not text.strip():
        raise Skipped("no text")
    yield {"text": text.strip("\n"), "span": [1, source.rstrip("\n").count("\n") + 1]}


def rendered(raw: bytes) -> str:
    """The page as `mandoc` shows it, without overstrike."""
    done = subprocess.run(
        ["mandoc", "-Tutf8", "-Owidth=100"], input=raw, capture_output=True, timeout=15, check=False
    )
    if not done.stdout:
        raise Unreadable("mandoc shows nothing of it")
    return tidy(re.sub(".\b", "", done.stdout.decode("utf-8", "replace")))


def strip_roff(source: str) -> str:
    """The text of the page: headings as Markdown, font requests and escapes taken out."""
    lines: list[str] = []
    for line in source.split("\n"):
        if re.match(r"[.']\s*\\\"", line):
            continue
        request = re.match(r"[.']\s*(\w+)\s*(.*)", line)
        if not request:
            if not line.startswith((".", "'")):
                lines.append(_plain(line))
            continue
        name, rest = request[1], _arguments(request[2])
        if name in HEADINGS:
            lines += ["", HEADINGS[name] + " ".join(rest[:1] if name in ("TH", "Dt") else rest), ""]
        elif name in ("PP", "P", "LP", "Pp", "sp", "br", "TP", "IP", "It"):
            lines.append("")
            lines += [" ".join(rest)] if name in ("IP", "It") and rest else []
        elif name not in NOT_TEXT and rest:
            joined = "" if name in ("BR", "RB", "IR", "RI", "BI", "IB") else " "
            lines.append(joined.join(rest))
    return re.sub(r"\n{3,}", "\n\n", tidy("\n".join(lines)))


def _plain(text: str) -> str:
    for escape, plain in ESCAPES:
        text = text.replace(escape, plain)
    return re.sub(r"\\f(\[\w*\]|\(..|.)|\\s[-+]?\d+|\\\*(\[\w*\]|\(..|.)|\\[|^/,%:]", "", text)


def _arguments(rest: str) -> list[str]:
    return [_plain(quoted or bare) for quoted, bare in re.findall(r'"((?:[^"]|"")*)"|(\S+)', rest)]
