"""The configuration of the preference methods: DPO, ORPO, KTO."""

from typing import Literal

from pydantic import Field, model_validator

from ta_train.config import METHOD, TrainConfig


class PreferenceConfig(TrainConfig):
    """What the preference methods share: pairs instead of conversations."""

    lora_dropout: float = Field(
        0.0,
        ge=0,
        le=0,
        description="always 0: dropout would blur the difference the two answers are trained on",
    )
    batch_size: int = Field(4, ge=1, description="pairs in a forward pass, two answers each")
    learning_rate: float = Field(5e-5, gt=0, description="peak learning rate of AdamW")
    beta: float = Field(0.1, gt=0, description="how strongly the model is held to the reference")
    engine: Literal["auto", "fast", "transformers"] = Field(
        "auto",
        description="fast: our own passes for Llama models on a CPU, which compute what rows begin with alike "
        "once; transformers: the model's own; auto: fast where it can, and the reason where it cannot",
    )

    @property
    def uses_reference(self) -> bool:
        """Whether the loss compares with the model the run starts from."""
        return True


class DpoConfig(PreferenceConfig):
    """Direct preference optimization (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290)."""

    method: Literal["dpo"] = Field("dpo", description=METHOD)

    beta: float = Field(
        0.1, gt=0, description="how strongly the model is held to the reference; ipo: its tau; simpo: try 2"
    )
    loss: Literal["sigmoid", "ipo", "hinge", "simpo"] = Field(
        "sigmoid",
        description="sigmoid: DPO's own; ipo: a fixed distance, against overfitting; hinge: no more once the "
        "margin is 1; simpo: mean log-probability a token, no reference",
    )
    simpo_margin: float = Field(0.5, ge=0, description="simpo: by how much the chosen answer should lead")

    @property
    def uses_reference(self) -> bool:
        """SimPO has none."""
        return self.loss != "simpo"

    @model_validator(mode="after")
    def _margin_of_simpo(self) -> "DpoConfig":
        if "simpo_margin" in self.model_fields_set and self.loss != "simpo":
            raise ValueError(f"simpo_margin: the loss {self.loss} has none: remove it, or set loss to simpo")
        return self


class OrpoConfig(PreferenceConfig):
    """Odds ratio preference optimization (Hong et al. 2024, https://arxiv.org/abs/2403.07691)."""

    method: Literal["orpo"] = Field("orpo", description=METHOD)

    learning_rate: float = Field(2e-4, gt=0, description="peak learning rate of AdamW")
    beta: float = Field(0.1, gt=0, description="weight of the odds ratio beside the chosen answer's own loss")

    @property
    def uses_reference(self) -> bool:
        """ORPO has none."""
        return False


class KtoConfig(PreferenceConfig):
    """Kahneman-Tversky optimization (Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306)."""

    method: Literal["kto"] = Field("kto", description=METHOD)
