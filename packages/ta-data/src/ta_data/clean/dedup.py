"""`ta-data dedup`: drop near-duplicates, on prompt and answer separately; keep what differs in a key."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ta_data.clean.keys import row_keys
from ta_data.clean.near import Texts
from ta_data.clean.parts import parts
from ta_data.groups import digest, groups
from ta_data.pipe import Left, Object, Out, Rows

Side = Literal["both", "prompt", "answer", "text"]


class DedupConfig(BaseModel):
    """What counts as a near-duplicate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(default=0.8, gt=0, le=1, description="Jaccard of word 3-grams")
    on: Side = Field(
        default="both",
        description="both: prompt and answer must each resemble the same earlier row's; text: taken together",
    )
    keep_keys: bool = Field(default=True, description="keep rows whose numbers, code or names differ")
    key_fields: tuple[str, ...] = Field(default=(), description="fields that must agree too, such as group")


def dedup(
    config: DedupConfig, source: Path, out: Path | None, *, dropped: Path | None = None
) -> dict[str, Any]:
    """Write the rows that are kept, in order; give the summary. An earlier row is kept, the later one dropped.

    The summary counts rows by outcome, and prompts that have several answers, which are kept.
    """
    with Rows(source) as rows:
        return _dedup(config, rows, out, dropped)


def _dedup(config: DedupConfig, rows: Rows, out: Path | None, dropped: Path | None) -> dict[str, Any]:
    texts = Texts(fields=2 if config.on == "both" else 1, threshold=config.threshold)
    for _, row in rows:
        texts.add(fields_of(row, config.on))

    spared = 0

    def allowed(i: int, j: int) -> bool:
        nonlocal spared
        mine, other = (row_keys(rows[k].row, config.key_fields, texts=config.keep_keys) for k in (i, j))
        spared += mine != other
        return mine == other

    check = allowed if config.keep_keys or config.key_fields else None
    near = {n.row: n for n in texts.duplicates(check)}
    asked, said = array("Q"), array("Q")
    with Out(out) as kept, Left(dropped) as left:
        for bad in rows.bad:
            left.bad(bad)
        for i, placed in enumerate(rows):
            found = near.get(i)
            if found is None:
                kept.write(placed.row)
                prompt, answer = parts(placed.row)
                asked.append(digest(prompt) if prompt else 0)
                said.append(digest(answer))
                continue
            other = rows[found.of]
            same = fields_of(placed.row, config.on) == fields_of(other.row, config.on)
            name = str(other.row.get("id") or other.where)
            left.row(
                placed,
                "exact duplicate" if same else "near-duplicate",
                f"resembles {name}",
                of=name,
                similarity=[round(s, 4) for s in found.similarity],
            )
    return {
        **left.summary(len(rows) + len(rows.bad)),
        "pairs_kept_for_a_key": spared,
        "prompts_with_several_answers": sum(len({said[i] for i in same}) > 1 for same in groups(asked)),
        "config": config.model_dump(),
    }


def fields_of(row: Object, on: Side) -> Sequence[str]:
    """The texts that are compared."""
    prompt, answer = parts(row)
    if on == "both":
        return (prompt, answer)
    return ({"prompt": prompt, "answer": answer, "text": f"{prompt}\n{answer}"}[on],)
