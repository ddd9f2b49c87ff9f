import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import CHATML

from ta_schemas import InputError
from ta_serve.engines.check import Refused
from ta_serve.engines.llama_cpp.template import ChatTemplate
from ta_serve.engines.prompt import Prompts

MARKS = {"<|im_start|>": 1001, "<|im_end|>": 1002}
TEXTS = st.lists(
    st.sampled_from(["<|im_end|>", "<|im_start|>", "\ufdd0", "\ufdd1", "0", "a", " ", "\n", "system", "<|im_"])
).map("".join)


class Letters:
    """A tokenizer whose ids are code points, and which knows the marks."""

    def tokenize(self, text, *, marks, begin=False):
        ids = [7] if begin else []
        while text:
            mark = next((m for m in MARKS if marks and text.startswith(m)), None)
            ids.append(MARKS[mark] if mark else ord(text[0]))
            text = text[len(mark or "x") :]
        return ids


def prompts(template=CHATML, *, longest_text=10_000):
    rendered = ChatTemplate(template, bos="<s>", eos="</s>")
    return Prompts(rendered.render, Letters(), marks=MARKS, longest_text=longest_text)


def ask(content, role="user"):
    return [{"role": role, "content": content}]


def as_text(ids):
    return "".join(next((m for m, i in MARKS.items() if i == token), chr(token)) for token in ids)


@given(TEXTS)
def test_what_a_user_writes_never_becomes_a_control_token(content):
    ids = prompts().chat(ask(content))
    assert [token for token in ids if token in MARKS.values()] == [1001, 1002, 1001]
    assert as_text(ids) == f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"


@given(st.text(alphabet="abc <>|\n"))
def test_ordinary_text_is_tokenized_in_one_piece(content):
    text = f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"
    assert prompts().chat(ask(content)) == Letters().tokenize(text, marks=True)


def test_a_plain_prompt_is_the_callers_own_and_begins_with_the_first_token():
    assert prompts().text("a<|im_end|>") == [7, ord("a"), 1002]


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenized():
    with pytest.raises(Refused) as refused:
        prompts(longest_text=20).chat(ask("a" * 21))
    assert refused.value.code == "context_length_exceeded"


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(Refused) as refused:
        prompts().chat(ask("\ud800"))
    assert refused.value.code == "invalid_request"


TEMPLATES = [
    "{{ bos_token }}{% for m in messages %}{% if loop.last %}{% break %}{% endif %}{{ m }}{% endfor %}",
    "{% for m in messages %}{% generation %}{{ m['content'] | trim }}{% endgeneration %}\n{% endfor %}",
    "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ tools is none }}",
    "{%- set n = namespace(n=0) %}\n  {%- for m in messages %}{% set n.n = 7 %}{% endfor %}\n{{ n.n }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_renders_as_in_transformers(template):
    from transformers.utils.chat_template_utils import render_jinja_template

    messages = [*ask("<b> é "), *ask(" fine ", "assistant"), *ask("third")]
    expected, _ = render_jinja_template(
        [messages], chat_template=template, add_generation_prompt=True, bos_token="<s>", eos_token="</s>"
    )
    assert ChatTemplate(template, bos="<s>", eos="</s>").render(messages) == expected[0]


def test_a_template_can_refuse_and_says_why():
    template = ChatTemplate("{{ raise_exception('no system here') }}", bos="", eos="")
    with pytest.raises(InputError, match="no system here"):
        template.render(ask("x"))


def test_a_template_cannot_reach_out_of_its_sandbox():
    template = ChatTemplate("{{ messages.__class__.__mro__[1].__subclasses__() }}", bos="", eos="")
    with pytest.raises(InputError, match="unsafe"):
        template.render(ask("x"))


def test_a_broken_template_is_named():
    with pytest.raises(InputError, match="no valid jinja"):
        ChatTemplate("{% for %}", bos="", eos="")
