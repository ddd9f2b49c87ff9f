"""The systems that are compared, and how each is asked: plain, with examples, with retrieved passages."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ta_schemas import Artifact, Parent, read_jsonl
from ta_schemas.rows import ConversationRow
from tunedassist_cli.pipeline import Lazily, Steps, evaluate_model, load_engine

if TYPE_CHECKING:
    from ta_data.domain import Domain
    from ta_eval.config import EvalConfig
    from ta_serve.retrieve.index import Index

Message = dict[str, str]
Rewrite = Callable[[list[Message]], list[Message]]
"""What is made of a conversation before the model sees it."""

EXAMPLES = 4
"""Training rows shown to the base model; a kind of row that the domain has appears at least once."""

PASSAGES = 3


class System(NamedTuple):
    """A model, and what is done to a question before it is asked."""

    name: str
    model: dict[str, str]
    """What identifies it: digests, and what was added to the prompt."""
    parent: Parent
    path: Path
    load: Callable[[], Any]
    rewrite: Rewrite | None = None

    @property
    def folder(self) -> str:
        """The name as a file name."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())

    def answering(self, engine: Lazily) -> Callable[..., Sequence[Any]]:
        """The callable that ta-eval asks."""
        rewrite = self.rewrite
        if rewrite is None:
            return engine

        def answer(batch: Sequence[list[Message]], **options: Any) -> Sequence[Any]:
            return engine([rewrite(messages) for messages in batch], **options)

        return answer


class Exam(NamedTuple):
    """The questions, how they are asked, and where the answers go."""

    item_sets: dict[str, Path]
    asked: "dict[str, EvalConfig]"
    predictions: Path
    steps: Steps
    domain: Path
    replace: bool

    def take(self, system: System, *names: str) -> dict[str, Path]:
        """A step for each item set of `names`: its predictions. The model is loaded once, if at all."""
        places = {
            name: self.predictions / f"{system.folder}-{name}" for name in names if name in self.item_sets
        }
        with Lazily(system.load) as engine:
            for name, place in places.items():
                self.steps.take(
                    f"{system.name} on {name}",
                    place,
                    lambda place, name=name: evaluate_model(  # type: ignore[misc]
                        self.asked[name],
                        self.item_sets[name],
                        system.name,
                        system.model,
                        system.answering(engine),
                        place,
                        system.parent,
                        domain=self.domain,
                        replace=self.replace,
                    ),
                )
        return places


def base_system(name: str, path: Path, digest: str) -> System:
    """The base model as it is."""
    return System(
        "base",
        {"model": name, "digest": digest},
        Parent(kind="model", digest=digest),
        path,
        lambda: load_engine(path, adapted=False),
    )


def tuned_system(name: str, adapter: Artifact, base: System) -> System:
    """An adapter over the base model."""
    return System(
        name,
        {
            "model": f"{base.model['model']} + adapter",
            "digest": adapter.digest,
            "base_digest": base.model["digest"],
        },
        adapter.as_parent,
        adapter.path,
        lambda: load_engine(adapter.path, adapted=True),
    )


def quantized_system(name: str, gguf: Artifact, base: System) -> System:
    """The file of a `gguf` artifact that is served."""
    from ta_serve.open import find_gguf, open_engine

    return System(
        name,
        {
            "model": name,
            "digest": gguf.digest,
            "file": find_gguf(gguf.path).file.name,
            "base_digest": base.model["digest"],
        },
        gguf.as_parent,
        gguf.path,
        lambda: open_engine(gguf.path),
    )


def with_prompt(system: System, dataset: Artifact, domain: "Domain") -> System:
    """The same model with a good prompt: what the domain says of itself, and examples as earlier turns."""
    shown = [message for row in examples(dataset) for message in spoken(row)]
    told = described(domain)

    def rewrite(messages: list[Message]) -> list[Message]:
        rest = messages[1:] if messages[0]["role"] == "system" else messages
        return [{"role": "system", "content": told}, *shown, *rest]

    return system._replace(
        name=f"{system.name} + prompt",
        model={**system.model, "prompt": told, "examples": str(EXAMPLES), "examples_of": dataset.digest},
        rewrite=rewrite,
    )


def described(domain: "Domain") -> str:
    """The system prompt with scope, style and refusal of `domain.yaml`."""
    parts = [domain.system_prompt, domain.scope and f"You help with this: {domain.scope}"]
    if domain.answer_style:
        parts.append("Your answers: " + "; ".join(domain.answer_style) + ".")
    if domain.refusal:
        parts.append(f'If a question is about anything else, answer: "{domain.refusal}"')
    return "\n".join(part for part in parts if part)


def examples(dataset: Artifact) -> list[ConversationRow]:
    """Rows of one question and answer: one of every kind, then ordinary ones, evenly over the split."""
    rows = [
        row
        for row in read_jsonl(dataset.file("train.jsonl"), ConversationRow)
        if sum(message.role == "user" for message in row.messages) == 1
    ]
    kinds: dict[str, list[ConversationRow]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    chosen = [members[len(members) // 2] for kind, members in sorted(kinds.items()) if kind != "answer"]
    ordinary = kinds.get("answer", [])
    count = min(max(1, EXAMPLES - len(chosen)), len(ordinary))
    return [*chosen, *(ordinary[at * len(ordinary) // count] for at in range(count))]


def spoken(row: ConversationRow) -> list[Message]:
    """The turns of a conversation without its system prompt."""
    return [{"role": m.role, "content": m.content} for m in row.messages if m.role != "system"]


def with_retrieval(system: System, dataset: Artifact, index: "Index") -> System:
    """The same model with passages of `index`, which come from `dataset`, in its system prompt."""
    from ta_serve.retrieve.ground import ground

    return system._replace(
        name=f"{system.name} + retrieval",
        model={**system.model, "passages": str(PASSAGES), "passages_of": dataset.digest},
        rewrite=lambda messages: ground(index, messages, count=PASSAGES).messages,
    )


def index_of(dataset: Artifact) -> "Index":
    """Questions and answers of the training split, one a task: what tuning saw, to be looked up instead."""
    from ta_serve.retrieve.documents import Document
    from ta_serve.retrieve.index import Index

    documents: dict[str, Document] = {}
    for line, row in enumerate(read_jsonl(dataset.file("train.jsonl"), ConversationRow), start=1):
        turns = spoken(row)
        text = f"Question: {turns[0]['content']}\nAnswer: {turns[1]['content']}"
        documents.setdefault(row.task or row.id, Document(row.id, text, "train.jsonl", line, line))
    return Index(list(documents.values()))
