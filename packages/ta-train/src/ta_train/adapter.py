"""The adapter artifact: the weights and everything that must travel with them."""

import json
import shutil
from pathlib import Path
from typing import Any

from ta_train.config import TrainConfig
from ta_train.models.base_model import BaseModel


def write_adapter(
    folder: Path,
    config: TrainConfig,
    base: BaseModel,
    model: Any,
    tokenizer: Any,
    *,
    system_prompt: str,
    dataset: str,
    state_dict: dict[str, Any] | None = None,
) -> None:
    """Write a PEFT model's adapter, its tokenizer and `settings.json`, so that nobody passes them again.

    `dataset` is the digest of what it was trained on; `state_dict` holds the weights where `model` has only a
    piece of them (`TrainingRun.state_dict`).
    """
    # A name, not this machine's path: the adapter is the same wherever it was made.
    lora = model.peft_config["default"]
    lora.base_model_name_or_path = base.name
    lora.target_modules = sorted(lora.target_modules)  # a set: written in another order by each process
    model.save_pretrained(folder, save_embedding_layers=False, state_dict=state_dict)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's card template says nothing of this run
    write_companions(folder, config, base, tokenizer, system_prompt=system_prompt, dataset=dataset)


def write_companions(
    folder: Path, config: TrainConfig, base: BaseModel, tokenizer: Any, *, system_prompt: str, dataset: str
) -> None:
    """Write the tokenizer, the chat template and `settings.json` beside weights of any kind."""
    # The base folder's own files, byte for byte: what transformers writes anew can differ from what it read.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base.path / name).exists():
            shutil.copy(base.path / name, folder / name)
    (folder / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")
    settings = {
        "system_prompt": system_prompt,
        "generation": {
            "max_tokens": config.max_tokens,
            "temperature": config.temperature,
            "stop": [tokenizer.eos_token],
        },
        "base_model": {"name": base.name, "digest": base.digest},
        "dataset": dataset,
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    (folder / "settings.json").write_text(text, encoding="utf-8")
