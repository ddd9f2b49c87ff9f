"""What the whole way needs, said before it begins."""

from pathlib import Path

from ta_schemas import SetupError
from tunedassist_cli.pipeline import installed


def require_everything(domain: Path) -> None:
    """SetupError, naming the extra, unless every stage and the libraries of export and retrieval are here;
    InputError where the domain has no scenarios to attack with."""
    with installed("data"):
        import ta_data.pairs  # noqa: F401 - only whether it is there
    with installed("train"):
        import ta_train  # noqa: F401
    with installed("eval"):
        import ta_eval.compare  # noqa: F401
    with installed("safety"):
        from ta_safety.policy import load_domain
        from ta_safety.red_team.command import scenarios_file
    with installed("serve"):
        from ta_serve.export.needs import need
        from ta_serve.open import require_transformers
    try:
        require_transformers()
        need("llama_cpp", "llama-cpp")
        need("gguf", "export")
        need("bm25s", "retrieve")
    except SetupError as error:
        raise SetupError(f"{error}, or tunedassist-cli[all], which is all of --all") from None
    scenarios_file(domain, load_domain(domain))
