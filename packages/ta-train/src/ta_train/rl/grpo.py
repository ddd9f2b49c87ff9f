"""GRPO and RLOO: groups of answers judge each other, an adapter out (`ta-train grpo`)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, SetupError
from ta_train.adapter import write_adapter
from ta_train.models.base_model import resolve
from ta_train.processes import asked_sharding
from ta_train.rl.config import GrpoConfig, refuse_biases
from ta_train.rl.prompts import read_prompts
from ta_train.rl.reward_curve import reward_summary
from ta_train.rl.rollout import Reward, reward_artifacts, reward_name
from ta_train.run import TrainingRun
from ta_train.start import start_from
from ta_train.work import WorkFolder


def grpo(
    config: GrpoConfig,
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

    Raises InputError (data, configuration, reward), ArtifactError (dataset, adapter or `out`), SetupError (a
    sharded model, which cannot answer for the validation).
    """
    if asked_sharding():
        raise SetupError(f"grpo does not run with sharding {asked_sharding()}: take the preset ddp")
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
    from ta_train.rl.grpo_trainer import REFERENCE, build_grpo_trainer

    tokenizer = load_tokenizer(base)
    prompts = read_prompts(config, data, tokenizer)

    def build(work: WorkFolder, log: Any) -> Any:
        return build_grpo_trainer(start.config, start.load(base), tokenizer, prompts, reward, work, log)

    trainer, metrics = run.train(build)
    model = trainer.accelerator.unwrap_model(trainer.model)

    def write(folder: Path) -> None:
        if REFERENCE in model.peft_config:
            model.delete_adapter(REFERENCE)
        prompt = start.system_prompt or data.manifest.config.get("system_prompt", "")
        write_adapter(
            folder,
            start.config,
            base,
            model,
            tokenizer,
            system_prompt=prompt,
            dataset=data.digest,
            state_dict=run.state_dict,
        )

    return run.seal(write, reward_summary(metrics, len(prompts.train)))
