"""Row types: one JSON object a line, in the shapes TRL, `datasets` and OpenAI read as they are.

Structs of msgspec: validation at about the speed of JSON parsing. Unknown fields are kept in `extra` and
written back; that is the work of `jsonl`, which tries a line without any first. So the types themselves refuse
unknown fields, and rows are read with `read_jsonl` or `to_row`.
"""

from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
ConversationKind = Literal["answer", "warn", "clarify", "out-of-scope"]
Split = Literal["train", "validation", "test"]


class Row(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What every row has: room for fields this version does not know."""

    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Message(Row, kw_only=True, omit_defaults=True):
    """One turn, as in OpenAI chat completions."""

    role: Role
    content: str


class DocumentRow(Row, kw_only=True, omit_defaults=True):
    """A piece of a corpus (`corpus/documents.jsonl`)."""

    id: str
    text: str
    source: str
    span: list[int] = msgspec.field(default_factory=list)
    """First and last line in `source`, counted from 1."""
    license: str = ""


class ConversationRow(Row, kw_only=True, omit_defaults=True):
    """A conversation (`dataset/{train,validation,test}.jsonl`)."""

    id: str
    messages: list[Message]
    group: str = ""
    """What must not be torn apart or what a split is balanced over, such as the tool."""
    task: str = ""
    """The task whose paraphrases share an answer; never in two splits."""
    kind: ConversationKind = "answer"
    source: str = ""
    """File and line it came from."""
    license: str = ""
    synthetic: dict[str, Any] = msgspec.field(default_factory=dict)
    """Teacher, prompt digest and source; empty for what people wrote."""


class PreferenceRow(Row, kw_only=True, omit_defaults=True):
    """A preference (`preferences/*.jsonl`) in TRL's conversational form."""

    id: str
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    margin: float | None = None
    source: str = ""


class BenchmarkRow(Row, kw_only=True, omit_defaults=True):
    """A held-out question with its automated scorer (`benchmark.jsonl`, `general.jsonl`)."""

    id: str
    category: str
    messages: list[Message]
    scorer: str
    """A scorer of ta-eval, which refuses one that it does not know, or your own as `module:function`."""
    group: str = ""
    references: list[str] = msgspec.field(default_factory=list)
    """Accepted answers of `exact` and `command`."""
    pattern: str = ""
    """Python regular expression of `regex`, searched in the answer."""
    choices: list[str] = msgspec.field(default_factory=list)
    answer: str = ""
    """The right letter of `multiple_choice`."""


class PredictionRow(Row, kw_only=True, omit_defaults=True):
    """An answer to a benchmark row (`predictions/predictions.jsonl`)."""

    id: str
    output: str
    finish_reason: str = ""
    """`stop`, `length` or `error`."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""


class ScoreRow(Row, kw_only=True, omit_defaults=True):
    """A scored answer (`predictions/scores.jsonl`); `score` is None where it could not be scored."""

    id: str
    category: str
    score: float | None
    scorer: str
    reason: str = ""
    extracted: str = ""


class FeedbackRow(Row, kw_only=True, omit_defaults=True):
    """What a person said of a served answer (`feedback/*.jsonl`)."""

    id: str
    messages: list[Message]
    rating: Literal["up", "down"]
    correction: str = ""
    model: str = ""
    created_at: str = ""


class AttemptRow(Row, kw_only=True, omit_defaults=True):
    """One attack and what came back (`safety-report/attempts.jsonl`)."""

    id: str
    probe: str
    messages: list[Message]
    output: str
    detector: str = ""
    score: float | None = None
    blocked: bool = False


ROW_TYPES: tuple[type[Row], ...] = (
    Message,
    DocumentRow,
    ConversationRow,
    PreferenceRow,
    BenchmarkRow,
    PredictionRow,
    ScoreRow,
    FeedbackRow,
    AttemptRow,
)
