"""The dataset card: `README.md` with the front matter that the Hugging Face hub reads."""

from collections.abc import Mapping
from typing import Any

import yaml

from ta_schemas.rows import ConversationRow

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_card(config: Mapping[str, Any], stats: Mapping[str, Any], *, example: ConversationRow) -> str:
    """The card's text. It holds no time and no path of this machine, so equal data give an equal card."""
    parts = [
        _front_matter(config, stats),
        f"# {config['title'] or config['domain']}",
        _summary(config, stats),
        "## Splits",
        table(
            ["split", "conversations", "tasks", "groups", "with follow-ups"],
            [
                [name, n["rows"], n["tasks"], n["groups"], n["multi_turn"]]
                for name, n in [*stats["splits"].items(), ("all", stats["all"])]
            ],
        ),
        _how_split(config),
        "## Kinds",
        table(
            ["kind", "conversations", "share"],
            [[kind, n, _share(n, stats["all"]["rows"])] for kind, n in stats["all"]["kinds"].items()],
        ),
        "## Funnel",
        table(["step", "conversations"], funnel_rows(stats["funnel"])),
        "Every dropped row stands in `dropped.jsonl` with its reason and source.",
        f"## Length in {stats['lengths']['unit']}",
        table(
            ["", "p50", "p95", "max"],
            [
                [part, *(stats["lengths"][part][q] for q in ("p50", "p95", "max"))]
                for part in ("prompt", "answer", "total")
            ],
        ),
        _how_counted(stats["lengths"]),
        "## Example",
        _example(example),
        "## Sources",
        table(
            ["format", "files", "conversations"],
            [[s["format"], s["files"], s["rows"]] for s in stats["sources"]],
        ),
        "## Use and limits",
        _limits(config),
    ]
    return "\n\n".join(parts) + "\n"


def funnel_rows(funnel: Mapping[str, Any]) -> list[list[Any]]:
    """Input, each reason with its count, output: what goes in comes out or is named."""
    drops = [[f"dropped, {reason}", -n] for reason, n in funnel["drops"].items()]
    return [["read", funnel["input"]], *drops, ["kept", funnel["output"]]]


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _front_matter(config: Mapping[str, Any], stats: Mapping[str, Any]) -> str:
    rows = stats["all"]["rows"]
    files = [{"split": name, "path": f"{name}.jsonl"} for name, n in stats["splits"].items() if n["rows"]]
    fields: dict[str, Any] = {
        "pretty_name": config["title"] or config["domain"],
        "language": [config["language"]],
        "license": (config["license"] or "unknown").lower(),
        "task_categories": ["text-generation"],
        "size_categories": [next((name for size, name in SIZES if rows < size), "n>1M")],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _summary(config: Mapping[str, Any], stats: Mapping[str, Any]) -> str:
    n = stats["all"]
    text = f"{n['rows']} conversations"
    if n["tasks"]:
        text += f" on {n['tasks']} tasks in {n['groups']} groups"
    text += f", made by `ta-data {'build' if config['split']['by'] == 'cluster' else 'prepare'}`."
    if config["scope"]:
        text += f" Scope: {config['scope']}"
    if config["system_prompt"]:
        text += f"\n\nSystem prompt of every conversation that came without one:\n\n> {config['system_prompt']}"
    return text


def _how_split(config: Mapping[str, Any]) -> str:
    shares = config["split"]["shares"]
    how = {
        "task": "All paraphrases of a task are in one split; those of a group are spread over the splits.",
        "group": "A group is in one split as a whole: validation and test hold groups the model never saw.",
        "cluster": "Rows of one task, and rows whose questions resemble one another, are in one split.",
    }[config["split"]["by"]]
    parts = " / ".join(f"{shares[name] * 100:g}" for name in ("train", "validation", "test"))
    return f"{how} Shares {parts} %, seed {config['seed']}."


def _how_counted(lengths: Mapping[str, Any]) -> str:
    if lengths["unit"] == "words":
        return "Words, not tokens: no tokenizer was given. The texts alone, without chat template."
    return f"Tokens of the tokenizer `{lengths['tokenizer']}`. The texts alone, without chat template."


def _example(row: ConversationRow) -> str:
    said = "\n\n".join(f"{m.role}: {m.content}" for m in row.messages)
    return f"`{row.id}`\n\n" + "\n".join(f"    {line}".rstrip() for line in said.split("\n"))


def _limits(config: Mapping[str, Any]) -> str:
    lines = [
        "- Made for supervised fine-tuning of a chat model; the loss belongs on the assistant's turns only.",
        "- The answers were not run: a command that parses can still be wrong for a particular machine.",
    ]
    if config["benchmark"]:
        lines.append(
            "- Conversations that touch the held-out benchmark (equal question, eight words in a row, word "
            "Jaccard of 0.7 or more, equal command) were dropped."
        )
    else:
        lines.append("- There was no benchmark to compare with: contamination was not checked.")
    return "\n".join(lines)


def _share(n: int, total: int) -> str:
    return f"{100 * n / total:.1f} %"
