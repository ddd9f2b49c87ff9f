"""The configuration of the methods that learn from their own answers, and of the reward model."""

from typing import Literal

from pydantic import Field, model_validator

from ta_schemas import InputError
from ta_train.config import METHOD, TrainConfig


class RewardConfig(TrainConfig):
    """A reward model by pairwise comparison (Bradley and Terry 1952; Ouyang et al. 2022, equation 1)."""

    method: Literal["reward"] = Field("reward", description=METHOD)

    @model_validator(mode="after")
    def _refuse_what_it_has_not(self) -> "RewardConfig":
        for key in ("max_tokens", "temperature"):
            if key in self.model_fields_set:
                raise ValueError(f"{key}: a reward model generates nothing: leave it out")
        if self.quantization != "none":
            raise ValueError("quantization: a reward model is trained over unquantized weights: leave it out")
        return self


class OnPolicyConfig(TrainConfig):
    """What the methods share that train on answers sampled from the model itself."""

    lora_dropout: float = Field(
        0.0, ge=0, le=0, description="always 0: the model must say the same of an answer twice"
    )
    learning_rate: float = Field(1e-4, gt=0, description="peak learning rate of AdamW")
    eval_points: int = Field(4, ge=1, description="how often validation is measured, the start not counted")
    eval_rows: int = Field(32, ge=1, description="validation prompts used for it (evenly over the split)")
    sample_tokens: int = Field(48, ge=1, description="longest answer sampled in training, in tokens")
    sample_temperature: float = Field(1.0, gt=0, description="of the answers sampled in training")


class PpoConfig(OnPolicyConfig):
    """Proximal policy optimization with a learned value (https://arxiv.org/abs/1707.06347).

    Defaults after Huang et al. 2024 (https://arxiv.org/abs/2403.17031) where they are not about size.
    """

    method: Literal["ppo"] = Field("ppo", description=METHOD)

    batch_size: int = Field(8, ge=1, description="answers in a forward pass")
    rollout_size: int = Field(32, ge=1, description="answers sampled for a step; a step is one rollout")
    passes: int = Field(4, ge=1, description="how often the updates of a step walk through its answers")
    kl_coefficient: float = Field(0.05, ge=0, description="penalty a nat for leaving the starting policy")
    clip: float = Field(
        0.2, gt=0, description="how far a token's probability ratio counts: 1 - clip to 1 + clip"
    )
    value_clip: float = Field(0.2, gt=0, description="how far a value may move in one step")
    value_coefficient: float = Field(0.1, gt=0, description="weight of the value loss beside the policy loss")
    gamma: float = Field(1.0, gt=0, le=1, description="discount a token")
    gae_lambda: float = Field(
        0.95, ge=0, le=1, description="0: trust the values; 1: trust the rewards (less bias, more noise)"
    )
    missing_stop_penalty: float = Field(
        1.0, ge=0, description="taken from the reward of an answer that never stops"
    )

    @model_validator(mode="after")
    def _whole_batches(self) -> "PpoConfig":
        update = self.batch_size * self.gradient_accumulation
        if self.rollout_size % update:
            raise ValueError(
                f"rollout_size {self.rollout_size}: must be a multiple of batch_size x gradient_accumulation "
                f"({update}), so that every update is full"
            )
        return self


class GrpoConfig(OnPolicyConfig):
    """Groups of answers to one prompt judge each other; no value is learned.

    GRPO: Shao et al. 2024 (https://arxiv.org/abs/2402.03300) with the token-level mean of DAPO
    (https://arxiv.org/abs/2503.14476); RLOO: Ahmadian et al. 2024 (https://arxiv.org/abs/2402.14740). Every
    step samples anew, so the probability ratio is 1 and nothing is clipped.
    """

    method: Literal["grpo"] = Field("grpo", description=METHOD)

    batch_size: int = Field(16, ge=2, description="answers in a forward pass")
    group_size: int = Field(8, ge=2, description="answers to one prompt")
    advantage: Literal["group", "leave-one-out"] = Field(
        "group",
        description="group: reward minus the group's mean, over its standard deviation (GRPO); "
        "leave-one-out: reward minus the mean of the group's others (RLOO)",
    )
    beta: float = Field(
        0.02, ge=0, description="KL penalty against the starting policy: in the loss (group) or in the reward"
    )

    @model_validator(mode="after")
    def _whole_groups(self) -> "GrpoConfig":
        step = self.batch_size * self.gradient_accumulation
        if step % self.group_size:
            raise ValueError(
                f"group_size {self.group_size}: batch_size x gradient_accumulation ({step}) must be a multiple "
                "of it, so that every group is whole"
            )
        return self


class DistillConfig(OnPolicyConfig):
    """On-policy distillation: the student answers, the teacher's distribution at every token is the target.

    Agarwal et al. 2024 (https://arxiv.org/abs/2306.13649).
    """

    method: Literal["distill"] = Field("distill", description=METHOD)

    teacher: str = Field(
        "", description="embedded model, model folder or artifact, .gguf file or hub id, of the same vocabulary"
    )
    beta: float = Field(
        1.0,
        ge=0,
        le=1,
        description="which divergence: 0: KL(teacher, student), covers all the teacher says; 1: KL(student, "
        "teacher), avoids what the teacher would not say; between: Jensen-Shannon",
    )


def refuse_biases(config: OnPolicyConfig) -> None:
    """Raise InputError where the adapter trains biases: the frozen reference beside it would share them."""
    if config.bias != "none":
        raise InputError(f"bias: {config.bias}: {config.method} needs an adapter without trained biases")
