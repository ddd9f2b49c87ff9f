"""Checkpoints of the PPO loop: `checkpoint-<step>` folders that appear whole or not at all."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import TrainerState

if TYPE_CHECKING:
    from ta_train.rl.ppo_trainer import PpoTrainer

KEPT = 2


def save(trainer: "PpoTrainer", work: Path) -> None:
    """Write everything that the next step depends on; the oldest checkpoint goes."""
    partial = work / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file(get_peft_model_state_dict(trainer.model), partial / "adapter_model.safetensors")
    random = {"cpu": torch.get_rng_state()}
    if trainer.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state()
    save_file({**trainer.value_head.state_dict(), **random}, partial / "value_head.safetensors")
    torch.save(trainer.optimizer.state_dict(), partial / "optimizer.pt")
    torch.save(trainer.scheduler.state_dict(), partial / "scheduler.pt")
    trainer.state.save_to_json(str(partial / "trainer_state.json"))
    whole = work / f"checkpoint-{trainer.state.global_step}"
    shutil.rmtree(whole, ignore_errors=True)
    partial.rename(whole)
    steps = sorted(int(folder.name.split("-")[1]) for folder in work.glob("checkpoint-*"))
    for step in steps[:-KEPT]:
        shutil.rmtree(work / f"checkpoint-{step}")


def load(trainer: "PpoTrainer", folder: Path) -> None:
    """Put a trainer that was just built back to where `save` left another."""
    set_peft_model_state_dict(trainer.model, load_file(folder / "adapter_model.safetensors"))
    head = load_file(folder / "value_head.safetensors")
    torch.set_rng_state(head.pop("cpu"))
    if trainer.device.type == "cuda":
        torch.cuda.set_rng_state(head.pop("cuda"))
    trainer.value_head.load_state_dict({name: head[name] for name in ("weight", "bias")})
    trainer.optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
    trainer.scheduler.load_state_dict(torch.load(folder / "scheduler.pt", weights_only=True))
    trainer.state = TrainerState.load_from_json(str(folder / "trainer_state.json"))
