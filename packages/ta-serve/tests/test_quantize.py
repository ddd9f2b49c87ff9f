"""Quantizing in process: types, what fell back, refusals; and the study over several types."""

import json

import pytest
from export_fixtures import make_family

from ta_schemas import InputError, SetupError
from ta_serve.export.histogram import tensors_of
from ta_serve.export.model_gguf import write_model_gguf
from ta_serve.export.quantize import kinds, quantize
from ta_serve.export.source import open_source
from ta_serve.quant_study.measure import Measured, Quality, Speed
from ta_serve.quant_study.plot import scatter
from ta_serve.quant_study.study import Row, recommend, study

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")


def as_gguf(folder):
    source = open_source(folder)
    file = folder / "model-F16.gguf"
    write_model_gguf(source.weights, source.config, source.vocabulary, file, name="tiny")
    return file


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A tiny model in F16; do not write to it."""
    return as_gguf(make_family("smollm2", tmp_path_factory.mktemp("quantize") / "smollm2"))


def test_every_matrix_becomes_the_type_asked_for(half, tmp_path):
    tensors = quantize(half, tmp_path / "out.gguf", "Q8_0")
    assert tensors.types == tensors_of(tmp_path / "out.gguf").types
    assert set(tensors.types) == {"Q8_0", "F32"}
    assert not tensors.fell_back
    assert tensors.bits_per_weight < tensors_of(half).bits_per_weight


def test_rows_that_are_no_multiple_of_256_are_said_to_have_fallen_back(half, tmp_path):
    tensors = quantize(half, tmp_path / "out.gguf", "Q4_K_M")
    matrices = sum(count for name, count in tensors.types.items() if name != "F32")
    assert sum(tensors.fell_back.values()) == matrices
    assert "no multiple of 256" in tensors.lines()[1]


def test_the_case_of_a_type_does_not_matter(half, tmp_path):
    assert "Q4_0" in quantize(half, tmp_path / "out.gguf", "q4_0").types


def test_every_type_of_llama_cpp_has_a_name():
    assert {"F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_NL"} <= set(kinds())


def test_an_unknown_type_is_refused_with_the_known_ones(half, tmp_path):
    with pytest.raises(InputError, match="type 'Q9': llama.cpp has .*Q8_0"):
        quantize(half, tmp_path / "out.gguf", "Q9")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all"])
def test_what_is_no_gguf_is_refused(tmp_path, content):
    (tmp_path / "in.gguf").write_bytes(content)
    with pytest.raises(InputError, match="in.gguf: unreadable GGUF file"):
        quantize(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q8_0")


def test_a_truncated_file_is_refused_and_leaves_nothing(half, tmp_path):
    (tmp_path / "in.gguf").write_bytes(half.read_bytes()[:-5000])
    with pytest.raises(InputError, match="in.gguf"):
        quantize(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q8_0")
    assert [file.name for file in tmp_path.iterdir()] == ["in.gguf"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A tiny model whose rows are multiples of 256; do not write to it."""
    folder = tmp_path_factory.mktemp("wide") / "smollm2"
    return as_gguf(make_family("smollm2", folder, hidden_size=256, intermediate_size=256))


def test_rows_that_are_a_multiple_of_256_do_not_fall_back(wide, tmp_path):
    tensors = quantize(wide, tmp_path / "out.gguf", "Q4_K_M")
    assert {"Q4_K", "Q6_K"} <= set(tensors.types)
    assert not tensors.fell_back


def test_a_type_that_needs_an_importance_matrix_is_refused_with_llama_cpps_words(wide, tmp_path):
    with pytest.raises(InputError, match="cannot quantize it to IQ1_S: .*"):
        quantize(wide, tmp_path / "out.gguf", "IQ1_S")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_its_extra(half, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "llama_cpp.llama_cpp", None)
    with pytest.raises(SetupError, match=r"install ta-serve\[llama-cpp\]"):
        quantize(half, tmp_path / "out.gguf", "Q8_0")


@pytest.fixture
def texts(tmp_path):
    """Two conversations with answers."""
    turns = [
        {"role": "user", "content": "How do I list files?"},
        {"role": "assistant", "content": "Use ls -a."},
    ]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"id": str(n), "messages": turns}) + "\n" for n in range(2)))
    return file


@pytest.fixture
def here(monkeypatch):
    """llama.cpp in this process: a child imports for seconds."""
    monkeypatch.setattr("ta_serve.quant_study.study.in_child", lambda work, *arguments, where: work(*arguments))


def test_a_study_measures_every_type_against_f16_and_writes_it_down(half, texts, tmp_path, here):
    found = study(half, texts, tmp_path / "study", kinds=["Q8_0"], max_tokens=8)
    f16, q8 = found.rows
    assert (f16.kind, q8.kind) == ("F16", "Q8_0")
    assert f16.measured.quality.kl == 0.0 and f16.measured.quality.top1 == 1.0
    assert q8.measured.quality.kl > 0
    assert q8.size_bytes < f16.size_bytes
    assert {file.name for file in (tmp_path / "study").iterdir()} == {
        *("quant-study.json", "quant-study.md", "quant-study.svg")
    }
    assert found.recommended in (tmp_path / "study" / "quant-study.md").read_text()


def test_a_study_keeps_its_files_by_type_only_where_it_is_told_to(half, texts, tmp_path, here):
    found = study(half, texts, tmp_path / "plain", kinds=["Q8_0"], max_tokens=8)
    assert [row.as_json()["file"] for row in found.rows] == [None, None]
    assert not list((tmp_path / "plain").glob("*.gguf"))
    kept = tmp_path / "kept"
    found = study(half, texts, kept, kinds=["Q8_0"], max_tokens=8, keep=True)
    f16, q8 = (row.as_json() for row in found.rows)
    assert f16["file"] == str(half)
    assert q8["file"] == str(kept / f"{half.stem.removesuffix('-F16')}-Q8_0.gguf")
    assert (kept / q8["file"]).stat().st_size == q8["size_bytes"]


def test_texts_without_an_answer_are_refused(half, tmp_path, here):
    (tmp_path / "texts.jsonl").write_text('{"messages": [{"role": "user", "content": "x"}]}\n')
    with pytest.raises(InputError, match="no conversation that ends with an answer"):
        study(half, tmp_path / "texts.jsonl", tmp_path / "study", kinds=["Q8_0"])


def row(kind, *, kl, top1, rate):
    quality = Quality(perplexity=2.0, kl=kl, top1=top1, tokens=100)
    measured = Measured(quality, Speed(tokens_per_s=rate, first_token_s=0.1, prompt_tokens=9), 100.0)
    return Row(kind, 10, None, measured)


def test_the_fastest_type_as_good_as_f16_is_recommended_with_its_reason():
    rows = [
        row("F16", kl=0.0, top1=1.0, rate=10),
        row("Q8_0", kl=0.001, top1=0.99, rate=20),
        row("Q4_0", kl=0.4, top1=0.7, rate=30),
        row("Q6_K", kl=0.002, top1=0.9, rate=40),
    ]
    kind, reason = recommend(rows)
    assert kind == "Q8_0"
    assert "Q4_0 is faster but loses 0.400 nats" in reason


def test_a_plot_has_a_labelled_point_for_each_type():
    drawn = scatter([(10.0, 0.1, "Q4_0"), (20.0, 0.0, "A<B")], x="MiB", y="KL", title="T")
    assert drawn.count("<circle") == 2
    assert "A&lt;B" in drawn
