"""`ta-data augment`: rows from a teacher or from templates, each validated; one failure spoils nothing else."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ta_data.augment.prompts import Ask, Kind, asks
from ta_data.augment.teacher import Reply, Teacher, TeacherError
from ta_data.augment.templates import paraphrases
from ta_data.augment.validate import WITH_ANSWER, Made, read_reply
from ta_data.checks import Bad
from ta_data.clean.parts import parts
from ta_data.disjoint import normalised
from ta_data.pipe import Object, Out, read_rows

TOKENS_PER_WORD = 1.4
"""For the estimate; English with a byte-pair tokenizer of 32,000 to 128,000 entries lies at 1.3 to 1.5."""

Progress = Callable[[int, int], None]
"""Takes how many requests are done, and of how many."""


class Estimate(NamedTuple):
    """What a run would cost, before it is started."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float

    @classmethod
    def of(cls, wanted: list[Ask], *, count: int, price_in: float, price_out: float) -> "Estimate":
        """Prices are for a million tokens."""
        asked = int(sum(len(ask.prompt.split()) for ask in wanted) * TOKENS_PER_WORD)
        said = len(wanted) * count * 60
        return cls(len(wanted), asked, said, round((asked * price_in + said * price_out) / 1e6, 4))


def wanted_asks(source: Path, kind: Kind, count: int) -> list[Ask]:
    """Every request that the rows of `source` call for, in order."""
    rows = (placed for placed in read_rows(source) if not isinstance(placed, Bad))
    return [ask for placed in rows for ask in asks({"id": placed.where, **placed.row}, kind, count)]


def augment(
    wanted: list[Ask],
    kind: Kind,
    teacher: Teacher,
    out: Path | None,
    *,
    refusal: str = "",
    system: str = "",
    style: Sequence[str] = (),
    concurrency: int = 4,
    rejected: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Ask the teacher and write what is valid, in the order of the input; give the summary.

    Rows carry `synthetic`: teacher, kind, digest of the prompt, and the row it was made from.
    """
    reasons: Counter[str] = Counter()
    turned_away: list[Object] = []
    seen = {normalised(parts(ask.about).prompt) for ask in wanted} if kind != "distill" else set()
    written = 0

    def request(ask: Ask) -> Reply | TeacherError:
        try:
            return teacher.ask(_messages(ask, kind, system, style))
        except TeacherError as error:
            return error

    with Out(out) as kept, ThreadPoolExecutor(concurrency) as pool:
        try:
            for done, (ask, reply) in enumerate(zip(wanted, pool.map(request, wanted), strict=True), start=1):
                for made in _made(ask, reply, kind, refusal):
                    if not made.reason and kind != "distill" and normalised(made.question) in seen:
                        made = made._replace(reason="repeats another row")
                    if made.reason:
                        reasons[made.reason] += 1
                        turned_away.append(
                            {"id": ask.about["id"], "reason": made.reason, "detail": made.answer[:200]}
                        )
                        continue
                    seen.add(normalised(made.question))
                    written += 1
                    kept.write(as_row(made, ask, kind, teacher.model, system))
                if progress:
                    progress(done, len(wanted))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if rejected is not None:
        with Out(rejected) as lines:
            for line in turned_away:
                lines.write(line)
    return {
        "requests": len(wanted),
        "output": written,
        "rejected": dict(sorted(reasons.items())),
        "teacher": vars(teacher.spent),
        "kind": kind,
    }


def offline(source: Path, count: int, out: Path | None) -> dict[str, Any]:
    """Paraphrase questions by templates, without a teacher."""
    written = read = 0
    with Out(out) as kept:
        for placed in read_rows(source):
            if isinstance(placed, Bad):
                continue
            read += 1
            row = {"id": placed.where, **placed.row}
            question, answer = parts(row)
            for text in paraphrases(question, count) if question and answer else ():
                ask = Ask(row, "", text)
                kept.write(as_row(Made(text, answer), ask, "paraphrase", "templates", ""))
                written += 1
    return {"input": read, "output": written, "kind": "paraphrase"}


def as_row(made: Made, ask: Ask, kind: Kind, teacher: str, system: str) -> Object:
    """A conversation that says where it comes from."""
    about = ask.about
    messages = [{"role": "user", "content": made.question}, {"role": "assistant", "content": made.answer}]
    if kind == "multi-turn":
        messages = [*_turns(about), *messages]
    elif system:
        messages = [{"role": "system", "content": system}, *messages]
    digest = hashlib.sha256(ask.prompt.encode()).hexdigest()
    own = hashlib.sha256(f"{made.question}\0{made.answer}".encode()).hexdigest()[:10]
    row = {
        "id": f"{about['id']}+{kind}-{own}",
        "messages": messages,
        "source": str(about.get("source") or about["id"]),
        "synthetic": {"teacher": teacher, "kind": kind, "prompt": digest[:16], "of": str(about["id"])},
    }
    # A paraphrase is answered as the row was: a warning stays a warning.
    same = ("group", "license", "kind") if kind == "paraphrase" else ("group", "license")
    kept = {key: about[key] for key in same if about.get(key)}
    # A paraphrase shares its answer, so it must never be split from the row it was made from.
    task = {"task": str(about.get("task") or about["id"])} if kind in ("paraphrase", "multi-turn") else {}
    behaviour = {"kind": "out-of-scope"} if kind == "unanswerable" else {}
    return {**row, **kept, **task, **behaviour}


def _made(ask: Ask, reply: Reply | TeacherError, kind: Kind, refusal: str) -> Iterator[Made]:
    if isinstance(reply, TeacherError):
        yield Made("", "", str(reply))
    else:
        yield from read_reply(reply.text, ask, kind, refusal=refusal)


def _messages(ask: Ask, kind: Kind, system: str, style: Sequence[str]) -> list[dict[str, str]]:
    told = [system] if system and kind == "distill" else []
    if style and kind in (*WITH_ANSWER, "distill"):
        told.append("Answers are written like this:\n" + "\n".join(f"- {line}" for line in style))
    said = [{"role": "user", "content": ask.prompt}]
    return [{"role": "system", "content": "\n\n".join(told)}, *said] if told else said


def _turns(row: Object) -> list[dict[str, str]]:
    if isinstance(row.get("messages"), list):
        return list(row["messages"])
    question, answer = parts(row)
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
