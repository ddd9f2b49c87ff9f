"""TRL's RewardTrainer over pairs that are rendered already, on a base model with a score head."""

from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, PrinterCallback, set_seed
from transformers.utils import logging
from trl import RewardConfig as TrlConfig
from trl import RewardTrainer
from trl.trainer.reward_trainer import suppress_seqcls_warning

from ta_schemas import InputError
from ta_train.arguments import optimizer_steps, training_arguments
from ta_train.machine import on_gpu
from ta_train.models.base_model import BaseModel
from ta_train.models.load import check_modules, load_tokenizer, lora_settings, uses_bfloat16
from ta_train.order import training_order
from ta_train.preference.rows import Pair
from ta_train.processor import cpu_threads
from ta_train.rl.config import RewardConfig
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder


def load_scorer(base: BaseModel, *, dtype: torch.dtype, attention: str = "sdpa") -> Any:
    """The base model with a head of one number, random as yet, in place of the vocabulary's.

    The number is read at the last token that is no padding; where padding is the stop token, the one before it.
    """
    logging.disable_progress_bar()
    try:
        with suppress_seqcls_warning():  # that the head is new, which is the point
            model = AutoModelForSequenceClassification.from_pretrained(
                base.path, num_labels=1, dtype=dtype, attn_implementation=attention
            )
    except (OSError, ValueError) as error:
        raise InputError(f"{base.path}: cannot be loaded with a score head: {error}") from None
    model.config.use_cache = False
    model.config.get_text_config().pad_token_id = load_tokenizer(base).pad_token_id
    return model


def load_with_head(config: RewardConfig, base: BaseModel) -> Any:
    """The frozen base model with a fresh adapter and a score head that is trained whole."""
    set_seed(config.seed)
    half = on_gpu(config) and uses_bfloat16(config)
    model = load_scorer(base, dtype=torch.bfloat16 if half else torch.float32, attention=config.attention)
    check_modules(config, model)
    settings = lora_settings(config, model)
    settings |= {"task_type": "SEQ_CLS", "modules_to_save": [*config.modules_to_save, "score"]}
    try:
        return get_peft_model(model, LoraConfig(**settings))
    except ValueError as error:
        raise InputError(f"target_modules: {error}") from None


def build_reward_trainer(
    config: RewardConfig,
    model: Any,
    tokenizer: Any,
    train: list[Pair],
    validation: list[Pair],
    work: WorkFolder,
    log: RunLog,
) -> RewardTrainer:
    """A trainer that walks the pairs in a seeded order with the loss -log sigmoid(chosen - rejected)."""
    if not on_gpu(config):
        torch.set_num_threads(cpu_threads(config.threads))
    order = training_order(
        [pair.longer for pair in train],
        order="shuffle",
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    steps = optimizer_steps(config, len(order))
    trainer = RewardTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=_dataset([train[i] for i in order]),
        eval_dataset=_dataset(validation),
        callbacks=[log],
        args=TrlConfig(
            **training_arguments(config, work.path, steps=steps, fresh=work.checkpoint() is None),
            train_sampling_strategy="sequential",  # the order holds all epochs
            max_length=None,  # pairs that are too long were refused before
            disable_dropout=False,  # lora_dropout says it
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _dataset(pairs: list[Pair]) -> Dataset:
    return Dataset.from_dict(
        {
            "chosen_ids": [pair.chosen.input_ids for pair in pairs],
            "rejected_ids": [pair.rejected.input_ids for pair in pairs],
        }
    )
