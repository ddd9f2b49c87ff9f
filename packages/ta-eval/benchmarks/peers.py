"""The same 200 items through a peer, in the peer's own environment: peers.py NAME ITEMS URL.

Each is set up to cost as little as it can: no default tasks to index, no display, no log of samples.
"""

import json
import os
import sys
from pathlib import Path

NAME, ITEMS, URL = sys.argv[1:]
ROWS = [json.loads(line) for line in Path(ITEMS).read_text().splitlines()]
PAIRS = [(row["messages"][0]["content"], row["references"][0]) for row in ROWS]


def lm_eval() -> int:
    """Items scored by lm-eval, given as a task without files."""
    from datasets import Dataset
    from lm_eval import simple_evaluate
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

    rows = [{"question": question, "target": target} for question, target in PAIRS]
    task = ConfigurableTask(
        config={
            "task": "bench",
            "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{target}}",
            "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": 256},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    )
    found = simple_evaluate(
        model="local-chat-completions",
        model_args={
            "model": "stub",
            "base_url": f"{URL}/chat/completions",
            "num_concurrent": 8,
            "max_retries": 5,
            "eos_string": "</s>",
        },
        tasks=[task],
        task_manager=TaskManager(include_defaults=False),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    assert found["results"]["bench"]["exact_match,none"] == 1.0, found["results"]
    return len(found["samples"]["bench"])


def inspect_ai() -> int:
    """Items scored by inspect_ai."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import exact

    os.environ["STUB_API_KEY"], os.environ["STUB_BASE_URL"] = "none", URL
    dataset = MemoryDataset([Sample(input=question, target=target) for question, target in PAIRS])
    logs = eval(
        Task(dataset=dataset, scorer=exact()),
        model="openai-api/stub/stub",
        max_connections=8,
        max_tokens=256,
        display="none",
        log_samples=False,
        log_dir="inspect-logs",
    )
    return logs[0].results.completed_samples


scored = {"lm-eval": lm_eval, "inspect_ai": inspect_ai}[NAME]()
Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"scored": scored}))
