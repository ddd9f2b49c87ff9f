"""The PPO loop: sample answers, score them, walk over them a few times, begin again.

TRL has no PPO trainer any more (1.14), so this is our own, after Huang et al. 2024
(https://arxiv.org/abs/2403.17031). Policy, reference and value share one base model: the policy is the adapter
`default`, the reference its frozen copy `ref`, and the value a linear head on the policy's last hidden state
(Huang et al. keep a value network of its own; the shared trunk saves its memory and its forward pass).
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import TrainerControl, TrainerState, get_scheduler
from trl.trainer.utils import use_adapter

from ta_train.machine import on_gpu
from ta_train.models.load import uses_bfloat16
from ta_train.processor import cpu_threads
from ta_train.rl import ppo_checkpoint, ppo_loss
from ta_train.rl.config import PpoConfig
from ta_train.rl.prompts import Prompts, training_prompts
from ta_train.rl.reward_curve import RewardCurve
from ta_train.rl.rollout import Answers, Reward, answer, judge_prompts
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder

REFERENCE = "ref"


class Tokens(NamedTuple):
    """What the model says of each token of some answers, all (answers, tokens)."""

    logprobs: Tensor
    values: Tensor
    entropy: Tensor


class Rollout(NamedTuple):
    """Scored answers of one step, all tensors (answers, tokens)."""

    answers: Answers
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    numbers: dict[str, float]
    """What the log shows of them, under TRL's names."""


class PpoTrainer:
    """As much of a trainer as `TrainingRun` asks for: `train`, and the trained `model`. One process."""

    def __init__(
        self,
        config: PpoConfig,
        model: Any,
        tokenizer: Any,
        prompts: Prompts,
        reward: Reward,
        work: WorkFolder,
        log: RunLog,
    ) -> None:
        gpu = on_gpu(config)
        if not gpu:
            torch.set_num_threads(cpu_threads(config.threads))
        self.config, self.tokenizer, self.reward, self.work, self.log = config, tokenizer, reward, work, log
        self.model = model.to("cuda" if gpu else "cpu")
        self.device = self.model.device
        _add_reference(self.model)
        self.value_head = torch.nn.Linear(self.model.config.get_text_config().hidden_size, 1).to(self.device)
        torch.nn.init.zeros_(self.value_head.weight)  # values start at 0: the first advantages are the rewards
        torch.nn.init.zeros_(self.value_head.bias)
        if config.gradient_checkpointing:
            self.model.enable_input_require_grads()
            self.model.gradient_checkpointing_enable()
        self.trained = [p for p in self.model.parameters() if p.requires_grad] + [*self.value_head.parameters()]

        self.prompts = training_prompts(config, prompts.train, per_step=config.rollout_size)
        self.epoch_prompts = len(prompts.train)
        steps = len(self.prompts) // config.rollout_size
        updates = config.rollout_size // (config.batch_size * config.gradient_accumulation) * config.passes
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scheduler = get_scheduler(
            config.schedule,
            self.optimizer,
            num_warmup_steps=math.ceil(config.warmup * steps * updates),
            num_training_steps=steps * updates,
        )
        self.state, self.control = TrainerState(max_steps=steps), TrainerControl()
        self.curve = RewardCurve(config, tokenizer, prompts.validation, reward, log, steps=steps)
        torch.manual_seed(config.seed)

    def train(self, resume_from_checkpoint: str | None = None) -> None:
        """Run to the last step; a checkpoint every `save_every` steps, and after Ctrl-C."""
        if resume_from_checkpoint:
            ppo_checkpoint.load(self, Path(resume_from_checkpoint))
        self.log.on_train_begin(None, self.state, self.control)
        self.curve.on_train_begin(None, self.state, self.control, model=self.model)
        while self.state.global_step < self.state.max_steps and not self.control.should_training_stop:
            rollout = self.roll_out()
            numbers = self.update(rollout)
            self.state.global_step += 1
            self.state.epoch = self.state.global_step * self.config.rollout_size / self.epoch_prompts
            self.state.num_input_tokens_seen += int(rollout.answers.attention_mask.sum())
            logs = {**rollout.numbers, **numbers, "num_tokens": self.state.num_input_tokens_seen}
            self.control.should_save = self.state.global_step % self.config.save_every == 0
            self.log.on_step_end(None, self.state, self.control)
            self.log.on_log(None, self.state, self.control, logs)  # last word: no checkpoint of bad numbers
            self.curve.on_step_end(None, self.state, self.control, model=self.model)
            if self.control.should_save:
                ppo_checkpoint.save(self, self.work.path)
        self.log.on_train_end(None, self.state, self.control)

    def roll_out(self) -> Rollout:
        """Sample this step's answers, score them, and estimate what each token was worth."""
        config = self.config
        first = self.state.global_step * config.rollout_size
        batch = self.prompts[first : first + config.rollout_size]
        answers = answer(
            self.model,
            self.tokenizer,
            batch,
            max_tokens=config.sample_tokens,
            temperature=config.sample_temperature,
        )
        scores = torch.tensor(judge_prompts(self.reward, batch, answers.texts), device=self.device)
        endless = torch.tensor([not stopped for stopped in answers.stopped], device=self.device)
        with torch.no_grad():
            policy = self.in_batches(answers)
            with use_adapter(self.model, REFERENCE):
                reference = self.in_batches(answers).logprobs
        mask, penalized = answers.mask, scores - config.missing_stop_penalty * endless
        rewards = ppo_loss.token_rewards(
            penalized, policy.logprobs, reference, mask, kl_coefficient=config.kl_coefficient
        )
        advantages = ppo_loss.advantages(
            rewards, policy.values, mask, gamma=config.gamma, gae_lambda=config.gae_lambda
        )
        numbers = {
            "reward": float(scores.mean()),
            "kl": float(ppo_loss.mean(policy.logprobs - reference, mask)),
            "entropy": float(ppo_loss.mean(policy.entropy, mask)),
            "completions/mean_length": float(mask.sum(dim=1).float().mean()),
            "completions/clipped_ratio": float(endless.float().mean()),
        }
        returns = advantages + policy.values
        whitened = ppo_loss.whiten(advantages, mask)
        return Rollout(answers, policy.logprobs, policy.values, whitened, returns, numbers)

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Walk over the answers `passes` times, an optimizer step every batch_size x gradient_accumulation."""
        config, mask = self.config, rollout.answers.mask
        sums = dict.fromkeys(("loss", "clipped", "value_loss", "grad_norm"), 0.0)
        count = 0
        self.model.train()
        for _ in range(config.passes):
            order = torch.randperm(len(mask))
            for chunk in order.split(config.batch_size * config.gradient_accumulation):
                for rows in chunk.split(config.batch_size):
                    share = float(mask[rows].sum() / mask[chunk].sum())  # so that all tokens count the same
                    new = self.on_tokens(rollout.answers, rows)
                    policy = ppo_loss.policy_loss(
                        new.logprobs,
                        rollout.logprobs[rows],
                        rollout.advantages[rows],
                        mask[rows],
                        clip=config.clip,
                    )
                    value = ppo_loss.value_loss(
                        new.values,
                        rollout.values[rows],
                        rollout.returns[rows],
                        mask[rows],
                        clip=config.value_clip,
                    )
                    loss = share * (policy.loss + config.value_coefficient * value.loss)
                    loss.backward()
                    sums["loss"] += float(loss.detach())
                    sums["clipped"] += share * float(policy.share)
                    sums["value_loss"] += share * float(value.loss.detach())
                norm = torch.nn.utils.clip_grad_norm_(self.trained, config.max_grad_norm)
                sums["grad_norm"] += float(norm)
                count += 1
                rate = self.scheduler.get_last_lr()[0]
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
        return {name: total / count for name, total in sums.items()} | {"learning_rate": rate}

    def in_batches(self, answers: Answers) -> Tokens:
        """`on_tokens` over all answers, `batch_size` at a time."""
        rows = torch.arange(len(answers.texts)).split(self.config.batch_size)
        parts = [self.on_tokens(answers, some) for some in rows]
        return Tokens(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    def on_tokens(self, answers: Answers, rows: Tensor) -> Tokens:
        """What the active adapter says of the tokens of these answers."""
        ids, attention = answers.input_ids[rows], answers.attention_mask[rows]
        length = answers.mask.shape[1]
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=uses_bfloat16(self.config)):
            out = self.model(
                input_ids=ids,
                attention_mask=attention,
                position_ids=(attention.cumsum(dim=1) - 1).clamp(min=0),
                use_cache=False,
                logits_to_keep=length + 1,
                output_hidden_states=True,
            )
        # What is said of a token stands one place before it.
        logits = out.logits[:, :-1].float() / self.config.sample_temperature
        values = self.value_head(out.hidden_states[-1][:, -length - 1 : -1].float()).squeeze(-1)
        distribution = torch.log_softmax(logits, dim=-1)
        logprobs = distribution.gather(-1, ids[:, -length:].unsqueeze(-1)).squeeze(-1)
        with torch.no_grad():
            entropy = -(distribution.exp() * distribution).sum(-1)
        return Tokens(logprobs, values, entropy)


def _add_reference(model: Any) -> None:
    model.add_adapter(REFERENCE, model.peft_config["default"])
    for name, parameter in model.named_parameters():
        if ".default." in name:
            model.get_parameter(name.replace(".default.", f".{REFERENCE}.")).data.copy_(parameter.data)
