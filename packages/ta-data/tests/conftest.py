"""Small real inputs: a knowledge base, chat files, a tokenizer."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from ta_data.cli import main

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of ours
settings.load_profile("untimed")

SECTION = """\
## Copy {n}

- task: cp-{n}
- group: cp

### Questions

- How do I copy {{src}} to {{dst}} in case {n}?
- copy {{src}} as {{dst}}, number {n}

### Values

| src | dst |
| --- | --- |
| photos | backup |
| notes.txt | /srv/share |

### Answer

`cp -a` keeps permissions and times.

```bash
cp -a {{src}} {{dst}} # {n}
```

### Follow-up

> Only what is newer, please.

Add `-u` to skip what is current.

```bash
cp -au {{src}} {{dst}} # {n}
```
"""


@pytest.fixture
def knowledge_base() -> str:
    """Twelve tasks of the group cp, two questions each."""
    return "# Files\n\n" + "\n".join(SECTION.format(n=n) for n in range(12))


@pytest.fixture
def domain(tmp_path: Path, knowledge_base: str) -> Path:
    """A domain folder with a knowledge base and a benchmark."""
    root = tmp_path / "shop"
    (root / "raw").mkdir(parents=True)
    (root / "raw" / "files.md").write_text(knowledge_base, encoding="utf-8")
    (root / "domain.yaml").write_text(
        "name: shop\ntitle: Copy shop\nsystem_prompt: Be brief.\nrefusal: I only copy.\n"
        "benchmark: bench.jsonl\nsources:\n  - path: raw\n    format: knowledge-base\n"
    )
    write_lines(root / "bench.jsonl", [bench_row("b1", "Delete the folder tmp.", ["rm -r tmp"])])
    return root


def bench_row(row_id: str, question: str, references: list[str]) -> dict[str, Any]:
    return {
        "id": row_id,
        "category": "files",
        "messages": [{"role": "user", "content": question}],
        "scorer": "command",
        "references": references,
    }


def write_lines(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        **more,
    }


class Make(NamedTuple):
    """Helpers that tests cannot import from here."""

    lines: Callable[[Path, list[Any]], Path]
    chat: Callable[..., dict[str, Any]]
    bench_row: Callable[[str, str, list[str]], dict[str, Any]]


@pytest.fixture
def make() -> Make:
    return Make(write_lines, chat, bench_row)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """Forty conversations of one turn."""
    rows = [chat(f"What is question {n}?", f"Answer {n}.", id=f"c{n}") for n in range(40)]
    return write_lines(tmp_path / "chats.jsonl", rows)


@pytest.fixture(scope="session")
def messy() -> Any:
    """The module `messy.py` beside this file."""
    spec = importlib.util.spec_from_file_location("messy", Path(__file__).with_name("messy.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def messy_folder(tmp_path_factory: pytest.TempPathFactory, messy: Any) -> Path:
    """A folder of forty files of all kinds. Never changed."""
    root = tmp_path_factory.mktemp("messy")
    messy.write_messy(root)
    return root


class Ran(NamedTuple):
    """What a command line left."""

    code: int
    out: str
    err: str


@pytest.fixture
def ta_data(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["ta-data", *(str(arg) for arg in args)])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        return Ran(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A folder with a tokenizer.json that makes every character one token."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.enable_truncation(3)
    folder = tmp_path / "model"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    return folder
