"""The parity gate on a tiny model: it passes what is the same and names the first thing that is not."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from export_fixtures import make_family
from serve_fixtures import make_adapter
from stub_servers import stub_server

from ta_schemas import Artifact, ArtifactWriter, InputError
from ta_schemas.errors import GateError
from ta_serve.completion import Completion
from ta_serve.export.config import ExportConfig
from ta_serve.export.export import export
from ta_serve.export.merged import write_merged
from ta_serve.export.model_gguf import write_model_gguf
from ta_serve.export.source import open_source
from ta_serve.export.vocabulary import Vocabulary
from ta_serve.open import open_engine
from ta_serve.parity.chats import Chat, built_in_chats, read_chats
from ta_serve.parity.child import in_child
from ta_serve.parity.compare import compare_choices, first_text_difference, first_token_difference
from ta_serve.parity.gate import check_parity
from ta_serve.parity.reference import Answered
from ta_serve.parity.server import Server

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")

CHATS = [chat for chat in built_in_chats() if chat.name.startswith(("multi-turn", "Unicode"))]
SETTINGS = {"system_prompt": "You list files.", "generation": {"max_tokens": 9, "stop": ["<|im_end|>"]}}


@pytest.fixture(autouse=True, scope="module")
def here():
    """llama.cpp in this process: a child imports for seconds. What a child adds has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ta_serve.parity.gate.in_child", lambda work, *arguments, where: work(*arguments))
        yield


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A random LoRA over a tiny SmolLM2; do not write into it."""
    folder = tmp_path_factory.mktemp("parity")
    with ArtifactWriter(folder / "base", kind="model", producer="test") as writer:
        make_family("smollm2", writer.path)
    base = Artifact.open(folder / "base")
    return make_adapter(folder / "adapter", base.path, digest=base.digest, settings=SETTINGS).path


@pytest.fixture(scope="module")
def exported(tuned, tmp_path_factory):
    """Exported with its gate; do not write into it."""
    config = ExportConfig(name="tiny", types=["F16", "Q8_0"], licence="apache-2.0")
    return export(config, tuned, tmp_path_factory.mktemp("out") / "gguf")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_merged_folder_is_the_adapted_model_in_the_precision_of_its_base(tmp_path, dtype):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with ArtifactWriter(tmp_path / "base", kind="model", producer="test") as writer:
        make_family("smollm2", writer.path, dtype=getattr(torch, dtype))
    base = Artifact.open(tmp_path / "base")
    adapter = make_adapter(tmp_path / "adapter", base.path, digest=base.digest, settings=SETTINGS)
    opened = open_source(adapter.path)
    folders = (opened.tokenizer_dir, opened.settings_dir, tmp_path / "merged")
    merged = write_merged(opened.weights, *folders, producer="test", parents=opened.parents, config={})
    assert [parent.kind for parent in merged.manifest.parents] == ["adapter", "model"]
    found = AutoModelForCausalLM.from_pretrained(merged.path, dtype="auto")
    assert found.dtype == getattr(torch, dtype)
    plain = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    expected = PeftModel.from_pretrained(plain, str(adapter.path)).merge_and_unload().state_dict()
    for name, tensor in found.state_dict().items():
        assert torch.allclose(tensor.float(), expected[name], atol=0.02, rtol=0.01), name


def write_with(tuned, folder, *, template=None, tokenizer=None):
    """The tuned model as GGUF with another chat template or another tokenizer.json."""
    other = shutil.copytree(tuned, folder / "other")
    (other / "manifest.json").unlink()
    source = open_source(tuned)
    if template:
        (other / "chat_template.jinja").write_text(template(source_template(tuned)))
    if tokenizer:
        content = json.loads((other / "tokenizer.json").read_text())
        tokenizer(content)
        (other / "tokenizer.json").write_text(json.dumps(content))
    file = folder / "spoilt-F16.gguf"
    vocabulary = Vocabulary(other, rows=len(source.vocabulary.texts))
    write_model_gguf(source.weights, source.config, vocabulary, file, name="spoilt")
    return file


def lose_merges(content):
    del content["model"]["merges"][20:]


def source_template(tuned):
    return (tuned / "chat_template.jinja").read_text()


def test_an_export_passes_its_gate_on_every_side(exported):
    verdicts = {verdict["side"]: verdict for verdict in exported.manifest.metrics["parity"]["verdicts"]}
    assert set(verdicts) == {
        "transformers engine",
        "tiny-F16.gguf",
        "tiny-Q8_0.gguf",
        "Ollama's template",
        "base-F16.gguf with tiny-lora-F16.gguf",
    }
    assert all(verdict["ok"] and verdict["prompts"] == 12 for verdict in verdicts.values())


def test_an_export_names_its_parents_and_holds_what_it_says(tuned, exported):
    assert [parent.kind for parent in exported.manifest.parents] == ["adapter", "model"]
    assert exported.manifest.parents[0].digest == Artifact.open(tuned).digest
    names = {entry.path for entry in exported.manifest.files}
    expected = {
        "tiny-F16.gguf",
        "tiny-Q8_0.gguf",
        "tiny-lora-F16.gguf",
        "Modelfile",
        "settings.json",
        "SERVE.md",
    }
    assert names == expected | {"logs/parity.json"}
    assert exported.manifest.metrics["files"]["tiny-Q8_0.gguf"]["types"]["Q8_0"] > 0


def test_one_space_more_in_the_template_of_the_file_is_caught(tuned, tmp_path):
    file = write_with(
        tuned, tmp_path, template=lambda text: text.replace("tiny.<|im_end|>", "tiny. <|im_end|>")
    )
    with pytest.raises(GateError, match=r"spoilt-F16.gguf: .*the prompts differ from character \d+ on"):
        check_parity(tuned, [file], CHATS).demand()


def test_one_space_less_in_the_template_of_ollama_is_caught(tuned, exported, tmp_path):
    text = (exported.path / "Modelfile").read_text()
    assert "You are tiny." in text
    (tmp_path / "Modelfile").write_text(text.replace("You are tiny.", "You aretiny."))
    found = check_parity(tuned, [exported.path / "tiny-F16.gguf"], CHATS, modelfile=tmp_path / "Modelfile")
    with pytest.raises(GateError, match="Ollama's template: .*You are tiny.*Ollama's TEMPLATE has .*aretiny"):
        found.demand()


def test_another_system_prompt_in_the_modelfile_is_caught(tuned, exported, tmp_path):
    text = (exported.path / "Modelfile").read_text()
    (tmp_path / "Modelfile").write_text(text.replace("You list files.", "You list file."))
    found = check_parity(tuned, [exported.path / "tiny-F16.gguf"], CHATS, modelfile=tmp_path / "Modelfile")
    with pytest.raises(GateError, match="SYSTEM: 'You list file.', tuned with 'You list files.'"):
        found.demand()


def test_a_tokenizer_that_lost_a_merge_is_caught(tuned, tmp_path):
    file = write_with(tuned, tmp_path, tokenizer=lose_merges)
    with pytest.raises(GateError, match=r"prompt token \d+ after"):
        check_parity(tuned, [file], CHATS).demand()


def other_weights(tuned, folder):
    """The base model as GGUF."""
    base = Artifact.open(tuned).manifest.environment["base_model_path"]
    source = open_source(Path(base))
    file = folder / "untuned-F16.gguf"
    write_model_gguf(source.weights, source.config, source.vocabulary, file, name="untuned")
    return file


def test_other_weights_are_caught(tuned, tmp_path):
    file = other_weights(tuned, tmp_path)
    with pytest.raises(GateError, match=r"untuned-F16.gguf: .*answer token \d+ after .* less likely by"):
        check_parity(tuned, [file], CHATS).demand()


def test_a_quantized_file_below_the_agreement_is_caught(tuned, exported):
    found = check_parity(tuned, [exported.path / "tiny-Q8_0.gguf"], CHATS, agreement=1.1)
    with pytest.raises(GateError, match=r"tokens agree, expected 110%"):
        found.demand()


@contextmanager
def llama_server(file):
    """A server over a GGUF file."""
    pytest.importorskip("xllamacpp", reason="needs ta-serve[fast]")
    with open_engine(file, engine="xllamacpp", threads=1) as engine:
        yield Server(engine.url, api_key=engine._options["key"])


def test_a_server_over_the_exported_file_passes_where_conversations_have_a_system_prompt(tuned, exported):
    with llama_server(exported.file("tiny-F16.gguf")) as server:
        # Four tokens: a random model soon says bytes that are no characters, which no text can hold.
        _, verdict = check_parity(tuned, [], CHATS, servers=[server], max_tokens=4).verdicts
    assert verdict.difference == ""
    assert (verdict.side, verdict.ok, verdict.compared, verdict.prompts) == (server.url, True, 2, 2)
    assert verdict.same_answers == 2


def test_a_server_over_another_model_is_caught(tuned, exported, tmp_path):
    with llama_server(other_weights(tuned, tmp_path)) as server:
        with pytest.raises(GateError, match=rf"{server.url}: .*answer token \d+: transformers answers"):
            check_parity(tuned, [], CHATS, servers=[server]).demand()


def test_a_server_with_another_template_is_caught_by_the_length_of_its_prompts(tuned):
    with stub_server() as stub:
        server = Server(f"{stub.url}/v1", model="large")
        with pytest.raises(GateError, match=r"the server counts 7 prompt tokens, training \d+"):
            check_parity(tuned, [], CHATS, servers=[server]).demand()
    assert {body["model"] for body in stub.asked} == {"large"}


def test_a_stop_token_that_llama_cpp_does_not_know_is_caught(tuned, exported, tmp_path):
    other = shutil.copytree(tuned, tmp_path / "other")
    settings = json.loads((other / "settings.json").read_text())
    settings["generation"]["stop"] = ["<|begin|>"]
    (other / "settings.json").write_text(json.dumps(settings))
    with ArtifactWriter(tmp_path / "resealed", kind="adapter", producer="test") as writer:
        for file in other.iterdir():
            if file.name != "manifest.json":
                shutil.copy(file, writer.path)
        writer.environment |= Artifact.open(tuned).manifest.environment
    found = check_parity(tmp_path / "resealed", [exported.path / "tiny-F16.gguf"], CHATS)
    with pytest.raises(GateError, match="stop tokens: an answer ends at '<|begin|>' in training"):
        found.demand()


def test_skipping_is_recorded_and_another_request_than_not_skipping(tuned, tmp_path):
    config = ExportConfig(name="tiny", types=["Q8_0"], skip_parity=True)
    made = export(config, tuned, tmp_path / "gguf")
    assert made.manifest.config["export"]["skip_parity"] is True
    assert made.manifest.metrics["parity"] == {"skipped": True}
    assert not (made.path / "tiny-F16.gguf").exists()  # only what was asked for
    again = export(config, tuned, tmp_path / "gguf")
    assert again.manifest.created_at == made.manifest.created_at
    with pytest.raises(Exception, match="pass --force"):
        export(config.model_copy(update={"skip_parity": False}), tuned, tmp_path / "gguf")


def test_a_gate_that_fails_leaves_nothing_behind(tuned, tmp_path, monkeypatch):
    monkeypatch.setattr(check_parity, "__kwdefaults__", check_parity.__kwdefaults__ | {"agreement": 1.1})
    with pytest.raises(GateError):
        export(ExportConfig(types=["Q8_0"]), tuned, tmp_path / "gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_dies_is_an_error_in_one_line():
    with pytest.raises(InputError, match="x.gguf: llama.cpp ended its process"):
        in_child(os.abort, where="x.gguf")


def answered(chosen, logits):
    import numpy as np

    said = Completion("", "stop", 0, 0)
    return Answered(Chat("c", []), "", [], chosen, np.array(logits, np.float32), said)


def test_a_near_tie_is_within_the_tolerance_and_a_clear_choice_is_not():
    rows = [[1.0, 0.95, 0.0], [5.0, 1.0, 0.0]]
    near = compare_choices([answered([0, 0], rows)], [[1, 0]], str, tolerance=0.1)
    assert (near.first, near.same, near.same_answers) == (None, 1, 0)
    assert near.worst_gap == pytest.approx(0.05)
    far = compare_choices([answered([0, 0], rows)], [[0, 1]], str, tolerance=0.1)
    assert far.first.what.startswith("answer token 2 after …'0': transformers chooses '0', the file '1'")


def test_the_first_difference_is_shown_with_its_surroundings():
    what = first_text_difference("one two three", "one two  three", side="X")
    assert (
        what
        == "the prompts differ from character 9 on: training has …'one two three'…, X has …'one two  three'…"
    )
    assert first_text_difference("same", "same", side="X") == ""
    assert "begins the longer" in first_token_difference([1, 2], [1], str, side="X")


def test_chats_of_a_file_lose_their_last_answer(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"id": n, "messages": turns}) + "\n" for n in "abc"))
    chats = read_chats(tmp_path / "x.jsonl", limit=2)
    assert [(chat.name, [m["role"] for m in chat.messages]) for chat in chats] == [
        ("a", ["user"]),
        ("b", ["user"]),
    ]


def test_the_built_in_chats_cover_what_the_gate_promises():
    chats = built_in_chats(system="S")
    assert sum(chat.messages[0] == {"role": "system", "content": "S"} for chat in chats) == len(chats) / 2
    assert any(len(chat.messages) > 4 for chat in chats)
    assert any("```python" in chat.messages[-1]["content"] for chat in chats)
    assert any("日本語" in chat.messages[-1]["content"] for chat in chats)
