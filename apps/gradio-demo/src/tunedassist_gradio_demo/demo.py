"""What all tabs share: the run, its domain and guard, the models, where feedback and votes go."""

import os
from dataclasses import dataclass
from pathlib import Path

from ta_safety.guard import Guard
from ta_safety.policy import Domain, load_domain
from ta_schemas import InputError, UserError
from ta_schemas.manifest import MANIFEST_NAME
from ta_serve.config import Settings, read_settings
from ta_serve.open import open_engine
from tunedassist_gradio_demo.models.choices import choices_of_path, choices_of_run, choices_of_server, is_url
from tunedassist_gradio_demo.models.models import Models
from tunedassist_gradio_demo.run_folder import place_of

KEY_VARIABLE = "TUNEDASSIST_DEMO_KEY"
"""Holds the API key of a server named by --model."""


@dataclass(frozen=True)
class Demo:
    """One demo; the tabs' functions take it first."""

    run: Path
    domain: Domain
    domain_folder: Path | None
    guard: Guard
    models: Models
    feedback: Path
    votes: Path

    @property
    def name(self) -> str:
        """Of the run, as its commands call it."""
        return self.run.resolve().name


def open_demo(
    run: Path,
    *,
    model: str = "",
    domain: Path | None = None,
    feedback: Path | None = None,
    votes: Path | None = None,
) -> Demo:
    """Look at what is there; nothing heavy is loaded yet.

    Without `domain` the folder `data/NAME` of the run's name, else the default policy. A run that is not there
    is no error: the tabs say what is missing. Raises InputError for a model or a domain that was named and is
    not there.
    """
    folder = domain or Path("data") / run.resolve().name
    policy = load_domain(folder) if domain or (folder / "domain.yaml").is_file() else None
    settings = _settings_of(run)
    if not settings.system_prompt and policy:
        settings = settings.model_copy(update={"system_prompt": policy.system_prompt})
    key = os.environ.get(KEY_VARIABLE)
    if is_url(model):
        choices = choices_of_server(model, _models_at(model, key))
    elif model:
        if "/" in model and not Path(model).exists():
            raise InputError(f"--model {model}: no such file or folder: give a GGUF file, an artifact or a URL")
        choices = choices_of_path(model, run)
    else:
        choices = choices_of_run(run)
    return Demo(
        run=run,
        domain=policy or Domain(name=run.resolve().name, system_prompt=settings.system_prompt),
        domain_folder=(folder if folder.is_dir() else folder.parent) if policy else None,
        guard=Guard(policy or Domain(system_prompt=settings.system_prompt)),
        models=Models(choices, settings=settings, api_key=key),
        feedback=feedback or run / "feedback.jsonl",
        votes=votes or run / "ab",
    )


def _settings_of(run: Path) -> Settings:
    """What travels with the tuned model; defaults where there is none."""
    for folder in (run / "adapter", place_of(run, "gguf")):
        if (folder / MANIFEST_NAME).is_file():
            return read_settings(folder)
    return Settings()


def _models_at(url: str, key: str | None) -> list[str]:
    """The server's models, the default first; none while it does not answer, for it may be started later."""
    try:
        engine = open_engine(url, api_key=key)
    except UserError:
        return []
    try:
        names: list[str] = engine.models()
        return names
    finally:
        engine.close()
