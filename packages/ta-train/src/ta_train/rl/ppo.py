"""PPO: prompts and a reward in, an adapter whose answers earn more of it out (`ta-train ppo`)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, SetupError
from ta_train.adapter import write_adapter
from ta_train.models.base_model import resolve
from ta_train.processes import world_size
from ta_train.rl.config import PpoConfig, refuse_biases
from ta_train.rl.prompts import read_prompts
from ta_train.rl.reward_curve import reward_summary
from ta_train.rl.rollout import Reward, reward_artifacts, reward_name
from ta_train.run import TrainingRun
from ta_train.start import start_from
from ta_train.work import WorkFolder


def ppo(
    config: PpoConfig,
    dataset: Path,
    out: Path,
    *,
    reward: Reward,
    adapter: Path | None = None,
    resume: bool = False,
    replace: bool = False,
    console: Console | None = None,
) -> Artifact:
    """Train answers to the dataset's prompts towards `reward` and seal the adapter at `out`.

    Training goes on from `adapter`, which also is the reference of the KL penalty; without one it begins at
    the base model. `reward` is any function of yours or what `load_reward` gives. An `out` that is sealed
    already is returned at once; an interrupted run leaves `<out>.work`, and `resume` goes on to the same
    result.

    Raises InputError (data, configuration, reward), ArtifactError (dataset, adapter or `out`), SetupError
    (more than one process).
    """
    if world_size() > 1:
        raise SetupError("ppo runs in one process: start it without torchrun, or take grpo")
    data = Artifact.open(dataset, kind="dataset")
    base = resolve(config.base_model)
    start = start_from(adapter, config, base)
    refuse_biases(start.config)
    inputs = [data, *([start.adapter] if start.adapter else []), *reward_artifacts(reward)]
    run = TrainingRun(start.config, base, inputs, out, resume=resume, replace=replace, console=console)
    run.identity["reward"] = reward_name(reward)
    done = run.done()
    if done:
        return done

    from ta_train.models.load import load_tokenizer
    from ta_train.rl.ppo_trainer import REFERENCE, PpoTrainer

    tokenizer = load_tokenizer(base)
    prompts = read_prompts(config, data, tokenizer)

    def build(work: WorkFolder, log: Any) -> PpoTrainer:
        return PpoTrainer(start.config, start.load(base), tokenizer, prompts, reward, work, log)

    trainer, metrics = run.train(build)

    def write(folder: Path) -> None:
        trainer.model.delete_adapter(REFERENCE)
        prompt = start.system_prompt or data.manifest.config.get("system_prompt", "")
        write_adapter(
            folder, start.config, base, trainer.model, tokenizer, system_prompt=prompt, dataset=data.digest
        )

    return run.seal(write, reward_summary(metrics, len(prompts.train)))
