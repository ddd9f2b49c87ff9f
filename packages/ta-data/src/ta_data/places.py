"""Where a row stands: `faq.csv:12`, `a.zip!/doc.pdf#page=3`, `https://host/faq.csv:12`, or the file alone."""

import re

LINE = re.compile(r":\d+$")
PART = re.compile(r"#(?:page|post|sheet|item)=[^:]*$")


def file_of(place: str) -> str:
    """The file: `faq.csv` of `faq.csv:12`, `Posts.xml` of `Posts.xml#post=7`."""
    return PART.sub("", LINE.sub("", place))


def with_line(place: str) -> str:
    """The place with a line, the first where none is told."""
    return place if LINE.search(place) else f"{place}:1"
