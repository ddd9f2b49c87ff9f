"""Recall of retrieval on a domain: `python benchmarks/retrieval.py data/linux-cli`.

Searched are the sections of the knowledge base without their example questions, asked are the questions of the
benchmark, which somebody else worded. A hit is right when its section is of the question's group (the tool).
"""

import json
import re
import sys
import time
from pathlib import Path

from ta_serve.retrieve.documents import read_documents
from ta_serve.retrieve.index import Index


def without_questions(text: str) -> str:
    """A section without its `### Questions` and `### Values`."""
    parts = re.split(r"(?m)^(?=### )", text)
    return "".join(part for part in parts if not part.startswith(("### Questions", "### Values")))


def main(domain: Path) -> None:
    """Print recall at 1, 3 and 5."""
    documents = []
    groups = {}
    for document in read_documents(domain / "raw"):
        found = re.search(r"(?m)^- group: (\S+)", document.text)
        if found:
            groups[document.id] = found[1]
            documents.append(document._replace(text=without_questions(document.text)))
    started = time.perf_counter()
    index = Index(documents)
    built = time.perf_counter() - started
    rows = [json.loads(line) for line in (domain / "benchmark.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [row for row in rows if row.get("group") in set(groups.values())]
    started = time.perf_counter()
    hits = [index.search(row["messages"][-1]["content"], count=5) for row in asked]
    each = (time.perf_counter() - started) / len(asked)
    print(f"{len(documents)} sections, indexed in {built:.2f} s")
    print(f"{len(asked)} questions, {each * 1000:.1f} ms each")
    for count in (1, 3, 5):
        right = sum(
            any(groups[hit.document.id] == row["group"] for hit in found[:count])
            for row, found in zip(asked, hits, strict=True)
        )
        print(f"recall@{count}: {right / len(asked):.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
