"""The Modelfile and its TEMPLATE: learnt from the Jinja template, rendered as Ollama renders."""

import pytest
from chat_templates import CHATML, LLAMA3, PHI3, SYSTEM_IN_USER, WITH_BOS
from hypothesis import given, settings
from hypothesis import strategies as st

from ta_schemas import InputError
from ta_serve.engines.llama_cpp.template import ChatTemplate
from ta_serve.export.ollama.blocks import find_blocks
from ta_serve.export.ollama.go_template import render_go
from ta_serve.export.ollama.modelfile import Modelfile, parse_modelfile, write_modelfile

TEMPLATES = {"chatml": CHATML, "bos": WITH_BOS, "llama3": LLAMA3, "phi3": PHI3}


def jinja(source):
    opened = ChatTemplate(source, bos="<s>", eos="</s>")
    closed = ChatTemplate("{% set add_generation_prompt = false %}" + source, bos="<s>", eos="</s>")
    return lambda messages, opening=True: (opened if opening else closed).render(messages)


contents = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
conversations = st.tuples(st.booleans(), st.integers(0, 3), st.lists(contents, min_size=8, max_size=8))


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=40, deadline=None)
@given(drawn=conversations)
def test_the_go_template_renders_as_the_jinja_template(name, drawn):
    render = jinja(TEMPLATES[name])
    template = find_blocks(render, bos="<s>").go_template()
    with_system, turns, texts = drawn
    roles = ["user", *["assistant", "user"] * turns]
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    if with_system and texts[-1]:  # Ollama cannot tell an empty system prompt from none
        messages.insert(0, {"role": "system", "content": texts[-1]})
    assert render_go(template, messages) == render(messages)


def test_a_first_token_that_the_tokenizer_adds_is_left_to_it():
    question = [{"role": "user", "content": "Hi"}]
    blocks = find_blocks(jinja(WITH_BOS), bos="<s>", tokenizer_adds_bos=True)
    assert "<s>" + render_go(blocks.go_template(), question) == jinja(WITH_BOS)(question)


def test_the_default_system_prompt_is_in_the_template():
    assert "You are tiny." in find_blocks(jinja(CHATML)).no_system


def test_a_template_that_is_no_sequence_of_blocks_is_refused():
    with pytest.raises(InputError):
        find_blocks(jinja(SYSTEM_IN_USER))


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("a {{- .System }} b", "aS b"),
        ("a {{ .System -}} b", "a Sb"),
        ('{{ if eq .System "S" }}yes{{ else }}no{{ end }}', "yes"),
        ('{{ if ne .System "S" }}yes{{ else }}no{{ end }}', "no"),
        ('{{ "{{" }}', "{{"),
        ("{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}", "system=S;user=one\n\ntwo;"),
    ],
)
def test_the_renderer_follows_go(template, rendered):
    messages = [{"role": "system", "content": "S"}]
    messages += [{"role": "user", "content": text} for text in ("one", "two")]
    assert render_go(template, messages) == rendered


@pytest.mark.parametrize(
    "template", ["{{ .Tools }}", "{{ if .System }}x", "{{ end }}", "x {{ .System", "{{ len .System }}"]
)
def test_what_is_beyond_the_subset_is_refused(template):
    with pytest.raises(InputError, match="TEMPLATE"):
        render_go(template, [{"role": "user", "content": "x"}])


MODELFILE = Modelfile(
    source="./m.gguf",
    template="{{ .System }}\n  keep \n",
    system='Say "hi" at once.',
    stop=("<|im_end|>", "</s>"),
    num_ctx=2048,
    temperature=0.5,
    licence="apache-2.0",
)


def test_a_modelfile_is_read_as_it_was_written(tmp_path):
    write_modelfile(MODELFILE, tmp_path / "Modelfile")
    assert parse_modelfile((tmp_path / "Modelfile").read_text()) == MODELFILE


def test_a_modelfile_says_what_ollama_reads():
    lines = MODELFILE.text().splitlines()
    assert lines[0] == "FROM ./m.gguf"
    assert 'SYSTEM """Say "hi" at once."""' in lines
    assert {"PARAMETER num_ctx 2048", 'PARAMETER stop "<|im_end|>"', 'LICENSE """apache-2.0"""'} <= set(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FRM x\n", "Modelfile:1: expected one of FROM"),
        ('FROM x\nTEMPLATE """open\n', "Modelfile:2: TEMPLATE: .* is not closed"),
        ("PARAMETER stop x\n", "no FROM"),
        ("FROM x\nPARAMETER num_ctx many\n", "num_ctx 'many'"),
        ("FROM x\nPARAMETER stop\n", "PARAMETER stop: no value"),
    ],
)
def test_a_broken_modelfile_is_refused_with_its_line(text, message):
    with pytest.raises(InputError, match=message):
        parse_modelfile(text)


def test_a_text_that_a_modelfile_cannot_hold_is_refused():
    with pytest.raises(InputError, match="cannot hold"):
        Modelfile("./m.gguf", 'ends with "').text()
