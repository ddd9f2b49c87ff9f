"""One training conversation as the model sees it, the trained tokens marked."""

from typing import Any

from rich.console import Console
from rich.text import Text

from ta_train.render import IGNORED, Rendered


def show_sample(rendered: Rendered, tokenizer: Any, console: Console) -> None:
    """Print the decoded sample; trained tokens are green and, without colours, between » and «."""
    text = Text()
    trained = False
    for token, label in zip(rendered.input_ids, rendered.labels, strict=True):
        now = label != IGNORED
        if now != trained:
            text.append("»" if now else "«", style="bold")
            trained = now
        text.append(tokenizer.decode([token]), style="green" if now else "dim")
    if trained:
        text.append("«", style="bold")
    count = sum(label != IGNORED for label in rendered.labels)
    console.rule(f"first training row, {count} of {len(rendered.labels)} tokens trained (»green«)")
    console.print(text)
    console.rule()
