"""SERVE.md: the command of each server for what was exported."""

from collections.abc import Sequence
from pathlib import Path

from ta_serve.export.config import ExportConfig
from ta_serve.export.source import Source

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM 0.32 takes for --max-lora-rank."""


def write_serve_notes(
    opened: Source, config: ExportConfig, files: Sequence[Path], lora: Path | None, folder: Path
) -> None:
    """Write SERVE.md to `folder`; the commands are for that folder."""
    served = next((file.name for file in files if "Q8_0" in file.name), files[-1].name)
    lines = [f"# Serving {config.name}", "", "From this folder:", "", "```bash", f"ta-serve chat {served}"]
    if (folder / "Modelfile").exists():
        lines.append(f"ollama create {config.name} -f Modelfile && ollama run {config.name}")
    lines += [
        f"llama-server --model {served} --jinja",
        "```",
        "",
        "vLLM loads safetensors, not these files:",
        "",
    ]
    lines += ["```bash", *vllm_commands(opened, config.name), "```", ""]
    if lora:
        lines += [
            f"`{lora.name}` goes over a GGUF file of the base model (`ta-serve export BASE-MODEL-FOLDER`): "
            "with it one server offers base and tuned model.",
            "",
        ]
    (folder / "SERVE.md").write_text("\n".join(lines), encoding="utf-8")


def vllm_commands(opened: Source, name: str) -> list[str]:
    """How vLLM serves the model; an adapter as it is, over its base, or merged."""
    if opened.lora is None:
        return [f"vllm serve MODEL-FOLDER --served-model-name {name}"]
    base = opened.settings.base_model
    rank = next((rank for rank in RANKS if rank >= opened.lora.rank), RANKS[-1])
    return [
        f"# the adapter over its base model {base.name if base else ''}",
        f"vllm serve BASE-MODEL-FOLDER --enable-lora --lora-modules {name}=ADAPTER-FOLDER "
        f"--max-lora-rank {rank} --chat-template ADAPTER-FOLDER/chat_template.jinja",
        "# or merged: ta-serve merge ADAPTER-FOLDER --out MERGED-FOLDER",
        f"vllm serve MERGED-FOLDER --served-model-name {name}",
    ]
