"""What the training benchmarks share: rows of a shape, TRL's trainer as it comes, ours, and a clock."""

import json
import math
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback


class Clock(TrainerCallback):  # type: ignore[misc]
    """Wall-clock and CPU seconds of each optimizer step."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Remember when."""
        wait_for_gpu()
        self._began = time.monotonic(), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Add the step."""
        wait_for_gpu()
        wall, cpu = self._began
        self.steps.append((time.monotonic() - wall, time.process_time() - cpu))

    def rates(self, lengths: list[int], rows_a_step: int) -> dict[str, float]:
        """Tokens a second and a CPU-second, the first step left out."""
        tokens = sum(lengths[rows_a_step : len(self.steps) * rows_a_step])
        wall, cpu = (sum(step[i] for step in self.steps[1:]) for i in (0, 1))
        return {"tokens_per_s": tokens / wall, "tokens_per_cpu_s": tokens / cpu}


def wait_for_gpu() -> None:
    """Until the GPU has done what was asked of it."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def plain_trl(
    config: Any,
    model: Any,
    tokenizer: Any,
    rendered: list[Any],
    out: Path,
    clock: Clock,
    settings: dict[str, Any],
) -> list[float]:
    """TRL's SFTTrainer, its configuration untouched but for the budget, the rows' order and `settings`."""
    from datasets import Dataset
    from trl import SFTConfig as TrlConfig
    from trl import SFTTrainer

    arguments = TrlConfig(
        output_dir=str(out),
        max_steps=config.max_steps,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=math.ceil(config.warmup * config.max_steps),
        train_sampling_strategy="sequential",
        max_length=None,
        use_cpu=config.device == "cpu",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    rows = Dataset.from_dict({k: [getattr(r, k) for r in rendered] for k in ("input_ids", "labels")})
    trainer = SFTTrainer(
        model=model, processing_class=tokenizer, train_dataset=rows, args=arguments, callbacks=[clock]
    )
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def ours(
    config: Any, model: Any, tokenizer: Any, rendered: list[Any], out: Path, clock: Clock, *, without: str = ""
) -> list[float]:
    """What `ta-train sft` runs, logging and plots included."""
    import ta_train.trainer
    from ta_train.run_log import RunLog
    from ta_train.work import WorkFolder

    # `batches` has put them in order.
    ta_train.trainer.training_order = lambda rows, **_: list(range(len(rows)))
    if without:
        from levers import take_out

        take_out(without)
    work = WorkFolder(out)
    log = RunLog(work.metrics_file, Console(quiet=True))
    trainer = ta_train.trainer.build_trainer(config, model, tokenizer, rendered, rendered[:1], work, log)
    trainer.add_callback(clock)
    trainer.train()
    lines = [json.loads(line) for line in work.metrics_file.read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def batches(
    dataset: Path,
    tokenizer: Any,
    config: Any,
    *,
    system_prompt: str = "",
    length: int = 0,
    trained_share: float = 1.0,
) -> list[Any]:
    """The rows in the order in which every variant trains them, as many as `config.max_steps` takes.

    `system_prompt` stands in place of the domain's, which makes rows shorter; conversations are joined until a
    row has about `length` tokens; at most `trained_share` of a row's tokens is trained, its last ones.
    """
    from ta_schemas import read_jsonl
    from ta_schemas.rows import ConversationRow, Message
    from ta_train.order import training_order
    from ta_train.render import render_all

    conversations = list(read_jsonl(dataset / "train.jsonl", ConversationRow))
    if system_prompt:
        system = Message(role="system", content=system_prompt)
        for conversation in conversations:
            conversation.messages = [system, *(m for m in conversation.messages if m.role != "system")]
    if length:
        conversations = joined(conversations, tokenizer, length)
    rendered = [with_share(r, trained_share) for r in render_all(conversations, tokenizer, max_length=2048)]
    wanted = config.max_steps * config.batch_size
    epochs = math.ceil(wanted / len(rendered))
    order = training_order(
        rendered, order="shuffle", epochs=epochs, batch_size=config.batch_size, seed=config.seed
    )
    return [rendered[i] for i in order[:wanted]]


def joined(conversations: list[Any], tokenizer: Any, length: int) -> list[Any]:
    """Conversations joined into longer ones of about `length` tokens, one system prompt each."""
    from ta_schemas.rows import ConversationRow

    out: list[ConversationRow] = []
    messages: list[Any] = []
    size = 0
    for conversation in conversations:
        turns = [m for m in conversation.messages if m.role != "system" or not messages]
        added = sum(len(tokenizer(m.content).input_ids) + 5 for m in turns)
        if messages and size + added > length:
            out.append(ConversationRow(id=f"joined-{len(out)}", messages=messages))
            messages, size = list(conversation.messages), added
        else:
            messages, size = [*messages, *turns], size + added
    return out


def with_share(rendered: Any, share: float) -> Any:
    """At most this share of a row's tokens trained: its last ones."""
    trained = [i for i, label in enumerate(rendered.labels) if label != -100]
    kept = set(trained[-max(1, round(share * len(rendered.labels))) :])
    return rendered._replace(labels=[label if i in kept else -100 for i, label in enumerate(rendered.labels)])
