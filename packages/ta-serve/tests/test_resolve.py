import json
import shutil

import pytest
from serve_fixtures import make_adapter, make_model, make_model_artifact

from ta_schemas import ArtifactError, ArtifactWriter, InputError, SetupError
from ta_serve.resolve import resolve


def reseal(folder, change, *, environment=None):
    """Make the artifact anew with changed content, honestly sealed."""
    from ta_schemas import Artifact

    old = Artifact.open(folder)
    with ArtifactWriter(folder, kind=old.manifest.kind, producer="test", replace=True) as writer:
        for entry in old.manifest.files:
            (writer.path / entry.path).write_bytes((folder / entry.path).read_bytes())
        change(writer.path)
        writer.environment = old.manifest.environment if environment is None else environment


def change_settings(**values):
    def change(folder):
        file = folder / "settings.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def test_an_adapter_finds_its_base_model_and_its_settings(base, adapter):
    model_dir, adapter_dir, settings = resolve(adapter.path)
    assert (model_dir, adapter_dir) == (base.path, adapter.path)
    assert settings.system_prompt == "You list files."
    assert settings.generation.max_tokens == 9


def test_a_model_artifact_and_a_plain_folder_stand_for_themselves(base, tmp_path):
    assert resolve(base.path)[:2] == (base.path, None)
    plain = make_model(tmp_path / "plain")
    assert resolve(plain)[:2] == (plain, None)
    assert resolve(plain).settings.generation.max_tokens == 256


def test_a_tampered_adapter_is_refused(adapter, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    weights = copy / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ArtifactError, match="content differs from the manifest"):
        resolve(copy)


def test_a_tampered_base_model_is_refused(tmp_path):
    base = make_model_artifact(tmp_path / "base")
    adapter = make_adapter(tmp_path / "adapter", base.path, digest=base.digest)
    (base.path / "config.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"config\.json"):
        resolve(adapter.path)


def test_an_adapter_on_another_base_model_than_its_own_is_refused(adapter, tmp_path):
    other = make_model_artifact(tmp_path / "other", seed=5)
    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    reseal(copy, lambda _: None, environment={"base_model_path": str(other.path)})
    with pytest.raises(ArtifactError, match="tuned on tiny-test"):
        resolve(copy)


def test_a_missing_base_model_says_which_and_how_to_make_it(adapter, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path / "nothing"))
    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    reseal(copy, lambda _: None, environment={"base_model_path": "/gone/away"})
    with pytest.raises(SetupError) as error:
        resolve(copy)
    assert "tiny-test is not at /gone/away" in str(error.value)
    assert "'tunedassist train base-model tiny-test'" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_adapter_from_another_machine_finds_the_same_base_model_in_the_cache(
    base, adapter, tmp_path, monkeypatch
):
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path))
    make_model_artifact(tmp_path / "models" / "another", seed=5)
    shutil.copytree(base.path, tmp_path / "models" / "tiny")
    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    reseal(copy, lambda _: None, environment={"base_model_path": "/gone/away"})
    assert resolve(copy).model_dir == tmp_path / "models" / "tiny"


def test_settings_without_base_model_or_with_a_wrong_value_are_named(adapter, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    reseal(copy, change_settings(base_model=None))
    with pytest.raises(ArtifactError, match="names no base model"):
        resolve(copy)
    reseal(copy, change_settings(generation={"max_tokens": -1}))
    with pytest.raises(InputError, match=r"settings\.json: generation\.max_tokens"):
        resolve(copy)


def test_unknown_settings_are_kept(adapter, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    reseal(copy, change_settings(of_a_later_version=1))
    assert resolve(copy).settings.model_dump()["of_a_later_version"] == 1


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        resolve(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"neither manifest\.json nor config\.json"):
        resolve(tmp_path / "empty")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "adapter_config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="half-written"):
        resolve(tmp_path / "half")
    with ArtifactWriter(tmp_path / "data", kind="dataset", producer="test"):
        pass
    with pytest.raises(ArtifactError, match="a dataset artifact: expected an adapter or a model"):
        resolve(tmp_path / "data")
