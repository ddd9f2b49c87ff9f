"""Estimates of tiny models, beside what torch, PEFT and the packing really make of them."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from preference_fixtures import preference_rows, seal_preferences
from rich.console import Console
from train_fixtures import conversation
from typer.testing import CliRunner

from ta_schemas import InputError, SetupError
from ta_train.cli import app
from ta_train.config import SftConfig
from ta_train.estimate.available import Available, available, cgroup_left, held
from ta_train.estimate.batches import Batch, Work, batch_of
from ta_train.estimate.check import refusal, ways_out
from ta_train.estimate.duration import operations
from ta_train.estimate.estimate import Estimate, corrected, estimate
from ta_train.estimate.memory import Numerics, memory
from ta_train.estimate.probe import Job, Probe, probed, trained
from ta_train.estimate.shape import Shape, read_shape
from ta_train.fast.llama import FastLlama
from ta_train.fast.pack import pack
from ta_train.models.base_model import resolve
from ta_train.models.load import load_whole, load_with_adapter
from ta_train.preference.config import DpoConfig, KtoConfig
from ta_train.render import IGNORED, Rendered
from ta_train.sft import sft

CPU = Numerics(gpu=False, bfloat16=False)
GPU = Numerics(gpu=True, bfloat16=True)
BATCH = Batch(rows=8, length=100, nodes=600, trained=300, answer=60, tokens=700)
SHAPE = Shape(
    parameters=10_000_000,
    linear=8_000_000,
    largest=400_000,
    trainable=300_000,
    layers=4,
    hidden=256,
    intermediate=1024,
    attention=256,
    groups=128,
    heads=4,
    vocabulary=4000,
    fast=True,
)


def fixed(base_model: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 4,
        "lora_alpha": 8,
        "batch_size": 2,
        "max_steps": 3,
        "eval_points": 1,
        "eval_rows": 2,
        "dtype": "float32",
        "threads": 1,
    }
    return SftConfig(**{**values, **changes})


def peak(config: SftConfig, *, shape: Shape = SHAPE, batch: Batch = BATCH, numerics: Numerics = CPU) -> int:
    return memory(config, shape, batch, numerics).peak


def rendered(ids: list[int], trained: int) -> Rendered:
    labels = [IGNORED] * (len(ids) - trained) + ids[len(ids) - trained :]
    return Rendered(conversation("ls", 0), ids, labels)


def padded(rows: list[Rendered]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    width = max(len(row.input_ids) for row in rows)

    def filled(lists: list[list[int]], value: int) -> torch.Tensor:
        return torch.tensor([one + [value] * (width - len(one)) for one in lists])

    return (
        filled([row.input_ids for row in rows], 0),
        filled([[1] * len(row.input_ids) for row in rows], 0),
        filled([row.labels for row in rows], IGNORED),
    )


# ── the model's numbers ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [{}, {"lora_rank": 9}, {"target_modules": ["q_proj", "down_proj"]}, {"dora": True}],
    ids=["default", "rank", "modules", "dora"],
)
def test_the_trained_parameters_are_those_of_the_loaded_adapter(base_model: Path, changes: Any) -> None:
    config = fixed(base_model, **changes)
    model = load_with_adapter(config, resolve(str(base_model)))
    expected = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert read_shape(config, base_model, gpu=False).trainable == expected


def test_full_tuning_trains_every_parameter(base_model: Path) -> None:
    config = fixed(base_model, tuning="full")
    expected = sum(p.numel() for p in load_whole(config, resolve(str(base_model))).parameters())
    shape = read_shape(config, base_model, gpu=False)
    assert (shape.trainable, shape.parameters) == (expected, expected)


def test_the_fast_engine_is_counted_on_where_the_run_takes_it(base_model: Path) -> None:
    assert read_shape(fixed(base_model), base_model, gpu=False).fast
    assert not read_shape(fixed(base_model, engine="trl"), base_model, gpu=False).fast
    assert not read_shape(fixed(base_model, lora_dropout=0.1), base_model, gpu=False).fast
    assert not read_shape(fixed(base_model), base_model, gpu=True).fast


def test_no_weights_are_needed(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "no-weights"
    shutil.copytree(base_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    assert estimate(fixed(folder), dataset, seconds=0.01).memory.peak > 0


# ── the passes ───────────────────────────────────────────────────────────────


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(1, 3), min_size=2, max_size=12), min_size=1, max_size=5), st.data())
def test_a_batch_has_the_sizes_that_packing_gives_it(ids: list[list[int]], data: st.DataObject) -> None:
    rows = [rendered(one, data.draw(st.integers(1, len(one) - 1))) for one in ids]
    packed = pack(*padded(rows))
    found = batch_of(rows)
    assert found.nodes == len(packed.token_ids)
    assert found.trained == len(packed.targets)
    assert found.places == len(packed.nodes)
    assert found.tokens == packed.n_tokens


def test_the_passes_of_a_run_are_counted_with_their_accumulation(base_model: Path, dataset: Path) -> None:
    work = estimate(fixed(base_model, gradient_accumulation=2), dataset, seconds=0.01).work
    assert (len(work.training), work.steps, len(work.validation)) == (6, 3, 1)


def test_a_preference_batch_holds_both_answers_of_its_pairs(base_model: Path, tmp_path: Path) -> None:
    preferences = seal_preferences(tmp_path / "preferences", preference_rows())
    config = DpoConfig(base_model=str(base_model), batch_size=3, max_steps=2, dtype="float32", threads=1)
    assert estimate(config, preferences, seconds=0.01).batch.rows == 6


# ── memory ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine", ["fast", "trl"])
def test_activations_grow_with_the_rows_as_autograd_keeps_them(base_model: Path, engine: str) -> None:
    config = fixed(base_model, engine=engine)
    shape = read_shape(config, base_model, gpu=False)
    sizes = [[20, 24], [20, 24, 30, 31, 32, 33]]
    kept, expected = [], []
    for lengths in sizes:
        rows = [
            rendered([7 + (i * 31 + k * (i + 3)) % 400 for k in range(n)], 5) for i, n in enumerate(lengths)
        ]
        model = load_with_adapter(config, resolve(str(base_model)))
        kept.append(saved_bytes(model, rows, fast=engine == "fast"))
        expected.append(memory(config, shape, batch_of(rows), CPU).activations)
    # The difference of two batches: what does not depend on the rows, such as fused adapters, falls out.
    assert expected[1] - expected[0] == pytest.approx(kept[1] - kept[0], rel=0.1)


def saved_bytes(model: Any, rows: list[Rendered], *, fast: bool) -> int:
    """What autograd keeps for the backward pass of the layers, each storage once."""
    storages: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)  # a freed place would be given to the next one
        return tensor

    ids, mask, _ = padded(rows)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if fast:
            engine = FastLlama(model.get_base_model(), dtype=torch.float32)
            engine.hidden(pack(ids, mask, ids))
        else:
            model.get_base_model().model(input_ids=ids, attention_mask=mask, use_cache=False)
    for parameter in model.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(storages.values())


def test_checkpointing_keeps_less_of_the_layers(base_model: Path) -> None:
    assert peak(fixed(base_model, gradient_checkpointing=True)) < peak(fixed(base_model))


def test_a_larger_rank_takes_more(base_model: Path) -> None:
    assert peak(fixed(base_model, lora_rank=64)) > peak(fixed(base_model))


def test_full_tuning_counts_gradient_and_moments_of_every_weight(base_model: Path) -> None:
    shape = SHAPE._replace(trainable=SHAPE.parameters, fast=False)
    found = memory(fixed(base_model, tuning="full", gradient_checkpointing=True), shape, BATCH, CPU)
    parts = found.weights + found.trained + found.gradients + found.activations
    embedding_twice = 8 * SHAPE.vocabulary * SHAPE.hidden
    assert parts == 16 * SHAPE.parameters + embedding_twice  # the activations have gone by the last gradient


def test_eager_attention_keeps_its_scores(base_model: Path) -> None:
    shape = SHAPE._replace(fast=False)
    more = peak(fixed(base_model, attention="eager"), shape=shape) - peak(fixed(base_model), shape=shape)
    assert more == SHAPE.layers * 4 * SHAPE.heads * BATCH.length * BATCH.places


def test_four_bits_take_a_quarter_of_the_layers_sixteen(base_model: Path) -> None:
    shape = SHAPE._replace(fast=False, parameters=SHAPE.linear, largest=0)
    half = memory(fixed(base_model), shape, BATCH, GPU).weights
    nf4 = memory(fixed(base_model, quantization="nf4"), shape, BATCH, GPU).weights
    assert nf4 / half == pytest.approx(0.258, abs=0.001)  # 4.127 bits (QLoRA, section 3)


def test_a_gpu_has_no_holes_of_the_heap(base_model: Path) -> None:
    found = memory(fixed(base_model), SHAPE._replace(fast=False), BATCH, GPU)
    assert (found.heap, found.replaced_weights) == (0, 0)


# ── what is free ─────────────────────────────────────────────────────────────


def group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_lowest_limit_above_a_control_group_counts(tmp_path: Path) -> None:
    group(tmp_path, "proc/self", cgroup="0::/user/run\n")
    stat = "anon 5\ninactive_file 100\n"
    group(tmp_path, "sys/fs/cgroup/user/run", memory__max="max\n", memory__current="1000", memory__stat=stat)
    group(tmp_path, "sys/fs/cgroup/user", memory__max="5000\n", memory__current="2000", memory__stat=stat)
    assert cgroup_left(tmp_path) == 5000 - 2000 + 100


def test_version_1_of_control_groups_is_read_too(tmp_path: Path) -> None:
    group(tmp_path, "proc/self", cgroup="5:cpu:/x\n4:memory:/box\n")
    files = {"memory__usage_in_bytes": "10", "memory__stat": "inactive_file 0\n"}
    group(tmp_path, "sys/fs/cgroup/memory/box", memory__limit_in_bytes="70", **files)
    group(tmp_path, "sys/fs/cgroup/memory", memory__limit_in_bytes=str(2**63 - 4096), **files)
    assert cgroup_left(tmp_path) == 60


def test_without_a_limit_nothing_is_said(tmp_path: Path) -> None:
    assert cgroup_left(tmp_path) is None


def test_processes_of_one_machine_share_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = available(gpu=False).size_bytes - held()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert available(gpu=False).size_bytes - held() == pytest.approx(alone / 4, rel=0.1)


# ── refusing ─────────────────────────────────────────────────────────────────


def too_large(base_model: Path, free: int, **changes: Any) -> Estimate:
    config = fixed(base_model, **{"batch_size": 8, **changes})
    work = Work([BATCH], [BATCH], 1)
    found = memory(config, SHAPE, BATCH, CPU)
    room = Available(free, "in this machine")
    return Estimate(config, SHAPE, work, CPU, BATCH, found, room, operations(config, SHAPE, work), 0.0)


def test_a_refusal_says_what_to_change_and_what_it_would_take_then(base_model: Path) -> None:
    whole = peak(fixed(base_model))
    text = refusal(too_large(base_model, whole - 1))
    for key in (
        "batch_size=4 with gradient_accumulation=2 (about ",
        "gradient_checkpointing=true (about ",
        "max_length=50",
        "memory_check=false",
    ):
        assert key in text


def test_only_changes_that_fit_are_named(base_model: Path) -> None:
    free = peak(fixed(base_model, gradient_checkpointing=True))
    ways = ways_out(too_large(base_model, free))
    assert "gradient_checkpointing=true" in [name for name, _ in ways]
    assert all(size <= free for _, size in ways)


def test_where_one_change_is_not_enough_two_are_named(base_model: Path) -> None:
    config = fixed(base_model, gradient_checkpointing=True)
    free = peak(config, batch=BATCH._replace(rows=1, nodes=75, trained=38, tokens=88)) + 10**6
    (name, _), *more = ways_out(too_large(base_model, free))
    assert not more and name.startswith("gradient_checkpointing=true and batch_size=")


def test_where_nothing_fits_a_smaller_model_is_named(base_model: Path) -> None:
    assert "base_model to a smaller one" in refusal(too_large(base_model, 10))


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(
        "ta_train.estimate.estimate.available", lambda *, gpu: Available(10**6, "in this machine")
    )
    yield


@pytest.mark.usefixtures("little_memory")
def test_a_run_that_cannot_fit_is_refused_before_it_begins(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=r"about .* GB at its peak, 0.0 GB are free in this machine"):
        sft(fixed(base_model), dataset, tmp_path / "adapter")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("little_memory")
def test_memory_check_false_starts_it_anyway(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    config = fixed(base_model, memory_check=False)
    adapter = sft(config, dataset, tmp_path / "adapter")
    assert "memory_check" not in adapter.manifest.config["sft"]


# ── time ─────────────────────────────────────────────────────────────────────


def test_twice_the_steps_are_twice_the_operations(base_model: Path) -> None:
    config = fixed(base_model)
    one, two = (operations(config, SHAPE, Work([BATCH] * n, [], 1)).total for n in (3, 6))
    assert two == pytest.approx(2 * one)


def test_one_step_of_a_dense_model_is_six_operations_a_weight_and_token(base_model: Path) -> None:
    shape = SHAPE._replace(trainable=SHAPE.parameters, fast=False, vocabulary=0, attention=0)
    found = operations(fixed(base_model, tuning="full"), shape, Work([BATCH], [], 1)).total
    assert found == pytest.approx(6 * SHAPE.linear * BATCH.places)  # Kaplan et al. 2020, section 2.1


def test_checkpointing_adds_a_forward_pass(base_model: Path) -> None:
    work = Work([BATCH], [], 1)
    shape = SHAPE._replace(vocabulary=0)
    plain, again = (
        operations(fixed(base_model, gradient_checkpointing=on), shape, work).total for on in (False, True)
    )
    assert again / plain == pytest.approx(1.5, abs=0.03)


def test_kto_computes_more_than_dpo() -> None:
    work = Work([BATCH], [BATCH], 1)
    assert operations(KtoConfig(), SHAPE, work).total > 1.2 * operations(DpoConfig(), SHAPE, work).total


def test_after_twenty_steps_the_time_left_is_said(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    said = {}
    for steps in (20, 22):
        console = Console(file=io.StringIO(), width=200)
        sft(fixed(base_model, max_steps=steps, epochs=2), dataset, tmp_path / str(steps), console=console)
        said[steps] = console.file.getvalue()  # type: ignore[attr-defined]
    assert "GB at the peak" in said[20] and "after 20 steps" not in said[20]
    assert "after 20 steps: " in said[22] and " left" in said[22]


# ── the probe ────────────────────────────────────────────────────────────────


def test_a_probe_sets_the_speed_and_corrects_the_peak(base_model: Path, dataset: Path) -> None:
    found = estimate(fixed(base_model, max_steps=10), dataset, seconds=0.01)
    steps = found.operations.steps
    better = corrected(found, Probe(steps=2, seconds=4.0, tokens_per_s=9.0, peak_bytes=10**9))
    assert better.rate == pytest.approx((steps[1] + steps[2]) / 4.0)
    largest = max(memory(found.config, found.shape, b, CPU).peak for b in found.work.training[:3])
    rest = found.memory.peak - found.memory.libraries - largest
    assert better.memory.peak == 10**9 + rest


def test_a_probe_trains_the_first_steps_alone(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    config = probed(fixed(base_model, max_steps=0, epochs=30))
    assert config.max_steps == 20
    job = Job(
        method="sft",
        config=config.model_copy(update={"max_steps": 4}).model_dump(exclude_unset=True),
        data=dataset,
        adapter=None,
        out=tmp_path / "out",
    )
    found = trained(job)
    assert found.steps == 3
    assert found.peak_bytes > 10**8
    assert found.tokens_per_s > 0


# ── the command ──────────────────────────────────────────────────────────────


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["estimate", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return dict(json.loads(result.stdout))


def test_the_command_gives_parts_that_add_up_to_the_peak(base_model: Path, dataset: Path) -> None:
    found = run(str(dataset), "--recipe", "cpu-tiny", "--set", f"base_model={base_model}")
    assert found["peak_bytes"] == sum(found["parts_bytes"].values())
    assert found["fits"] and found["seconds"] > 0


def test_without_json_the_parts_and_the_batch_are_shown(base_model: Path, dataset: Path) -> None:
    arguments = ["estimate", str(dataset), "--recipe", "cpu-tiny", "--set", f"base_model={base_model}"]
    shown = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    for text in ("activations", "libraries", "largest forward pass: 2 rows", "GB at the peak"):
        assert text in shown


def test_set_changes_what_is_estimated(base_model: Path, dataset: Path) -> None:
    tiny = [str(dataset), "--recipe", "cpu-tiny", "--set", f"base_model={base_model}"]
    small, large = run(*tiny), run(*tiny, "--set", "batch_size=8")
    assert large["parts_bytes"]["activations"] > 2 * small["parts_bytes"]["activations"]


def test_a_gpu_that_is_not_here_gets_memory_but_no_time(base_model: Path, dataset: Path) -> None:
    found = run(
        *(str(dataset), "--recipe", "gpu-qlora-8b", "--set", f"base_model={base_model}", "--set", "device=cuda")
    )
    assert (found["device"], found["seconds"], found["formula_measured"]) == ("cuda", None, False)


def test_the_adapter_of_a_preference_run_decides_the_rank(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    adapter = sft(fixed(base_model, lora_rank=3), dataset, tmp_path / "adapter").path
    preferences = seal_preferences(tmp_path / "preferences", preference_rows())
    arguments = [str(preferences), "--recipe", "cpu-smollm2-dpo", "--set", f"base_model={base_model}"]
    fresh, started = run(*arguments), run(*arguments, "--adapter", str(adapter))
    assert started["trainable_parameters"] * 16 == fresh["trainable_parameters"] * 3


def test_a_method_without_a_formula_is_refused(base_model: Path, dataset: Path) -> None:
    result = CliRunner().invoke(
        app, ["estimate", str(dataset), "--recipe", "cpu-smollm2-ppo", "--set", f"base_model={base_model}"]
    )
    assert isinstance(result.exception, InputError)
    assert "no estimate for ppo" in str(result.exception)


def test_a_recipe_that_cannot_be_read_is_named(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("lora_rank: [\n")
    result = CliRunner().invoke(app, ["estimate", str(dataset), "--recipe", str(file)])
    assert isinstance(result.exception, InputError)
    assert "mine.yaml: not valid YAML" in str(result.exception)


@pytest.mark.slow
def test_the_probe_option_trains_in_a_process_of_its_own(base_model: Path, dataset: Path) -> None:
    tiny = [str(dataset), "--recipe", "cpu-tiny", "--set", f"base_model={base_model}"]
    assert run(*tiny, "--probe")["parts_bytes"]["probed"] != 0
