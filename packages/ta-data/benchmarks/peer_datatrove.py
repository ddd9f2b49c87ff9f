"""datatrove's four MinHash steps on one local worker, with 3-grams and its own layout. Run by bench_data.py."""

import json
import sys
import tempfile
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig


def documents(source: Path):
    """The rows as datatrove has them."""
    with source.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            row = json.loads(line)
            yield Document(text=f"{row['prompt']}\n{row['completion']}", id=str(number))


def main(source: Path, out: Path) -> None:
    """Signatures, buckets, clusters, filter; write the numbers of the rows that go."""
    config = MinhashConfig(n_grams=3)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        step = MinhashDedupSignature(str(work / "sig"), config=config)
        step.run(documents(source), rank=0, world_size=1)
        for bucket in range(config.num_buckets):
            buckets = MinhashDedupBuckets(str(work / "sig"), str(work / "buckets"), config=config)
            buckets.run(None, rank=bucket, world_size=config.num_buckets)
        MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config).run(None, 0, 1)
        kept = {doc.id for doc in MinhashDedupFilter(str(work / "remove")).run(documents(source), 0, 1)}
    count = sum(1 for _ in documents(source))
    out.write_text(json.dumps([n for n in range(count) if str(n) not in kept]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
