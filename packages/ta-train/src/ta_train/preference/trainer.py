"""A Trainer over pairs of answers; the reference is measured once, before the first step.

Why not TRL's DPO, ORPO and KTO trainers (1.14.2), whose losses these are (tests compare them):
- With an adapter to start from, TRL keeps the reference as a second adapter. A checkpoint then has a subfolder,
  and transformers 5.17 resumes from subfolders alone: the trained adapter silently falls back to its start
  (tried: the first loss after resuming is log 2 again).
- TRL puts the head over every position, the prompts' too, and runs the prompt for both answers: 59 CPU-seconds
  for four steps of four pairs (SmolLM2-135M, float32, AVX2, no checkpointing), against 29 and 31 with the fast
  engine and 51 without it, at equal losses.
- Its ORPO also trains the prompt, adds a second stop token and cuts long answers; its KTO has no accuracy.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import PrinterCallback, Trainer, TrainingArguments

from ta_train.arguments import optimizer_steps, training_arguments
from ta_train.fast.engine import fast_engine
from ta_train.machine import on_gpu
from ta_train.order import training_order
from ta_train.preference.config import KtoConfig, PreferenceConfig
from ta_train.preference.loss import Answers, Sides, preference_loss
from ta_train.preference.rows import Pair, prompt_ids, with_answer_of
from ta_train.processes import world_size
from ta_train.processor import cpu_threads
from ta_train.render import IGNORED, Rendered
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder

Row = dict[str, Any]
"""`pair`: the chosen and the rejected side; `mismatched` (KTO): both with the answers to another prompt;
`pair_reference`, `mismatched_reference`: the log-probabilities of those answers under the reference (nats)."""


Score = Callable[[Any, dict[str, Tensor]], tuple[Sides, Sides]]
"""Log-probabilities of the answers of a `_padded` batch, in nats, and their tokens."""


def build_pair_trainer(
    config: PreferenceConfig,
    model: Any,
    train: Sequence[Pair],
    validation: Sequence[Pair],
    work: WorkFolder,
    log: RunLog,
) -> "PairTrainer":
    """A trainer that walks the pairs in a seeded order; `model`, as it is here, becomes the reference.

    A resumed run comes by here with the adapter it first started from: its checkpoint is loaded later.
    """
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
    once: list[Row] = [{"pair": (pair.chosen, pair.rejected)} for pair in train]
    validation_rows: list[Row] = [{"pair": (pair.chosen, pair.rejected)} for pair in validation]
    if isinstance(config, KtoConfig):
        once, validation_rows = with_mismatched(once), with_mismatched(validation_rows)
    used = steps * config.batch_size * config.gradient_accumulation * world_size()
    train_rows = [once[i] for i in order[:used]]
    arguments = training_arguments(config, work.path, steps=steps, fresh=work.checkpoint() is None)
    engine, reason = fast_engine(config, model)
    if engine:  # it multiplies in its own dtype without autocast and checkpoints by itself
        arguments |= {"bf16": False, "gradient_checkpointing": False}
        engine.take_over()
    elif reason:
        log.console.print(f"transformers' passes: the fast engine does not serve this run ({reason})")
    trainer = PairTrainer(
        config,
        score=score_fast if engine else score,
        model=model,
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        callbacks=[log],
        args=TrainingArguments(
            **arguments,
            train_sampling_strategy="sequential",  # the order holds all epochs
            remove_unused_columns=False,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    if config.uses_reference:
        trainer.measure_reference(train_rows)
        trainer.measure_reference(validation_rows)
    return trainer


class PairTrainer(Trainer):  # type: ignore[misc]
    """Trains with the loss that the configuration names; logs reward margin and accuracy beside it."""

    def __init__(self, config: PreferenceConfig, *, score: Score, **arguments: Any) -> None:
        super().__init__(data_collator=collate, **arguments)
        self.model_accepts_loss_kwargs = False  # ours is a mean: accumulated batches must be averaged
        self.config = config
        self.score = score
        self._tokens = 0
        self._margins: dict[str, list[float]] = defaultdict(list)

    def measure_reference(self, rows: list[Row]) -> None:
        """Write the log-probabilities of the answers, under the model as it is now, into the rows.

        In the very batches of the training, so that padding and rounding are the same and the first step
        starts at a margin of exactly 0. Pairs of later epochs are known already.
        """
        self.model.eval()
        for start in range(0, len(rows), self.config.batch_size):
            batch = rows[start : start + self.config.batch_size]
            for what in ("pair", "mismatched"):
                if what not in batch[0] or all(f"{what}_reference" in row for row in batch):
                    continue
                inputs = self._prepare_inputs(_padded([row[what] for row in batch]))
                with torch.no_grad(), self.accelerator.autocast():
                    logps, _ = self.score(self.model, inputs)
                for row, *both in zip(batch, logps.chosen.tolist(), logps.rejected.tolist(), strict=True):
                    row[f"{what}_reference"] = both

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """The mean loss of a batch of pairs."""
        logps, lengths = self.score(model, inputs["pair"])
        reference = Sides(*inputs["pair_reference"].T) if "pair_reference" in inputs else None
        divergence = None
        if "mismatched" in inputs:
            with torch.no_grad():
                elsewhere, _ = self.score(model, inputs["mismatched"])
            moved = torch.stack(elsewhere, dim=1) - inputs["mismatched_reference"]
            divergence = self.accelerator.gather(moved.mean()).mean().clamp(min=0)
        outcome = preference_loss(self.config, Answers(logps, lengths, reference, divergence))
        margins = self.accelerator.gather_for_metrics(outcome.rewards.chosen - outcome.rewards.rejected)
        self._margins["train" if model.training else "eval"] += margins.tolist()
        if model.training:
            self._tokens += int(self.accelerator.gather(inputs["pair"]["attention_mask"].sum()).sum())
        return outcome.loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Tensor, None, None]:
        """The loss alone: margins are kept by `compute_loss`."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, inputs).detach(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add margin and accuracy since the last line, under TRL's names."""
        mode, prefix = ("eval", "eval_") if "eval_loss" in logs else ("train", "")
        margins = self._margins.pop(mode, [])
        if margins:
            logs[f"{prefix}rewards/margins"] = sum(margins) / len(margins)
            # A tie is half right: before the first step every pair is one.
            right = sum(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0 for margin in margins)
            logs[f"{prefix}rewards/accuracies"] = right / len(margins)
            logs["num_tokens"] = self._tokens
        super().log(logs, start_time)


def collate(rows: list[Row]) -> dict[str, Any]:
    """A batch: `pair` and `mismatched` as `_padded` gives them, their references of shape (pairs, 2)."""
    batch: dict[str, Any] = {}
    for what in ("pair", "mismatched"):
        if what in rows[0]:
            batch[what] = _padded([row[what] for row in rows])
        if f"{what}_reference" in rows[0]:
            batch[f"{what}_reference"] = torch.tensor([row[f"{what}_reference"] for row in rows])
    return batch


def _padded(pairs: list[tuple[Rendered, Rendered]]) -> dict[str, Tensor]:
    """All chosen sides, then all rejected ones; each tensor of shape (2 x pairs, tokens)."""
    sides = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]

    def padded(rows: list[list[int]], value: int) -> Tensor:
        return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)

    return {
        "input_ids": padded([side.input_ids for side in sides], 0),
        "attention_mask": padded([[1] * len(side.input_ids) for side in sides], 0),
        "labels": padded([side.labels for side in sides], IGNORED),
    }


def score(model: Any, inputs: dict[str, Tensor]) -> tuple[Sides, Sides]:
    """By the model's own forward; the head runs from the first answer on."""
    labels = inputs["labels"]
    first = int((labels != IGNORED).any(dim=0).nonzero()[0])
    logits = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        use_cache=False,
        logits_to_keep=labels.shape[1] - first + 1,
    ).logits[:, :-1]
    answers = labels[:, first:]
    scored = answers != IGNORED
    losses = cross_entropy(logits[scored].float(), answers[scored], reduction="none")
    return _by_side(losses, scored.nonzero()[:, 0], len(labels))


def score_fast(model: Any, inputs: dict[str, Tensor]) -> tuple[Sides, Sides]:
    """By the fast engine, whose forward gives each answer token's loss and row."""
    found = model(**inputs)
    return _by_side(found.losses, found.rows, len(inputs["labels"]))


def _by_side(losses: Tensor, rows: Tensor, n: int) -> tuple[Sides, Sides]:
    """Sums of the log-probabilities and numbers of tokens of the `n` rows, chosen and rejected half."""
    sums = losses.new_zeros(n).index_add(0, rows, -losses)
    lengths = losses.new_zeros(n).index_add(0, rows, torch.ones_like(losses))
    return Sides(*sums.chunk(2)), Sides(*lengths.chunk(2))


def with_mismatched(rows: list[Row]) -> list[Row]:
    """KTO measures its divergence on answers to other prompts (section 4.1): here those half the file away."""
    prompts = [prompt_ids(row["pair"][0]) for row in rows]
    out = []
    for i, row in enumerate(rows):
        others = ((i + len(rows) // 2 + k) % len(rows) for k in range(len(rows)))
        other = rows[next(j for j in others if prompts[j] != prompts[i])]
        sides = zip(row["pair"], other["pair"], strict=True)
        out.append({**row, "mismatched": tuple(with_answer_of(side, answer) for side, answer in sides)})
    return out
