"""`tunedassist run`: from a domain folder to a measured adapter, skipping what is sealed already."""

import difflib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ta_schemas import Artifact, InputError, Parent
from ta_schemas.errors import Stopped
from ta_schemas.manifest import MANIFEST_NAME
from tunedassist_cli.messages import say, say_step
from tunedassist_cli.stages import missing

if TYPE_CHECKING:
    from ta_eval.config import EvalConfig
    from ta_serve.engines.transformers import TransformersEngine

GENERAL_PROMPT = "You are a helpful AI assistant."
"""The general questions are asked with it, base and tuned alike: they are not the domain's."""

BATCH = 64
"""Conversations handed to the engine at a time; it sorts them by length and journals after each batch."""


class Result(NamedTuple):
    """What a run left."""

    dataset: Artifact
    adapter: Artifact
    report: Artifact
    steps: "Steps"
    """How long each step took."""
    predictions: dict[str, dict[str, Path]]
    """System: item set: its answers."""


def run(
    domain: Path,
    out: Path,
    *,
    recipe: str = "cpu-smollm2",
    overrides: Sequence[str] = (),
    base_model: str | None = None,
    max_steps: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    replace: bool = False,
    further_steps: int = 0,
) -> Result:
    """Prepare the data, measure the base model, tune it, measure again, compare.

    `overrides` (`key=value`) change the recipe; `base_model`, `max_steps` and `seed` are short for three.
    Every step is an artifact below `out`. `further_steps` are those that the caller takes afterwards with the
    result's `steps`. Raises what the stages raise; SetupError for one that is not installed.
    """
    with installed("data"):
        from ta_data import DataConfig, prepare
        from ta_data.domain import load_domain
    with installed("train"):
        from ta_train.config import SftConfig
        from ta_train.models.base_model import resolve
        from ta_train.recipe import load_recipe
        from ta_train.sft import sft
    with installed("eval"):
        from ta_eval.benchmark import read_benchmark
        from ta_eval.compare import compare
        from ta_eval.config import CompareConfig, EvalConfig
        from ta_eval.evaluate import what_can_be_seen
    with installed("serve"):
        from ta_serve.open import require_transformers

        require_transformers()

    short = as_overrides(base_model=base_model, max_steps=max_steps, seed=seed)
    config = load_recipe(recipe, SftConfig, [*overrides, *short])
    root, settings = load_domain(domain)
    item_sets = {
        name: some_items(root / file, limit, out)
        for name, file in (("benchmark", settings.benchmark), ("general", settings.general))
        if file
    }
    if "benchmark" not in item_sets:
        raise InputError(f"{root / 'domain.yaml'}: benchmark: missing: name a file of held-out questions")
    prompts = {"benchmark": settings.system_prompt, "general": GENERAL_PROMPT}
    asked = {name: EvalConfig(system_prompt=prompts[name], max_tokens=config.max_tokens) for name in item_sets}
    steps = Steps(total=4 + 2 * len(item_sets) + further_steps)

    with steps.timed("base model"):
        base = resolve(config.base_model)
    data_config = DataConfig(tokenizer=base.path)
    dataset = steps.take(
        "dataset", out / "dataset", lambda place: prepare(data_config, domain, place, replace=replace)
    )
    for file in item_sets.values():
        say(what_can_be_seen(read_benchmark(file, domain=root)))

    def measure(
        system: str, model: dict[str, str], parent: Parent, load: "Callable[[], TransformersEngine]"
    ) -> dict[str, Path]:
        answer = Lazily(load)
        places = {name: out / "predictions" / f"{system}-{name}" for name in item_sets}
        for name, file in item_sets.items():
            steps.take(
                f"{system} model on {name}",
                places[name],
                lambda place, name=name, file=file: evaluate_model(  # type: ignore[misc]
                    asked[name], file, system, model, answer, place, parent, domain=root, replace=replace
                ),
            )
        return places

    before = measure(
        "base",
        {"model": base.name, "digest": base.digest},
        Parent(kind="model", digest=base.digest),
        lambda: load_engine(base.path, adapted=False),
    )
    adapter = steps.take(
        "training",
        out / "adapter",
        lambda place: or_how_to_go_on(lambda: sft(config, dataset.path, place, resume=True, replace=replace)),
    )
    after = measure(
        "tuned",
        {"model": f"{base.name} + adapter", "digest": adapter.digest, "base_digest": base.digest},
        adapter.as_parent,
        lambda: load_engine(adapter.path, adapted=True),
    )
    title = f"{settings.title or settings.name}: base and tuned {base.name}"
    report = steps.take(
        "report",
        out / "eval-report",
        lambda place: compare(
            CompareConfig(title=title),
            {name: [before[name], after[name]] for name in item_sets},
            place,
            replace=replace,
        ),
    )
    return Result(dataset, adapter, report, steps, {"base": before, "tuned": after})


class Steps:
    """Runs the steps, and tells how long each took or that it was sealed already."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.seconds: dict[str, float] = {}
        self.skipped: set[str] = set()
        self._began = time.monotonic()

    def take(self, name: str, place: Path, verb: Callable[[Path], Artifact]) -> Artifact:
        """A step that seals an artifact at `place`; it was skipped if the manifest there is the old one."""
        manifest = place / MANIFEST_NAME
        old = manifest.stat().st_mtime_ns if manifest.exists() else None
        self._say(name)
        started = time.monotonic()
        artifact = verb(place)
        self._end(name, started, skipped=manifest.stat().st_mtime_ns == old)
        return artifact

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A step that seals nothing at a place of ours."""
        self._say(name)
        started = time.monotonic()
        yield
        self._end(name, started, skipped=False)

    def _say(self, name: str) -> None:
        say_step(len(self.seconds) + 1, self.total, name, minutes=(time.monotonic() - self._began) / 60)

    def _end(self, name: str, started: float, *, skipped: bool) -> None:
        self.seconds[name] = time.monotonic() - started
        if skipped:
            self.skipped.add(name)
        say(f"    {self.seconds[name]:.1f} s{' (sealed already)' if skipped else ''}")


class Lazily:
    """Loads the engine at the first question: a step that is sealed already needs none."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._engine: Any = None
        self._loading = threading.Lock()

    def engine(self) -> Any:
        """The engine, loaded at the first call."""
        with self._loading:
            if self._engine is None:
                self._engine = self._load()
        return self._engine

    def __call__(
        self, batch: Sequence[Sequence[dict[str, str]]], *, max_tokens: int, temperature: float
    ) -> Sequence[Any]:
        """Answer a batch."""
        answers: Sequence[Any] = self.engine().generate(batch, max_tokens=max_tokens, temperature=temperature)
        return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def load_engine(path: Path, *, adapted: bool) -> "TransformersEngine":
    """The engine over `path`, with or without an active adapter as it must be."""
    from ta_serve.open import open_engine

    engine: TransformersEngine = open_engine(path, engine="transformers")
    if engine.adapted != adapted:  # a bug: the comparison would be of a model with itself
        raise RuntimeError(f"{path}: adapter active: {engine.adapted}, expected {adapted}")
    return engine


def evaluate_model(
    config: "EvalConfig",
    file: Path,
    system: str,
    model: dict[str, str],
    answer: Callable[..., Sequence[Any]],
    place: Path,
    parent: Parent,
    *,
    domain: Path,
    replace: bool,
) -> Artifact:
    """Ask a model the questions of `file`; the sealed predictions. `domain` may have scorers of its own."""
    from ta_eval.evaluate import evaluate
    from ta_eval.target import CallableTarget

    target = CallableTarget(system, model, answer, batch_size=BATCH)
    return evaluate(config, file, target, place, replace=replace, parents=[parent], domain=domain)


def or_how_to_go_on(train: Callable[[], Artifact]) -> Artifact:
    """Train; where Ctrl-C stops it, say that the same command goes on."""
    try:
        return train()
    except Stopped:
        raise Stopped("training stopped, with a checkpoint: run the same command again to go on") from None


def as_overrides(**given: Any) -> list[str]:
    """`key=value` of the options that were given."""
    return [f"{key}={value}" for key, value in given.items() if value is not None]


@contextmanager
def installed(stage: str) -> Iterator[None]:
    """Turn a missing stage into a SetupError with its install line."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing(stage, error) from None


def find_domain(domain: str) -> Path:
    """A domain folder by path, or by name below ./data. Raises InputError with the known names."""
    for folder in (Path(domain), Path("data") / domain):
        if folder.is_dir():
            return folder
    known = sorted(file.parent.name for file in Path("data").glob("*/domain.yaml"))
    near = difflib.get_close_matches(domain, known, n=1)
    hint = f"{f'did you mean {near[0]}? ' if near else ''}known below ./data: {', '.join(known) or 'none'}"
    raise InputError(f"no domain {domain!r}: neither a folder nor a name below ./data: {hint}")


def some_items(file: Path, limit: int | None, out: Path) -> Path:
    """The item set, or a copy of `limit` of its lines, evenly over the file, below `out`."""
    if limit is None:
        return file
    if not file.exists():
        raise InputError(f"{file}: no such file")
    lines = [line for line in file.read_bytes().splitlines(keepends=True) if line.strip()]
    limit = min(limit, len(lines))
    copy = out / f"cut-to-{limit}" / file.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(b"".join(lines[i * len(lines) // limit] for i in range(limit)))
    return copy
