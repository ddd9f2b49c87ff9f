"""Preference losses beside TRL's trainers, on a random two-layer model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from preference_fixtures import fixed, preference, preference_rows, seal_preferences, steps

from ta_schemas import InputError
from ta_schemas.rows import Message
from ta_train.preference.config import DpoConfig, KtoConfig, OrpoConfig, PreferenceConfig
from ta_train.preference.preference import prefer


def trl_trainer(
    kind: Any, config: PreferenceConfig, work: Path, adapter: Path, rows: Any, **arguments: Any
) -> Any:
    """TRL's trainer over rows that are tokenized already, with its own frozen reference adapter."""
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ta_train.arguments import training_arguments

    class Tokenized(kind):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    model = AutoModelForCausalLM.from_pretrained(config.base_model, dtype=torch.float32)
    common = training_arguments(config, work, steps=6, fresh=False)
    common |= {"eval_strategy": "no", "save_strategy": "no"}
    args = {
        **common,
        "beta": config.beta,
        "max_length": None,
        "train_sampling_strategy": "sequential",
        **arguments,
    }
    return Tokenized(
        model=PeftModel.from_pretrained(model, str(adapter), is_trainable=True),
        args=kind_config(kind)(**args),
        processing_class=AutoTokenizer.from_pretrained(config.base_model),
        train_dataset=Dataset.from_list(rows),
    )


def kind_config(kind: Any) -> Any:
    import trl

    return getattr(trl, kind.__name__.replace("Trainer", "Config"))


def our_rows(config: PreferenceConfig, preferences: Path) -> list[dict[str, Any]]:
    """The batches of our own run, before the reference is measured."""
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer
    from ta_train.order import training_order
    from ta_train.preference.rows import read_preferences, render_pairs
    from ta_train.preference.trainer import with_mismatched

    tokenizer = load_tokenizer(resolve(config.base_model))
    pairs = render_pairs(read_preferences(preferences / "train.jsonl"), tokenizer, max_length=config.max_length)
    order = training_order(
        [pair.longer for pair in pairs],
        order="shuffle",
        epochs=1,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    rows = [{"pair": (pair.chosen, pair.rejected)} for pair in pairs]
    rows = with_mismatched(rows) if config.method == "kto" else rows
    return [rows[i] for i in order[: 6 * config.batch_size]]


def split(side: Any) -> tuple[list[int], list[int]]:
    cut = side.labels.count(-100)
    return side.input_ids[:cut], side.input_ids[cut:]


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "hinge"])
def test_losses_margins_and_accuracies_are_those_of_trl(
    loss: str, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    from trl import DPOTrainer

    config = fixed(base_model, loss=loss, beta=0.5, warmup=0)
    ours = prefer(config, preferences, tmp_path / "adapter", adapter=adapter)
    rows = []
    for row in our_rows(config, preferences):
        (prompt, chosen), (_, rejected) = map(split, row["pair"])
        rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    trainer = trl_trainer(DPOTrainer, config, tmp_path, adapter, rows, loss_type=[loss])
    trainer.train()
    for theirs, key in (("loss", "loss"), ("rewards/margins", "reward_margin")):
        expected = [log[theirs] for log in trainer.state.log_history if "loss" in log]
        assert steps(ours, key) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    accuracies = [log["rewards/accuracies"] for log in trainer.state.log_history if "loss" in log]
    assert steps(ours, "reward_accuracy")[1:] == accuracies[1:]  # at a tie TRL says 0, we say a half


def test_the_kto_loss_is_that_of_trl(base_model: Path, adapter: Path, tmp_path: Path) -> None:
    from trl import KTOTrainer

    unequal = preference_rows()
    for row in unequal:  # long answers gain more than short ones lose: the divergence is not 0
        row.rejected = [Message(role="assistant", content="No" + row.id[-1])]
    preferences = seal_preferences(tmp_path / "preferences", unequal)
    config = fixed(base_model, KtoConfig, beta=0.5, warmup=0)
    ours = prefer(config, preferences, tmp_path / "adapter", adapter=adapter)
    rows = []
    laid_out = our_rows(config, preferences)
    for start in range(0, len(laid_out), 2):
        for side in (0, 1):
            for row in laid_out[start : start + 2]:
                prompt, answer = split(row["pair"][side])
                _, mismatched = split(row["mismatched"][side])
                rows.append(
                    {
                        "prompt_ids": prompt,
                        "completion_ids": answer,
                        "KL_completion_ids": mismatched,
                        "label": side == 0,
                    }
                )
    trainer = trl_trainer(KTOTrainer, config, tmp_path, adapter, rows, per_device_train_batch_size=4)
    trainer.train()
    expected = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert steps(ours) == pytest.approx(expected, rel=1e-4)
    assert any(log.get("kl", 0) > 0 for log in trainer.state.log_history)


def test_kto_takes_its_mismatched_answers_from_another_prompt(base_model: Path, tmp_path: Path) -> None:
    same = [preference("ls", 0) for _ in range(3)] + [preference("cp", 0)]
    config = fixed(base_model, KtoConfig)
    for row in our_rows(config, seal_preferences(tmp_path / "four", same)):
        (prompt, answer), (_, mismatched) = split(row["pair"][0]), split(row["mismatched"][0])
        assert split(row["mismatched"][0])[0] == prompt
        assert mismatched != answer
    with pytest.raises(InputError, match=r"train\.jsonl:1: prompt: kto needs answers to another prompt"):
        prefer(config, seal_preferences(tmp_path / "three", same[:3]), tmp_path / "out")


def test_the_simpo_and_orpo_losses_are_those_of_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    from ta_train.preference.loss import Answers, Sides, preference_loss

    lengths = Sides(torch.tensor([4.0, 7.0]), torch.tensor([3.0, 9.0]))
    answers = Answers(Sides(torch.tensor([-3.0, -9.0]), torch.tensor([-6.0, -8.0])), lengths)
    means = [sums / tokens for sums, tokens in zip(answers.logps, lengths, strict=True)]
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu"),
        beta=2.0,
        alpha=0.0,
        label_smoothing=0.0,
        loss_type="simpo",
        simpo_gamma=0.7,
    )
    simpo = preference_loss(DpoConfig(loss="simpo", beta=2.0, simpo_margin=0.7), answers)
    losses, chosen, rejected = CPOTrainer.cpo_loss(trainer, *means)
    assert torch.allclose(simpo.loss, losses.mean())
    assert torch.allclose(torch.stack(simpo.rewards), torch.stack([chosen, rejected]))
    ratio = (
        preference_loss(OrpoConfig(beta=2.0), answers).loss
        - preference_loss(OrpoConfig(beta=1.0), answers).loss
    )
    trainer.beta = 1.0
    assert torch.allclose(ratio, -ORPOTrainer.odds_ratio_loss(trainer, *means)[0].mean())


def test_orpo_trains_the_chosen_answer_and_nothing_else(
    base_model: Path, preferences: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    config = fixed(base_model, OrpoConfig, beta=1e-9, max_steps=1)
    tuned = prefer(config, preferences, tmp_path / "adapter")
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    total, count = 0.0, 0
    for row in our_rows(config, preferences)[:2]:
        side = row["pair"][0]
        ids, labels = torch.tensor([side.input_ids]), torch.tensor([side.labels])
        tokens = sum(label != -100 for label in side.labels)
        total += model(input_ids=ids, labels=labels).loss.item() * tokens
        count += tokens
    assert steps(tuned)[0] == pytest.approx(total / count, rel=1e-5)


def test_the_answer_is_scored_up_to_its_stop_token_and_the_prompt_is_not(
    base_model: Path, preferences: Path
) -> None:
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer

    prompt, answer = split(our_rows(fixed(base_model), preferences)[0]["pair"][0])
    tokenizer = load_tokenizer(resolve(str(base_model)))
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(answer).startswith("Run it with a file.")
    assert tokenizer.decode(answer).endswith("```<|im_end|>")
