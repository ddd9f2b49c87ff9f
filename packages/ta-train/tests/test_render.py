from pathlib import Path
from typing import Any

import pytest
from train_fixtures import CHATML, conversation, make_tokenizer, rows

from ta_schemas import InputError
from ta_schemas.rows import ConversationRow, Message
from ta_train.render import IGNORED, render, render_all


def load(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def trained_text(row: ConversationRow, tokenizer: Any) -> str:
    rendered = render(row, tokenizer)
    return str(tokenizer.decode([label for label in rendered.labels if label != IGNORED]))


def test_exactly_the_answer_and_its_stop_token_are_trained(base_model: Path) -> None:
    row = conversation("ls", 0)
    assert trained_text(row, load(base_model)) == row.messages[-1].content + "<|im_end|>"


def test_every_assistant_turn_of_a_conversation_is_trained(base_model: Path) -> None:
    row = conversation("ls", 0)
    row.messages += [Message(role="user", content="And cp?"), Message(role="assistant", content="cp a b")]
    expected = f"{row.messages[2].content}<|im_end|>cp a b<|im_end|>"
    assert trained_text(row, load(base_model)) == expected


def test_the_untrained_prefix_is_the_prompt_of_inference(base_model: Path) -> None:
    tokenizer = load(base_model)
    row = conversation("ls", 0)
    rendered = render(row, tokenizer)
    messages = [{"role": m.role, "content": m.content} for m in row.messages[:-1]]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert rendered.input_ids[: len(prompt)] == prompt
    assert rendered.labels[: len(prompt)] == [IGNORED] * len(prompt)
    assert rendered.labels[len(prompt)] != IGNORED


def test_a_row_longer_than_max_length_is_refused_with_its_source(base_model: Path) -> None:
    with pytest.raises(InputError, match=r"tools.md:1: \d+ tokens, max_length is 20"):
        render_all([conversation("ls", 0)], load(base_model), max_length=20)


def test_rows_without_an_answer_are_refused(base_model: Path) -> None:
    row = ConversationRow(id="a", messages=[Message(role="user", content="hello")])
    with pytest.raises(InputError, match="0 of"):
        render_all([row], load(base_model), max_length=100)


def test_a_single_row_without_an_answer_is_refused(base_model: Path) -> None:
    row = ConversationRow(id="lonely", messages=[Message(role="user", content="hello")])
    with pytest.raises(InputError, match="lonely: no token of this row"):
        render_all([conversation("ls", 0), row], load(base_model), max_length=100)


def test_training_on_everything_is_refused(tmp_path: Path) -> None:
    template = (
        "{% for message in messages %}"
        "{% if message['role'] == 'assistant' %}{{ message['content'] }}{% endif %}{% endfor %}"
    )
    make_tokenizer(tmp_path, template=template)
    with pytest.raises(InputError, match="all .* tokens would be trained"):
        render_all(rows(), load(tmp_path), max_length=100)


def test_a_stop_token_that_is_never_trained_is_refused(tmp_path: Path) -> None:
    make_tokenizer(tmp_path, eos="<|pad|>")
    with pytest.raises(InputError, match="stop token '<|pad|>' is never trained"):
        render_all(rows(), load(tmp_path), max_length=100)


def test_a_template_that_rewrites_earlier_turns_is_refused(tmp_path: Path) -> None:
    make_tokenizer(tmp_path, template="{{ messages | length }}" + CHATML)
    with pytest.raises(InputError, match="rewrites earlier turns"):
        render_all(rows(), load(tmp_path), max_length=100)


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    make_tokenizer(tmp_path, template="")
    with pytest.raises(InputError, match="no chat template"):
        render_all(rows(), load(tmp_path), max_length=100)
