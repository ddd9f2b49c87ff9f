"""The configuration of a training run, a class a method."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ta_schemas.rows import ConversationKind

ALL_LINEAR = "all-linear"
METHOD = "the command that takes the recipe; one of another method is refused"


class TrainConfig(BaseModel):
    """What every method has: base model, adapter, budget, optimizer, numerics."""

    model_config = ConfigDict(extra="forbid")
    method: str = Field(description=METHOD)

    description: str = Field("", description="what the recipe is for; not used in training")
    base_model: str = Field(
        "smollm2-135m-instruct", description="embedded model, model folder, .gguf file or hub id"
    )
    quantization: Literal["none", "nf4"] = Field(
        "none", description="nf4: frozen weights in 4 bits by bitsandbytes (QLoRA), needs ta-train[qlora]"
    )

    lora_rank: int = Field(16, ge=1, description="rank r of the adapter matrices")
    lora_alpha: int = Field(32, ge=1, description="scale: the update is multiplied by alpha / r")
    rslora: bool = Field(
        False,
        description="multiply by alpha / sqrt(r) instead: high ranks keep learning (rank-stabilized LoRA)",
    )
    dora: bool = Field(
        False, description="train the magnitude of each weight row beside its direction (DoRA); slower"
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the adapter")
    target_modules: str | list[str] = Field(
        ALL_LINEAR, description="all-linear (all but the head), or a list such as [q_proj, v_proj]"
    )
    bias: Literal["none", "all", "lora_only"] = Field(
        "none", description="which biases are trained and saved with the adapter, where the model has any"
    )
    modules_to_save: list[str] = Field(
        default_factory=list,
        description="modules trained whole and saved with the adapter, such as [embed_tokens]; a tied head "
        "stays tied",
    )

    max_length: int = Field(512, ge=16, description="longest conversation in tokens; a longer one is an error")
    epochs: float = Field(1.0, gt=0, description="passes over the training split")
    max_steps: int = Field(0, ge=0, description="stop after this many optimizer steps; 0: no limit")
    batch_size: int = Field(8, ge=1, description="conversations in a forward pass")
    gradient_accumulation: int = Field(1, ge=1, description="forward passes for an optimizer step")

    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="course of the learning rate after the warmup: down to 0, or constant"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps spent warming up")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's pull of every trained weight towards 0")
    max_grad_norm: float = Field(1.0, gt=0, description="gradient norm is clipped to this")
    seed: int = Field(42, ge=0, description="order of the rows, initial adapter, dropout")

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: the GPU if there is one; cuda: refuse to fall back to the CPU"
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the processor multiplies it natively, else float32"
    )
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(
        "sdpa", description="as transformers names them; sdpa: PyTorch's own"
    )
    gradient_checkpointing: bool = Field(False, description="less memory, about a quarter more time")
    threads: int = Field(0, ge=0, description="CPU threads of a process; 0: its share of the cores")
    memory_check: bool = Field(
        True, description="refuse a run whose estimated memory is not free; false: start it anyway"
    )

    eval_points: int = Field(4, ge=1, description="how often the validation loss is measured")
    eval_rows: int = Field(32, ge=1, description="validation rows used for it (evenly over the split)")
    save_every: int = Field(50, ge=1, description="optimizer steps between checkpoints")
    track: list[Literal["wandb", "trackio", "mlflow", "tensorboard"]] = Field(
        default_factory=list,
        description="trackers that follow the run beside logs/metrics.jsonl; each is an extra of ta-train",
    )

    max_tokens: int = Field(128, ge=1, description="longest answer; carried by the adapter as a default")
    temperature: float = Field(0.0, ge=0, description="carried by the adapter as a default; 0: greedy")

    @model_validator(mode="after")
    def _some_target(self) -> "TrainConfig":
        if self.target_modules == []:
            raise ValueError("target_modules: name at least one module, or all-linear")
        return self


class SftConfig(TrainConfig):
    """Supervised fine-tuning with LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685) or of all weights."""

    method: Literal["sft"] = Field("sft", description=METHOD)

    backend: Literal["trl", "unsloth"] = Field(
        "trl",
        description="unsloth: the same adapter through Unsloth's kernels on a GPU, needs ta-train[unsloth]",
    )
    tuning: Literal["lora", "full"] = Field(
        "lora",
        description="full: every weight is trained and a whole model sealed; wants about a tenth of LoRA's "
        "learning rate and 16 bytes of memory a weight",
    )
    order: Literal["core-first", "task-first", "shuffle"] = Field(
        "task-first",
        description="task-first: every task once before any task's second phrasing, so that a short budget "
        "buys breadth; core-first: the same, the domain's main groups before the small ones; shuffle: random",
    )
    repeat: dict[ConversationKind, int] = Field(
        default_factory=dict,
        description="how often rows of a kind appear in an epoch, such as {out-of-scope: 2}; others once",
    )
    packing: bool = Field(
        False,
        description="join the rows of a batch into one sequence without padding, each attending to itself: the "
        "same loss; pays with attention flash_attention_2 (the fast engine computes no padding anyway)",
    )
    engine: Literal["auto", "fast", "trl"] = Field(
        "auto",
        description="fast: our own passes for Llama models on a CPU, the same loss in less time; trl: "
        "transformers' model under TRL's loss; auto: fast where it can, and the reason where it cannot",
    )

    @model_validator(mode="after")
    def _positive_repeats(self) -> "SftConfig":
        if any(count < 1 for count in self.repeat.values()):
            raise ValueError("repeat: every count must be at least 1")
        return self

    @model_validator(mode="after")
    def _what_goes_together(self) -> "SftConfig":
        if self.tuning == "full" and self.backend == "unsloth":
            raise ValueError("tuning: full is not offered with backend unsloth: set backend to trl")
        if self.attention != "sdpa" and self.backend == "unsloth":
            raise ValueError("attention: Unsloth chooses its own: leave it at sdpa, or set backend to trl")
        if self.tuning == "full" and self.quantization != "none":
            raise ValueError(
                "tuning: full trains every weight, which cannot be quantized: leave one of them out"
            )
        return self
