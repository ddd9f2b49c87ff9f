"""The parity gate: training side, transformers engine, GGUF files, Ollama's template and servers, compared."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, InputError
from ta_schemas.errors import GateError
from ta_serve.engines.llama_cpp.threads import usable_cores
from ta_serve.export.gguf_header import read_header
from ta_serve.export.ollama.go_template import render_go
from ta_serve.export.ollama.modelfile import read_modelfile
from ta_serve.parity.chats import Chat
from ta_serve.parity.child import in_child
from ta_serve.parity.compare import (
    Difference,
    Seen,
    compare_choices,
    first_text_difference,
    first_token_difference,
    look,
)
from ta_serve.parity.reference import Answered, Reference
from ta_serve.parity.server import Server, ask, comparable, compare_texts, other_prompts

UNQUANTIZED = (0, 1, 32)
"""general.file_type of F32, F16 and BF16."""

TOLERANCE = 0.1
"""Logits. Where an unquantized file prefers another token, transformers must find the two as good as equal."""

AGREEMENT = 0.7
"""The share of the answers' tokens that a quantized file must choose too."""


@dataclass(frozen=True)
class Verdict:
    """One side, compared with training."""

    side: str
    ok: bool
    prompts: int
    """Prompts that are the same, text and token ids."""
    agreement: float | None = None
    """Share of the answers' tokens; None where the side does not answer."""
    same_answers: int | None = None
    worst_gap: float | None = None
    difference: str = ""
    """The first one that counts."""
    compared: int | None = None
    """Conversations, where these are not all."""


@dataclass
class Parity:
    """The verdicts on all sides."""

    chats: int
    tolerance: float
    agreement: float
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every side is the model that was measured."""
        return all(verdict.ok for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """For files."""
        return {"ok": self.ok, **asdict(self)}

    def demand(self) -> None:
        """Raise GateError with the first difference."""
        for verdict in self.verdicts:
            if not verdict.ok:
                raise GateError(f"parity: {verdict.side}: {verdict.difference}")


def check_parity(
    source: Path,
    files: Sequence[Path],
    chats: Sequence[Chat],
    *,
    modelfile: Path | None = None,
    base_and_lora: tuple[Path, Path] | None = None,
    servers: Sequence[Server] = (),
    max_tokens: int = 24,
    tolerance: float = TOLERANCE,
    agreement: float = AGREEMENT,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda side: None,
) -> Parity:
    """Compare what serves with what was trained; `source` is the adapter or model folder.

    `base_and_lora`: the base model's GGUF and the adapter's, compared as one more side. `servers`: asked over
    HTTP; what they answer is held to the rule for unquantized files. An unquantized file
    must choose transformers' tokens but for near ties, a quantized one must agree to a share; prompts must be
    equal to the byte and the token. Raises InputError where a file cannot be used at all.
    """
    reference = Reference(source)
    parity = Parity(len(chats), tolerance, agreement)
    progress("transformers")
    answers = reference.answers(chats, max_tokens=max_tokens)
    parity.verdicts.append(_engine(reference, answers))
    stops = reference.stop_ids()
    wanted = [(answered.prompt_ids, answered.answer_ids) for answered in answers]
    prompts = [answered.prompt for answered in answers]
    sides: list[tuple[Path, Path | None]] = [(file, None) for file in files]
    for file, adapter in [*sides, *([base_and_lora] if base_and_lora else [])]:
        progress(adapter.name if adapter else file.name)
        over = str(adapter or "")
        seen = in_child(
            look, str(file), over, prompts, wanted, list(stops), threads or usable_cores(), where=str(file)
        )
        parity.verdicts.append(_file(reference, answers, file, seen, parity, adapter))
        if modelfile and file == files[0]:
            parity.verdicts.append(_ollama(reference, answers, modelfile, seen))
    for server in servers:
        progress(server.url)
        parity.verdicts.append(_server(reference, answers, server, max_tokens, tolerance))
    return parity


def _server(
    reference: Reference, answers: Sequence[Answered], server: Server, max_tokens: int, tolerance: float
) -> Verdict:
    asked = comparable(reference, answers)
    if not asked:
        raise InputError(f"{server.url}: tuned with a system prompt, and no conversation has one")
    said = ask(server, asked, max_tokens=max_tokens, stop=reference.settings.generation.stop)
    problems = other_prompts(asked, said)
    steps = compare_texts(reference, asked, said, tolerance=tolerance)
    different = [*problems, *([steps.first] if steps.first else [])]
    return Verdict(
        server.url,
        not different,
        len(asked) - len(problems),
        agreement=steps.same / steps.tokens,
        same_answers=steps.same_answers,
        worst_gap=steps.worst_gap,
        difference=str(different[0]) if different else "",
        compared=len(asked),
    )


def _engine(reference: Reference, answers: Sequence[Answered]) -> Verdict:
    """The engine computes in batches with shared prefixes; its texts must be those of plain forward passes."""
    different = []
    for answered in answers:
        said, text = answered.said, reference.text_of(answered)
        if said.prompt_tokens != len(answered.prompt_ids):
            what = f"has {said.prompt_tokens} prompt tokens, training {len(answered.prompt_ids)}"
            different.append(Difference(answered.chat.name, what))
        elif said.text != text:
            what = f"answers {said.text!r}, plain forward passes {text!r}"
            different.append(Difference(answered.chat.name, what))
    return Verdict(
        "transformers engine",
        not different,
        len(answers) - len(different),
        same_answers=len(answers) - len(different),
        difference=str(different[0]) if different else "",
    )


def _file(
    reference: Reference,
    answers: Sequence[Answered],
    file: Path,
    seen: Seen,
    parity: Parity,
    adapter: Path | None,
) -> Verdict:
    side = f"{file.name} with {adapter.name}" if adapter else file.name
    problems = [
        *_other_prompts(reference, answers, seen, side=file.name),
        *(
            Difference("stop tokens", f"an answer ends at {text!r} in training, llama.cpp goes on")
            for token, text in reference.stop_ids().items()
            if not seen.stops_at[token]
        ),
    ]
    whole = _file_type(file) in UNQUANTIZED
    steps = compare_choices(
        answers, seen.choices, reference.tokenizer.decode, tolerance=parity.tolerance if whole else float("inf")
    )
    if steps.first:
        problems.append(steps.first)
    share = steps.same / steps.tokens
    if not whole and share < parity.agreement:
        problems.append(
            Difference(
                "answers", f"{share:.1%} of {steps.tokens} tokens agree, expected {parity.agreement:.0%}"
            )
        )
    wrong = {problem.chat for problem in problems}
    return Verdict(
        side,
        not problems,
        sum(answered.chat.name not in wrong for answered in answers),
        agreement=share,
        same_answers=steps.same_answers,
        worst_gap=steps.worst_gap,
        difference=str(problems[0]) if problems else "",
    )


def _other_prompts(
    reference: Reference, answers: Sequence[Answered], seen: Seen, *, side: str
) -> list[Difference]:
    """Conversations whose text, by the template in the file, or token ids differ."""
    from ta_serve.engines.llama_cpp.template import ChatTemplate

    template = ChatTemplate(seen.template, bos=seen.bos, eos=seen.eos)
    problems = []
    for answered, ids in zip(answers, seen.prompt_ids, strict=True):
        what = first_text_difference(
            answered.prompt, template.render(answered.chat.messages), side=f"the template in {side}"
        ) or first_token_difference(answered.prompt_ids, ids, reference.tokenizer.decode, side=side)
        if what:
            problems.append(Difference(answered.chat.name, what))
    return problems


def _ollama(reference: Reference, answers: Sequence[Answered], modelfile: Path, seen: Seen) -> Verdict:
    read = read_modelfile(modelfile)
    first = seen.bos if seen.puts_bos_first else ""
    problems = []
    if read.system != reference.settings.system_prompt:
        problems.append(
            Difference("SYSTEM", f"{read.system!r}, tuned with {reference.settings.system_prompt!r}")
        )
    for answered in answers:
        found = first + render_go(read.template, answered.chat.messages)
        what = first_text_difference(answered.prompt, found, side="Ollama's TEMPLATE")
        if what:
            problems.append(Difference(answered.chat.name, what))
    return Verdict(
        "Ollama's template",
        not problems,
        len(answers) - len(problems),
        difference=str(problems[0]) if problems else "",
    )


def _file_type(file: Path) -> int:
    return int(read_header(file).fields.get("general.file_type", -1))


def served_by(paths: Sequence[Path]) -> tuple[list[Path], Path | None]:
    """The GGUF files of what was named, and the Modelfile of an artifact. Raises InputError for none."""
    files: list[Path] = []
    modelfile: Path | None = None
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        Artifact.open(path, kind="gguf")
        inside = [file for file in sorted(path.glob("*.gguf")) if not file.stem.endswith("-lora-F16")]
        if not inside:
            raise InputError(f"{path}: no GGUF file in it")
        files += inside
        modelfile = path / "Modelfile" if (path / "Modelfile").exists() else modelfile
    return files, modelfile
