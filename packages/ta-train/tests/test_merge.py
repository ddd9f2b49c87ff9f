"""Merging real adapters of a random two-layer model, the saved weights compared by hand."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from merge_fixtures import Weights, close, learned, make_adapter, update, weights

from ta_schemas import Artifact, ArtifactError, InputError
from ta_train.config import SftConfig
from ta_train.merge.inputs import MergeConfig
from ta_train.merge.merge import COMPANIONS, merge
from ta_train.models.base_model import resolve
from ta_train.models.load import load_tokenizer


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Artifact:
    return make_adapter(tmp_path_factory.mktemp("one") / "adapter", base_model, seed=1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Artifact:
    return make_adapter(tmp_path_factory.mktemp("two") / "adapter", base_model, seed=2)


def test_one_adapter_becomes_part_of_exactly_the_weights_it_adapts(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    model = merge(MergeConfig(), [one.path], tmp_path / "model")
    assert len(update(one)) == 14
    assert close(learned(model, base_model), update(one))


def test_the_merged_folder_holds_everything_that_must_travel_and_knows_its_parents(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    model = merge(MergeConfig(), [one.path], tmp_path / "model")
    names = {entry.path for entry in model.manifest.files}
    assert names == {*COMPANIONS, "model.safetensors", "config.json", "generation_config.json"}
    for name in COMPANIONS:
        assert model.file(name).read_bytes() == one.file(name).read_bytes()
    assert (model.path / "tokenizer.json").read_bytes() == (base_model / "tokenizer.json").read_bytes()
    assert [parent.kind for parent in model.manifest.parents] == ["adapter", "model"]
    assert model.manifest.parents[0].digest == one.digest
    assert resolve(str(model.path)).digest == model.digest


def test_the_saved_model_answers_as_the_adapted_one(one: Artifact, base_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = merge(MergeConfig(), [one.path], tmp_path / "model")
    tokens = torch.arange(40)[None]
    saved = AutoModelForCausalLM.from_pretrained(model.path)
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_model), str(one.path))
    with torch.inference_mode():
        assert torch.allclose(saved(tokens).logits, adapted(tokens).logits, atol=1e-5)
        with adapted.disable_adapter():
            assert not torch.allclose(saved(tokens).logits, adapted(tokens).logits, atol=0.1)
    metrics = model.manifest.metrics
    assert metrics["logit_difference"] < 1e-5 < 0.1 < metrics["adapter_effect"]
    assert metrics["checked_tokens"] >= 36


def test_linear_is_the_weighted_sum_of_the_updates_whatever_their_ranks(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    other = make_adapter(tmp_path / "other", base_model, seed=3, rank=2)
    for given, used in (([], [0.5, 0.5]), ([0.7, -0.2], [0.7, -0.2])):
        model = merge(MergeConfig(weights=given), [one.path, other.path], tmp_path / "model", replace=True)
        a, b = update(one), update(other)
        assert close(learned(model, base_model), {name: used[0] * a[name] + used[1] * b[name] for name in a})


def test_a_single_adapter_can_be_weighted(one: Artifact, base_model: Path, tmp_path: Path) -> None:
    model = merge(MergeConfig(weights=[0.5]), [one.path], tmp_path / "model")
    assert close(learned(model, base_model), {name: 0.5 * value for name, value in update(one).items()})


def test_rank_stabilized_adapters_keep_their_scale_when_combined(base_model: Path, tmp_path: Path) -> None:
    lora = {"lora_alpha": 6, "use_rslora": True}
    pair = [make_adapter(tmp_path / f"{seed}", base_model, seed=seed, lora=lora) for seed in (1, 2)]
    model = merge(MergeConfig(), [adapter.path for adapter in pair], tmp_path / "model")
    a, b = (update(adapter, scale=6 / 4**0.5) for adapter in pair)
    assert close(learned(model, base_model), {name: (a[name] + b[name]) / 2 for name in a})


def test_svd_is_the_best_update_of_the_largest_rank(
    one: Artifact, two: Artifact, base_model: Path, tmp_path: Path
) -> None:
    import torch

    model = merge(MergeConfig(method="svd"), [one.path, two.path], tmp_path / "model")
    a, b = update(one), update(two)
    for name, found in learned(model, base_model).items():
        u, s, v = torch.linalg.svd((a[name] + b[name]) / 2)
        best = u[:, :4] @ torch.diag(s[:4]) @ v[:4]
        assert torch.allclose(found, best, atol=1e-4), name


def ties_by_hand(pair: list[Artifact], density: float) -> Weights:
    """Of A and of B apart, as PEFT defines it, from what lies in the files."""
    import torch
    from peft.utils.merge_utils import ties

    each = torch.tensor([2.0**0.5] * 2)  # a weight of 1 times the scale of 2, half of it to either side
    found = [weights(adapter.path, "adapter_model.safetensors") for adapter in pair]
    sides = {name: ties([f[name] for f in found], each, density) for name in found[0]}
    prefix, down = "base_model.model.", ".lora_A.weight"
    return {
        f"{key.removeprefix(prefix).removesuffix(down)}.weight": sides[key.replace("lora_A", "lora_B")] @ side
        for key, side in sides.items()
        if key.endswith(down)
    }


def test_ties_drops_elects_a_sign_and_averages(
    one: Artifact, two: Artifact, base_model: Path, tmp_path: Path
) -> None:
    config = MergeConfig(method="ties", density=0.3)
    model = merge(config, [one.path, two.path], tmp_path / "model")
    assert close(learned(model, base_model), ties_by_hand([one, two], 0.3))


def test_every_method_gives_another_model_and_the_same_each_time(
    one: Artifact, two: Artifact, tmp_path: Path
) -> None:
    pair = [one.path, two.path]
    digests = set()
    for method in ("linear", "svd", "ties", "dare_linear", "dare_ties"):
        config = MergeConfig.model_validate({"method": method})
        first = merge(config, pair, tmp_path / method)
        assert merge(config, pair, tmp_path / f"{method}-again").digest == first.digest
        digests.add(first.digest)
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("linear", {"weights": [0.9, 0.1]}),
        ("svd", {"weights": [0.9, 0.1]}),
        ("ties", {"density": 0.2}),
        ("ties", {"weights": [1.0, 0.2]}),
        ("dare_linear", {"density": 0.2}),
        ("dare_linear", {"seed": 7}),
        ("dare_ties", {"seed": 7}),
    ],
    ids=str,
)
def test_every_option_changes_the_merged_weights(
    method: str, changes: dict[str, Any], one: Artifact, two: Artifact, tmp_path: Path
) -> None:
    pair = [one.path, two.path]
    plain = merge(MergeConfig.model_validate({"method": method}), pair, tmp_path / "plain")
    changed = merge(MergeConfig.model_validate({"method": method, **changes}), pair, tmp_path / "changed")
    assert not weights(plain.path)["model.layers.0.mlp.up_proj.weight"].equal(
        weights(changed.path)["model.layers.0.mlp.up_proj.weight"]
    )


def test_the_weights_are_stored_in_the_type_asked_for(one: Artifact, base_model: Path, tmp_path: Path) -> None:
    import torch

    for dtype in ("float32", "float16", "bfloat16"):
        model = merge(MergeConfig.model_validate({"dtype": dtype}), [one.path], tmp_path / dtype)
        assert {value.dtype for value in weights(model.path).values()} == {getattr(torch, dtype)}
        assert json.loads(model.file("config.json").read_text())["dtype"] == dtype
    assert (
        weights(merge(MergeConfig(), [one.path], tmp_path / "auto").path).keys() == weights(base_model).keys()
    )


def test_auto_stores_what_the_base_model_is_stored_in(base_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    shutil.copytree(base_model, half)
    AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.bfloat16).save_pretrained(half)
    adapter = make_adapter(tmp_path / "adapter", half)
    model = merge(MergeConfig(), [adapter.path], tmp_path / "model")
    assert {value.dtype for value in weights(model.path).values()} == {torch.bfloat16}
    assert model.manifest.metrics["dtype"] == "bfloat16"


def test_a_sealed_model_is_returned_at_once_and_another_is_not_overwritten(
    one: Artifact, tmp_path: Path
) -> None:
    first = merge(MergeConfig(), [one.path], tmp_path / "model")
    assert merge(MergeConfig(), [one.path], tmp_path / "model").manifest.created_at == first.manifest.created_at
    with pytest.raises(ArtifactError, match="--force"):
        merge(MergeConfig(dtype="bfloat16"), [one.path], tmp_path / "model")
    changed = merge(MergeConfig(dtype="bfloat16"), [one.path], tmp_path / "model", replace=True)
    assert changed.digest != first.digest


def test_the_command_merges_and_names_a_wrong_value(
    one: Artifact, two: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ta_train.cli import app

    out = tmp_path / "model"
    arguments = ["merge", str(one.path), str(two.path), "--out", str(out), "--weights", "0.7,0.3", "--json"]
    app(arguments, standalone_mode=False)
    result = json.loads(capsys.readouterr().out)
    assert result["digest"] == Artifact.open(out, kind="model").digest
    assert Artifact.open(out).manifest.config["merge"]["weights"] == [0.7, 0.3]
    for wrong in (["--dtype", "int8"], ["--weights", "a,b"], ["--method", "mean"], ["--density", "2"]):
        with pytest.raises(InputError, match=wrong[0]):
            app([*arguments[:5], *wrong], standalone_mode=False)


@pytest.mark.slow
def test_a_real_adapter_of_the_embedded_model_is_merged_and_says_the_same(
    dataset: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from ta_train.recipe import load_recipe
    from ta_train.sft import sft

    adapter = sft(load_recipe("cpu-tiny", SftConfig, ["max_steps=8"]), dataset, tmp_path / "adapter")
    base = resolve("smollm2-135m-instruct")
    tokenizer = load_tokenizer(base)
    asked = [{"role": "user", "content": "How do I sort a file?"}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")["input_ids"]

    def answer(model: Any) -> list[int]:
        with torch.inference_mode():
            said = model.generate(prompt, max_new_tokens=24, do_sample=False)
        return list(said[0, prompt.shape[1] :].tolist())

    for dtype in ("auto", "float32"):
        model = merge(MergeConfig.model_validate({"dtype": dtype}), [adapter.path], tmp_path / dtype)
        metrics = model.manifest.metrics
        assert metrics["dtype"] == ("float16" if dtype == "auto" else dtype)
        assert metrics["logit_difference"] < metrics["adapter_effect"] / 3
        loaded = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
        adapted = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
        adapted = PeftModel.from_pretrained(adapted, str(adapter.path))
        assert answer(loaded) == answer(adapted)
        with adapted.disable_adapter():
            assert answer(loaded) != answer(adapted)
