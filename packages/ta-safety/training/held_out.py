"""Write the cases that training never sees, for the benchmark, from the packages that hold them.

python packages/ta-safety/training/held_out.py --out held-out.jsonl
"""

import argparse
import json
from pathlib import Path

from packages_on_disk import bastion_cases, pyrit_templates


def main() -> None:
    """One {"text", "family", "label", "tier", "channel"} a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rows = [
        {"text": text, "family": f"pyrit-{part}", "label": "attack", "tier": "explicit", "channel": "user"}
        for part in ("top", "pliny")
        for text in pyrit_templates(part)
    ]
    rows += bastion_cases()
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{out}: {len(rows)} cases")


if __name__ == "__main__":
    main()
