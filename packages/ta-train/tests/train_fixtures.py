"""Rows, tokenizer files and dataset artifacts for the tests of ta-train."""

import json
from pathlib import Path

from ta_schemas import ArtifactWriter, write_jsonl
from ta_schemas.rows import ConversationRow, Message

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TOOLS = ["ls", "cp", "mv", "rm", "du", "df", "cat", "tac", "sort", "uniq", "wc", "head"]


def conversation(tool: str, phrasing: int) -> ConversationRow:
    """A short conversation about one tool."""
    return ConversationRow(
        id=f"{tool}-{phrasing}",
        task=tool,
        group="files" if tool in TOOLS[:5] else tool,
        source=f"tools.md:{phrasing + 1}",
        messages=[
            Message(role="system", content="Answer with a command."),
            Message(role="user", content=f"How do I use {tool}, asked for the {phrasing + 1}. time?"),
            Message(role="assistant", content=f"Run it with a file.\n\n```bash\n{tool} file\n```"),
        ],
    )


def rows() -> list[ConversationRow]:
    """Three phrasings of a dozen tasks."""
    return [conversation(tool, phrasing) for tool in TOOLS for phrasing in range(3)]


def make_tokenizer(folder: Path, *, eos: str = "<|im_end|>", template: str = CHATML) -> None:
    """Train a byte-level BPE on the rows and write the tokenizer files."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    text = [message.content for row in rows() for message in row.messages]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos, "pad_token": "<|pad|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template:
        (folder / "chat_template.jinja").write_text(template)


def seal_dataset(out: Path, all_rows: list[ConversationRow]) -> None:
    """Seal rows as a dataset; the last two tasks validate."""
    config = {"system_prompt": "Answer with a command."}
    with ArtifactWriter(out, kind="dataset", producer="test 1", config=config) as writer:
        write_jsonl(writer.path / "train.jsonl", all_rows[:-6])
        write_jsonl(writer.path / "validation.jsonl", all_rows[-6:-3])
        write_jsonl(writer.path / "test.jsonl", all_rows[-3:])
