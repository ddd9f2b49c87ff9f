"""The main path of export: an adapter or a model folder becomes a sealed `gguf` artifact."""

import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, ArtifactWriter, InputError, sealed
from ta_schemas.artifact import refuse_existing
from ta_serve.export.checkout import check_checkout, convert_with
from ta_serve.export.config import ExportConfig
from ta_serve.export.family import notes
from ta_serve.export.histogram import tensors_of
from ta_serve.export.lora_gguf import write_lora_gguf
from ta_serve.export.merged import write_merged
from ta_serve.export.model_gguf import write_model_gguf
from ta_serve.export.needs import need
from ta_serve.export.ollama.write import write_ollama
from ta_serve.export.quantize import known_kind, quantize
from ta_serve.export.serve_notes import write_serve_notes
from ta_serve.export.source import Source, open_source
from ta_serve.export.weights import Weights
from ta_serve.parity.chats import Chat, built_in_chats

PRODUCER = f"ta-serve {version('ta-serve')}"

Say = Callable[[str], None]


def export(
    config: ExportConfig,
    source: Path,
    out: Path,
    *,
    chats: Sequence[Chat] = (),
    checkout: Path | None = None,
    replace: bool = False,
    say: Say = lambda step: None,
) -> Artifact:
    """Write GGUF files of `source`, a LoRA GGUF of its adapter, a Modelfile and how to serve; compare; seal.

    `chats`: held-out conversations (`parity.chats.Chat`) for the parity gate, besides its own. `checkout`: of
    llama.cpp, whose converter is used instead of ours. An `out` that is sealed already from the same
    configuration and parents is returned at once.

    Raises InputError (family, tokenizer, precision, type), ArtifactError (another base), SetupError (a missing
    extra), GateError (the files are not the model that was measured; nothing is written then).
    """
    config = _settled(config, source, checkout)
    opened = open_source(source, any_family=checkout is not None)
    identity = {"export": config.model_dump()}
    done = sealed(out, kind="gguf", config=identity, parents=opened.parents) if opened.parents else None
    if done:
        return done
    refuse_existing(out, replace=replace)
    with ArtifactWriter(
        out, kind="gguf", producer=PRODUCER, config=identity, parents=opened.parents, replace=replace
    ) as writer:
        half = writer.path / f"{config.name}-F16.gguf"
        writer.metrics["notes"] = _write_half(opened, config, half, checkout, say)
        files = [half, *_quantized(config, half, say)]
        lora = _write_lora(opened, config, writer.path, say)
        _copy_settings(opened, writer.path)
        served = next((file for file in files if "Q8_0" in file.name), files[-1])
        reason = write_ollama(opened, served, writer.path / "Modelfile", licence=config.licence)
        if reason:
            writer.metrics["notes"].append(f"no Modelfile: {reason}")
        writer.metrics["parity"] = _parity(config, opened, files, lora, writer.path, chats, say)
        if "F16" not in config.types:
            half.unlink()
            files.remove(half)
        writer.metrics["files"] = {file.name: _described(file, config) for file in files}
        write_serve_notes(opened, config, files, lora, writer.path)
        writer.environment |= {"gguf": version("gguf"), "llama_cpp_python": version("llama-cpp-python")}
    return Artifact.open(out, kind="gguf")


def _settled(config: ExportConfig, source: Path, checkout: Path | None) -> ExportConfig:
    """Names as llama.cpp writes them, and what is missing on this machine said first."""
    need("gguf", "export")
    if not config.skip_parity:
        from ta_serve.open import require_transformers

        require_transformers()
    if checkout:
        check_checkout(checkout)
    if not config.name or "/" in config.name or config.name.startswith("."):
        raise InputError(f"--name {config.name!r}: expected the beginning of a file name")
    kinds = list(dict.fromkeys(known_kind(kind) for kind in config.types))
    return config.model_copy(update={"types": kinds, "llama_cpp": checkout is not None})


def _write_half(opened: Source, config: ExportConfig, out: Path, checkout: Path | None, say: Say) -> list[str]:
    """The file that all others are made from; gives what must be told."""
    say("F16")
    if checkout is None:
        return _write_ours(opened, opened.weights, config, out)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        merged = Path(folder) / "merged"
        write_merged(
            opened.weights,
            opened.tokenizer_dir,
            opened.settings_dir,
            merged,
            producer=PRODUCER,
            parents=[],
            config={},
        )
        convert_with(checkout, merged, out)
    return []


def _write_ours(opened: Source, weights: Weights, config: ExportConfig, out: Path) -> list[str]:
    assert opened.family is not None and opened.vocabulary is not None
    wide = write_model_gguf(
        weights,
        opened.config,
        opened.vocabulary,
        out,
        name=config.name,
        base_model=opened.settings.base_model.name if opened.settings.base_model else "",
        licence=config.licence,
        stops=opened.stops,
    )
    said = notes(opened.config, opened.family)
    if wide:
        said.append(
            f"{len(wide)} tensors stay in F32, they hold numbers beyond half precision: {', '.join(wide[:3])}"
        )
    return said


def _quantized(config: ExportConfig, half: Path, say: Say) -> list[Path]:
    files = []
    for kind in config.types:
        if kind != "F16":
            say(kind)
            files.append(half.with_name(f"{config.name}-{kind}.gguf"))
            quantize(half, files[-1], kind)
    return files


def _write_lora(opened: Source, config: ExportConfig, folder: Path, say: Say) -> Path | None:
    if opened.lora is None or opened.family is None:
        return None
    say("LoRA")
    out = folder / f"{config.name}-lora-F16.gguf"
    write_lora_gguf(opened.lora, opened.config, out, name=config.name)
    return out


def _parity(
    config: ExportConfig,
    opened: Source,
    files: Sequence[Path],
    lora: Path | None,
    folder: Path,
    chats: Sequence[Chat],
    say: Say,
) -> dict[str, Any]:
    if config.skip_parity:
        return {"skipped": True}
    from ta_serve.parity.gate import check_parity

    asked = [*built_in_chats(system=opened.settings.system_prompt), *chats]
    modelfile = folder / "Modelfile"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        base = None
        if lora:
            base = Path(scratch) / "base-F16.gguf"
            _write_ours(opened, Weights(opened.model_dir), config, base)
        found = check_parity(
            opened.path,
            files,
            asked,
            modelfile=modelfile if modelfile.exists() else None,
            base_and_lora=(base, lora) if base and lora else None,
            progress=lambda side: say(f"parity: {side}"),
        )
    found.demand()
    (folder / "logs").mkdir()
    (folder / "logs" / "parity.json").write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    return found.as_json()


def _described(file: Path, config: ExportConfig) -> dict[str, Any]:
    kind = file.stem.removeprefix(f"{config.name}-")
    tensors = tensors_of(file, kind)
    return {"type": kind, "size_bytes": file.stat().st_size, **tensors._asdict()}


def _copy_settings(opened: Source, folder: Path) -> None:
    if (opened.settings_dir / "settings.json").exists():
        (folder / "settings.json").write_bytes((opened.settings_dir / "settings.json").read_bytes())
