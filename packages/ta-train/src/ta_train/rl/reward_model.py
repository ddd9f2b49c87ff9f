"""Using a reward model: load it, and it judges answers like any function handed in as a reward."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, ArtifactError
from ta_schemas.rows import ConversationRow, Message
from ta_train.models.base_model import resolve
from ta_train.render import IGNORED, render
from ta_train.rl.prompts import Messages


class RewardModel:
    """Scores answers: the higher, the better; only differences between answers to one prompt mean something."""

    def __init__(
        self, model: Any, tokenizer: Any, *, batch_size: int, artifact: Artifact | None = None
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.batch_size = batch_size
        self.artifact = artifact
        """What it was loaded from: a parent of what is trained with it."""

    def __call__(
        self, prompts: list[Messages], answers: list[str], references: Sequence[str] = (), /
    ) -> list[float]:
        """One score an answer. `references` are not looked at."""
        rows = [answered(p, a, self.tokenizer) for p, a in zip(prompts, answers, strict=True)]
        return self.score(rows)

    def score(self, rows: Sequence[list[int]]) -> list[float]:
        """One score for each conversation, given as token ids."""
        import torch

        pad, device = self.tokenizer.pad_token_id, self.model.device
        scores: list[float] = []
        training = self.model.training
        self.model.eval()
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            width = max(len(row) for row in batch)
            ids = torch.tensor([row + [pad] * (width - len(row)) for row in batch], device=device)
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch], device=device)
            with torch.no_grad():
                scores += self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, 0].tolist()
        self.model.train(training)
        return scores


def answered(prompt: Messages, answer: str, tokenizer: Any) -> list[int]:
    """Token ids of a prompt with its answer, up to the stop token: as pairs are rendered in training."""
    messages = [Message(role=m["role"], content=m["content"]) for m in prompt]  # type: ignore[arg-type]
    messages.append(Message(role="assistant", content=answer))
    rendered = render(ConversationRow(id="answer", messages=messages), tokenizer)
    end = max(i for i, label in enumerate(rendered.labels) if label != IGNORED) + 1
    return rendered.input_ids[:end]


def load_reward(path: Path, *, base_model: str = "") -> RewardModel:
    """Open a reward model that `ta-train reward` sealed.

    `base_model` says where its base model is, if not where it was at training. Raises ArtifactError (another
    kind of adapter, another base model), InputError (a base model that is not there).
    """
    artifact = Artifact.open(path, kind="adapter")
    if "reward" not in artifact.manifest.config:
        made_by = ", ".join(artifact.manifest.config) or "nobody"
        raise ArtifactError(f"{path}: an adapter that answers ({made_by}), expected one of `ta-train reward`")
    settings = json.loads(artifact.file("settings.json").read_text(encoding="utf-8"))
    config = artifact.manifest.config["reward"]
    base = resolve(base_model or config["base_model"])
    if base.digest != settings["base_model"]["digest"]:
        raise ArtifactError(
            f"{path}: trained on {settings['base_model']['name']}, {base.path} is another model"
        )

    import torch
    from peft import PeftModel

    from ta_train.models.load import load_tokenizer
    from ta_train.rl.reward_trainer import load_scorer

    model = PeftModel.from_pretrained(load_scorer(base, dtype=torch.float32), str(path))
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return RewardModel(model, load_tokenizer(base), batch_size=config["batch_size"], artifact=artifact)
