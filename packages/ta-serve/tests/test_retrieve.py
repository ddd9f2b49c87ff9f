"""Passages: cutting, searching, grounding, citing."""

import json

import pytest

from ta_schemas import ArtifactWriter, InputError
from ta_serve.retrieve.documents import read_documents
from ta_serve.retrieve.ground import MOST_CHARACTERS, ground, grounded
from ta_serve.retrieve.index import Index

TEXT = """# Archives

Packing files.

## Pack with zstd

### Questions

- How?

```bash
# not a heading
tar --zstd -cf x.tar.zst x
```

## List an archive

Use -t to see the names.
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "archives.md").write_text(TEXT)
    (tmp_path / "note.txt").write_text("The mail server is beech.\n\nThe web server is oak.\n")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_markdown_is_cut_at_headings_and_text_at_empty_lines(folder):
    found = {document.place: document.text.splitlines()[0] for document in read_documents(folder)}
    assert found == {
        "archives.md:1-4": "# Archives",
        "archives.md:5-15": "## Pack with zstd",
        "archives.md:16-18": "## List an archive",
        "note.txt:1-1": "The mail server is beech.",
        "note.txt:3-3": "The web server is oak.",
    }


def test_a_place_holds_the_lines_that_it_names(folder):
    for document in read_documents(folder):
        lines = (folder / document.source).read_text().splitlines()
        assert document.text == "\n".join(lines[document.first_line - 1 : document.last_line]).strip()


def test_rows_of_a_corpus_artifact_keep_their_span(tmp_path):
    row = {"id": "d1", "text": "oak and beech", "source": "trees.md", "span": [4, 9]}
    with ArtifactWriter(tmp_path / "corpus", kind="corpus", producer="test") as writer:
        (writer.path / "documents.jsonl").write_text(json.dumps(row) + "\n")
    (document,) = read_documents(tmp_path / "corpus")
    assert (document.id, document.place) == ("d1", "trees.md:4-9")


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_search_is_an_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name):
        read_documents(tmp_path / name)


def test_the_passage_with_the_words_comes_first(folder):
    index = Index.open(folder)
    assert index.search("which server is oak?")[0].document.place == "note.txt:3-3"
    assert index.search("tar --zstd")[0].document.place == "archives.md:5-15"


def test_an_option_is_a_word(folder):
    (hit,) = Index.open(folder).search("-t", count=1)
    assert hit.document.place == "archives.md:16-18"


def test_what_shares_no_word_is_no_hit(folder):
    assert Index.open(folder).search("xylophone") == []
    assert Index.open(folder).search("?!") == []


def test_count_bounds_the_hits(folder):
    assert [len(Index.open(folder).search("the server", count=count)) for count in (1, 2, 99)] == [1, 2, 3]


def test_passages_go_into_the_system_prompt_and_come_back_as_citations(folder):
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Which server is oak?"}]
    found = ground(Index.open(folder), messages, count=1)
    assert [m["role"] for m in found.messages] == ["system", "user"]
    assert found.messages[0]["content"].startswith("S\n\n")
    assert "[1] The web server is oak." in found.messages[0]["content"]
    (citation,) = found.citations("The web server [1].")
    assert (citation["source"], citation["span"], citation["named"]) == ("note.txt", [3, 3], True)
    assert found.citations("I do not know.")[0]["named"] is False


def test_without_a_hit_the_conversation_stays_as_it_is(folder):
    messages = [{"role": "user", "content": "xylophone"}]
    assert ground(Index.open(folder), messages).messages == messages


def test_a_grounded_answer_ends_with_its_sources(folder):
    seen = []

    def answer(messages):
        seen.append(messages)
        yield "Oak."

    text = "".join(grounded(answer, Index.open(folder), count=1)([{"role": "user", "content": "web server?"}]))
    assert text == "Oak.\n\nSources: [1] note.txt:3-3"
    assert seen[0][0]["role"] == "system"


def test_earlier_sources_are_not_shown_to_the_model(folder):
    seen = []

    def answer(messages):
        seen.append(messages)
        yield "Beech."

    turns = [
        ("user", "web server?"),
        ("assistant", "Oak.\n\nSources: [1] note.txt:3-3"),
        ("user", "mail server?"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    list(grounded(answer, Index.open(folder), count=1)(messages))
    assert [m["content"] for m in seen[0][1:]] == ["web server?", "Oak.", "mail server?"]


def test_passages_are_cut_at_a_line_where_they_would_fill_the_context(tmp_path):
    (tmp_path / "long.md").write_text("\n".join(["## Oak", *("oak leaf" for _ in range(2000))]))
    (tmp_path / "short.md").write_text("## Oak\noak\n")
    found = ground(Index.open(tmp_path), [{"role": "user", "content": "oak leaf"}])
    assert len(found.hits[0].document.text) <= MOST_CHARACTERS
    whole = (tmp_path / "long.md").read_text().splitlines()
    _, last = found.citations("")[0]["span"]
    assert found.hits[0].document.text == "\n".join(whole[:last])
    assert sum(len(hit.document.text) for hit in found.hits) <= MOST_CHARACTERS
