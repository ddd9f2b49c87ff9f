"""Stack Exchange dumps (`Posts.xml`): a question with its accepted, else its best answer, as a conversation."""

from collections.abc import Iterator
from typing import NamedTuple

from ta_data.checks import Bad
from ta_data.collect.html import to_markdown
from ta_data.collect.outcome import Given, Raw, Skipped, Unreadable

DEFAULT_LICENSE = "CC-BY-SA-4.0"


class Question(NamedTuple):
    """A question that waits for its answers."""

    text: str
    tags: str
    accepted: str
    license: str


class Best(NamedTuple):
    """The best answer so far: accepted first, then the score."""

    accepted: bool
    score: int
    post: str
    html: str


def read_posts(given: Given) -> Iterator[Raw | Bad]:
    """Conversations in the order of the questions. HTML is turned to Markdown; nothing else is expanded."""
    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import ParseError, iterparse  # type: ignore[import-untyped]

    questions: dict[str, Question] = {}
    best: dict[str, Best] = {}
    try:
        for _, element in iterparse(given.stream):
            if element.tag == "row":
                post = element.attrib
                if post.get("PostTypeId") == "1":
                    questions[post["Id"]] = Question(
                        f"{post.get('Title', '')}\n\n{to_markdown(post.get('Body', ''))}".strip(),
                        post.get("Tags", ""),
                        post.get("AcceptedAnswerId", ""),
                        post.get("ContentLicense", DEFAULT_LICENSE).replace(" ", "-"),
                    )
                elif post.get("PostTypeId") == "2" and post.get("ParentId"):
                    question = questions.get(post["ParentId"])
                    accepted = question is not None and question.accepted == post["Id"]
                    answer = Best(accepted, int(post.get("Score", "0")), post["Id"], post.get("Body", ""))
                    rival = best.get(post["ParentId"])
                    if rival is None or answer[:2] > rival[:2]:
                        best[post["ParentId"]] = answer
            element.clear()
    except (ParseError, DefusedXmlException) as error:
        if not questions:
            raise Unreadable(f"not valid XML, or hostile ({type(error).__name__})") from None
        yield Bad("", "truncated", "the XML ends in the middle: what came before is kept")
    if not questions:
        raise Skipped("no posts in it: of a Stack Exchange dump only Posts.xml is read")
    for number, question in questions.items():
        found = best.get(number)
        text = to_markdown(found.html) if found else ""
        if not text:
            yield Bad(f"#post={number}", "question without answer", "nobody answered it")
            continue
        tags = question.tags.strip("<>|").replace("><", " ").replace("|", " ").split()
        yield {
            "messages": [
                {"role": "user", "content": question.text},
                {"role": "assistant", "content": text},
            ],
            "post": int(number),
            "group": tags[0] if tags else "",
            "license": question.license,
        }
