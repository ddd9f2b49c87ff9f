"""What the guard finds, what it wrongly stops, and what it costs: tables for the README.

python packages/ta-safety/benchmarks/bench_safety.py data/linux-cli
python packages/ta-safety/benchmarks/bench_safety.py data/linux-cli --ordinary tldr.jsonl \
    --attack held-out.jsonl --traffic questions.jsonl --benign chat.jsonl
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from injection_tables import print_cost, print_curve, print_families, score_file

from ta_safety.detectors.injection.detect import detect, threshold
from ta_safety.detectors.shell.answer import check_answer
from ta_safety.detectors.shell.check import check_command
from ta_safety.guard import Guard
from ta_safety.policy import load_domain
from ta_safety.stats import percent, percentile, wilson

ANSWER = "This lists the files.\n\n```bash\nls -l\n```"
TESTS = Path(__file__).parents[1] / "tests" / "data"


def read(file: Path) -> list[dict[str, str]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def timed(work: Iterable[Callable[[], object]]) -> tuple[float, float]:
    """p50 and p95 of CPU milliseconds."""
    times = []
    for job in work:
        began = time.process_time()
        job()
        times.append(1e3 * (time.process_time() - began))
    return percentile(times, 0.5), percentile(times, 0.95)


def shell_table(ordinary: list[Path]) -> None:
    """Recall by family, and ordinary commands that are flagged."""
    families: dict[str, list[bool]] = defaultdict(list)
    for row in read(TESTS / "destructive.jsonl"):
        families[row["family"]].append(check_command(row["command"]).level == row["level"])
    print("\n| destructive family | right level |\n| --- | ---: |")
    for family, right in families.items():
        print(f"| {family} | {sum(right)}/{len(right)} |")
    right = [ok for oks in families.values() for ok in oks]
    print(f"| all | {percent(wilson(sum(right), len(right)))} |")
    print("\n| ordinary commands | n | warned | blocked |\n| --- | ---: | ---: | ---: |")
    for file in [TESTS / "ordinary.jsonl", *ordinary]:
        levels = [check_command(row["command"]).level for row in read(file)]
        counts = [sum(level == kind for level in levels) for kind in ("warn", "block")]
        print(f"| {file.name} | {len(levels)} | {counts[0]} | {counts[1]} |")


def cost_table(guard: Guard, questions: list[str], answers: list[str]) -> None:
    """CPU milliseconds of detectors and gates; the same over 20 turns; messages a second with 16 threads."""
    print("\n| part | p50 ms | p95 ms |\n| --- | ---: | ---: |")
    parts: dict[str, list[Callable[[], object]]] = {
        "injection, a question": [lambda q=q: detect(q) for q in questions],  # type: ignore[misc]
        "shell, an answer": [lambda a=a: check_answer(a) for a in answers],  # type: ignore[misc]
        "input gate": [lambda q=q: guard.check_input(q) for q in questions],  # type: ignore[misc]
        "output gate": [lambda a=a: guard.check_output(a) for a in answers],  # type: ignore[misc]
    }
    for name, work in parts.items():
        work[0]()
        p50, p95 = timed(work)
        print(f"| {name} | {p50:.2f} | {p95:.2f} |")
    for turns in (1, 20):
        history = [
            m
            for i in range(turns)
            for m in ({"role": "user", "content": questions[i]}, {"role": "assistant", "content": "ok"})
        ][:-1]
        p50, p95 = timed([lambda h=history, a=a: guard.chat(lambda _: a, h) for a in answers[:100]])  # type: ignore[misc]
        print(f"| whole request, turn {turns} | {p50:.2f} | {p95:.2f} |")
    for name, ask in (("off", slow_model), ("on", lambda m: guard.chat(slow_model, m).text)):
        work = [[{"role": "user", "content": question}] for question in questions]
        began, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, work))
        speed = len(work) / (time.perf_counter() - began)
        each = 1e3 * (time.process_time() - used) / len(work)
        print(f"| 16 clients, a model of 20 ms, guard {name}: {speed:.0f} answers/s | {each:.2f} | |")


def slow_model(messages: Sequence[Mapping[str, str]]) -> str:
    """Answers after 20 ms, as a fast model would."""
    time.sleep(0.02)
    return ANSWER


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domain", type=Path)
    parser.add_argument(
        "--ordinary", type=Path, action="append", default=[], help='{"command"} a line, all harmless'
    )
    parser.add_argument(
        "--attack", type=Path, action="append", default=[], help='{"text", "family"?, "label"?} a line'
    )
    parser.add_argument(
        "--traffic", type=Path, action="append", default=[], help='{"text"} a line: more of the domain'
    )
    parser.add_argument(
        "--benign", type=Path, action="append", default=[], help='{"text", "channel"?} a line, all harmless'
    )
    options = parser.parse_args()
    domain = load_domain(options.domain)
    benchmark = read(options.domain / domain.benchmark)
    questions = [row["messages"][-1]["content"] for row in benchmark]  # type: ignore[index]
    answers = [
        f"This does it.\n\n```bash\n{command}\n```"
        for row in benchmark
        for command in row.get("references", [])
    ]
    shell_table(options.ordinary)
    traffic = [options.domain / name for name in domain.safety.harmless or [domain.benchmark]]
    texts = score_file(options.domain / (domain.injection or "injection.jsonl"), attack=True, tier="explicit")
    for files, attack, tier in (
        (options.attack, True, "explicit"),
        ([*traffic, *options.traffic], False, "domain"),
        (options.benign, False, "other"),
    ):
        texts += [text for file in files for text in score_file(file, attack=attack, tier=tier)]
    own = domain.safety.rails.get("injection")
    print_families(texts, own.threshold if own and own.threshold is not None else threshold("user"))
    print_curve(texts)
    print_cost(texts)
    cost_table(Guard(domain), questions, answers)


if __name__ == "__main__":
    main()
