"""An item of a benchmark: a question, and what its scorer needs."""

from typing import Any

import msgspec

from ta_schemas.rows import BenchmarkRow


class Item(BenchmarkRow, kw_only=True, omit_defaults=True):
    """A row of `benchmark.jsonl` with the fields of every scorer; each scorer reads its own."""

    scorer: str  # type: ignore[assignment,unused-ignore]
    """A name of ours, or `my_module:function` for a scorer of your own."""
    setup: str = ""
    """Shell text that makes the files of `command_execution`; empty: a small sample home directory."""
    tolerance: float = 0.0
    """How far off `numeric` may be, in the reference's unit."""
    relative_tolerance: float = 0.0
    """How far off `numeric` may be, as a share of the reference: 0.01 is 1 %."""
    schema: dict[str, Any] = msgspec.field(default_factory=dict)
    """JSON Schema (draft 7) of `json_schema`."""
    threshold: float = 0.0
    """From which value on a graded score (`token_f1`, `chrf`, `rouge_l`) is 1, below it 0; 0: as it is."""
