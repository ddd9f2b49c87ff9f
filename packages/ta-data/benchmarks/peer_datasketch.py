"""datasketch, well set: batched updates, the band layout for a threshold of 0.8. Run by bench_data.py."""

import json
import re
import sys
from pathlib import Path

from datasketch import MinHash, MinHashLSH


def main(source: Path, out: Path) -> None:
    """Keep the first of each group of similar rows; write the numbers of the others."""
    index = MinHashLSH(threshold=0.8, num_perm=128)
    gone = []
    with source.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            row = json.loads(line)
            words = re.findall(r"\w+", f"{row['prompt']}\n{row['completion']}".lower())
            grams = {" ".join(words[i : i + 3]).encode() for i in range(max(1, len(words) - 2))}
            sketch = MinHash(num_perm=128)
            sketch.update_batch(list(grams))
            if index.query(sketch):
                gone.append(number)
            else:
                index.insert(str(number), sketch)
    out.write_text(json.dumps(gone))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
