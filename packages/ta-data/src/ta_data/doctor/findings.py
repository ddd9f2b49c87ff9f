"""What the doctor can find: each check with its severity, what it means and how to mend it."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

Severity = Literal["block", "warn", "off"]
EXAMPLES = 3


class Check(NamedTuple):
    """A check as it stands by default."""

    severity: Severity
    means: str
    fix: str


LEAK = "ta-data build and prepare split by task or group: split again, or drop the row from one side"
SHAPE = "ta-data prepare --on-error skip leaves such rows out and counts them"
CHECKS: dict[str, Check] = {
    "unreadable": Check("block", "a line is no JSON object", SHAPE),
    "misshaped": Check(
        "block", "neither messages nor prompt, chosen and rejected", "ta-data collect maps columns"
    ),
    "unknown-role": Check("block", "a role that chat templates do not know", "use system, user, assistant"),
    "empty-message": Check("block", "a message without text", SHAPE),
    "no-answer": Check("block", "no assistant message: there is nothing to learn", SHAPE),
    "not-user-first": Check("block", "the first turn is not the user's", SHAPE),
    "roles-repeat": Check(
        "block", "two turns of one role in a row: many templates raise", "join the two turns"
    ),
    "last-not-assistant": Check("block", "the last turn is not the assistant's", "drop the last turn"),
    "chosen-is-rejected": Check("block", "a preference between equal answers", "ta-data pairs leaves them out"),
    "template-error": Check("block", "the chat template raises", "mend the row, or choose another template"),
    "no-trained-tokens": Check(
        "block",
        "the prompt alone fills the length limit: every token is masked",
        "raise --max-tokens or drop the row",
    ),
    "duplicate-across-splits": Check("block", "the same question in two splits", LEAK),
    "near-duplicate-across-splits": Check(
        "block", "nearly the same question in train and in a held-out split", LEAK
    ),
    "task-across-splits": Check("block", "paraphrases of one task in two splits", LEAK),
    "group-across-splits": Check("block", "one group in two splits of a dataset split by group", LEAK),
    "benchmark-contact": Check("block", "touches a held-out question or its answer", "ta-data decontaminate"),
    "secret": Check(
        "block", "a key, token or password in the text", "ta-data pii; then revoke it: it was written down"
    ),
    "duplicate-id": Check("block", "two rows of one id", "give every row its own id"),
    "truncated-answer": Check(
        "warn", "the length limit cuts the answer", "raise --max-tokens, or shorten the rows"
    ),
    "duplicate": Check("warn", "the same conversation again in the split", "ta-data dedup"),
    "several-answers": Check(
        "warn", "one prompt with several answers", "keep the best, or put what differs in the prompt"
    ),
    "repeated-answer": Check("warn", "one answer many times: a template?", "ta-data filter, or fewer of them"),
    "answer-in-prompt": Check("warn", "the prompt holds the whole answer", "take it out of the prompt"),
    "system-prompts": Check("warn", "more than three system prompts", "one for the domain, unless it is meant"),
    "special-tokens": Check(
        "warn", "markers of a chat template inside the text", "take them out: they end turns"
    ),
    "language-mix": Check("warn", "not in the language of most rows", "ta-data filter --language"),
    "mojibake": Check(
        "warn", "text that was read in a wrong encoding", "ta-data filter mends what can be mended"
    ),
    "invisible": Check("warn", "control, zero-width or direction characters", "ta-data collect takes them out"),
    "refusal": Check("warn", "answers in the words of a chat model that refuses", "ta-data filter"),
    "personal-data": Check("warn", "addresses, numbers and the like", "ta-data pii masks them"),
    "length-skew": Check(
        "warn", "chosen is nearly always the longer answer: length is what is learned", "ta-data pairs balances"
    ),
    "imbalance": Check(
        "warn", "one source makes up most of the rows", "collect more of the others, or fewer of it"
    ),
    "synthetic": Check("warn", "rows written by a model", "look at a sample; keep their share in the card"),
    "no-license": Check(
        "warn", "rows whose license is not known", "ta-data collect --license, or license: in domain.yaml"
    ),
    "no-source": Check("warn", "rows that do not say where they come from", "collect them with ta-data"),
}


class Findings:
    """Counts by check and its first examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, str]]] = defaultdict(list)

    def add(self, check: str, where: str, row_id: str, what: str) -> None:
        """Count one; the first three are kept in full."""
        self.counts[check] += 1
        if len(self.examples[check]) < EXAMPLES:
            self.examples[check].append({"where": where, "id": row_id, "what": what[:200]})


@dataclass(frozen=True)
class Finding:
    """A line of the report."""

    check: str
    severity: Severity
    count: int
    share: float
    """Of all rows."""
    means: str
    fix: str
    examples: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        """A plain object."""
        return asdict(self)
