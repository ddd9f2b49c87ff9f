"""From a path to an engine that answers."""

from pathlib import Path
from typing import TYPE_CHECKING

from ta_schemas import SetupError
from ta_serve.resolve import resolve

if TYPE_CHECKING:
    from ta_serve.engines.transformers import TransformersEngine


def open_engine(path: Path, *, device: str = "auto", dtype: str = "auto") -> "TransformersEngine":
    """Load an adapter artifact, a model artifact or a model folder.

    Raises what `resolve` raises, and SetupError where the extra `ta-serve[transformers]` is missing.
    """
    model_dir, adapter_dir, settings = resolve(path)
    require_transformers()
    from ta_serve.engines.transformers import TransformersEngine

    engine = TransformersEngine.load(model_dir, adapter_dir, device=device, dtype=dtype)
    engine.settings = settings
    return engine


def require_transformers() -> None:
    """SetupError unless the libraries of the transformers engine are there."""
    try:
        import peft  # noqa: F401 - only whether they are there
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: install ta-serve[transformers]") from None
