"""The lineage as an SVG picture: documents at the left, the artifact asked for at the right."""

from html import escape
from typing import NamedTuple

from tunedassist_cli.lineage.graph import Lineage, Node

WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 190, 52, 70, 18, 20
FILLS = {
    "document": "#f1f3f5", "corpus": "#e7f5ff", "dataset": "#d0ebff", "preferences": "#d0ebff",
    "model": "#fff3bf", "adapter": "#ffe8cc", "gguf": "#ffd8a8", "predictions": "#e5dbff",
    "eval-report": "#d0bfff", "safety-report": "#ffdeeb", "feedback": "#d3f9d8", "release": "#b2f2bb",
}  # fmt: skip
EDGES = {"tampered": "#e03131", "changed": "#f08c00", "not here": "#adb5bd"}


class Box(NamedTuple):
    """A node at its place, in pixels."""

    node: Node
    x: float
    y: float


def draw(lineage: Lineage) -> str:
    """SVG that needs no other file. The documents of a dataset are one box with their number."""
    grouped = _with_grouped_documents(lineage)
    depths = _depths(grouped)
    columns: dict[int, list[str]] = {}
    for key, depth in depths.items():
        columns.setdefault(depth, []).append(key)
    deepest, tallest = max(columns), max(len(keys) for keys in columns.values())
    width = 2 * MARGIN + (deepest + 1) * WIDTH + deepest * ACROSS
    height = 2 * MARGIN + tallest * HEIGHT + (tallest - 1) * DOWN
    boxes = {}
    for depth, keys in columns.items():
        column = len(keys) * HEIGHT + (len(keys) - 1) * DOWN
        for at, key in enumerate(keys):
            x = MARGIN + (deepest - depth) * (WIDTH + ACROSS)
            boxes[key] = Box(grouped.nodes[key], x, (height - column) / 2 + at * (HEIGHT + DOWN))
    arrows = [
        _arrow(boxes[parent], boxes[child])
        for child, parents in grouped.parents.items()
        for parent in parents
        if child in boxes
    ]
    body = "".join(arrows) + "".join(_box(box) for box in boxes.values())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:g}" '
        f'viewBox="0 0 {width} {height:g}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{body}</svg>\n'
    )


def _with_grouped_documents(lineage: Lineage) -> Lineage:
    nodes = {key: node for key, node in lineage.nodes.items() if node.kind != "document"}
    parents = {}
    for child, above in lineage.parents.items():
        documents = [lineage.nodes[key] for key in above if lineage.nodes[key].kind == "document"]
        parents[child] = [key for key in above if key in nodes]
        if documents:
            changed = sum(node.state == "changed" for node in documents)
            key, name = f"{child}/documents", f"{len(documents)} document{'s' if len(documents) > 1 else ''}"
            state = "changed" if changed else documents[0].state
            nodes[key] = Node(key, "document", f"{name}, {changed} changed" if changed else name, state)
            parents[child].append(key)
    return Lineage(nodes, parents)


def _depths(lineage: Lineage) -> dict[str, int]:
    """Longest way from the artifact asked for, so that every arrow points to the right."""
    depths: dict[str, int] = {}

    def settle(key: str, depth: int) -> None:
        if depths.get(key, -1) < depth:
            depths[key] = depth
            for parent in lineage.parents.get(key, []):
                settle(parent, depth + 1)

    settle(next(iter(lineage.nodes)), 0)
    return depths


def _arrow(parent: Box, child: Box) -> str:
    x1, y1, x2, y2 = parent.x + WIDTH, parent.y + HEIGHT / 2, child.x, child.y + HEIGHT / 2
    bend = (x1 + x2) / 2
    return (
        f'<path d="M{x1:g},{y1:g} C{bend:g},{y1:g} {bend:g},{y2:g} {x2 - 5:g},{y2:g}" fill="none" '
        'stroke="#868e96"/>'
        f'<path d="M{x2:g},{y2:g} l-7,-4 v8 z" fill="#868e96"/>'
    )


def _box(box: Box) -> str:
    node, edge = box.node, EDGES.get(box.node.state, "#495057")
    dashed = ' stroke-dasharray="4 3"' if node.state == "not here" else ""
    short = "" if node.kind == "document" else node.key.removeprefix("sha256:")[:12]
    told = "" if node.state in ("as sealed", "as read") else f" ({node.state})"
    name = node.name if len(node.name) <= 26 else f"{node.name[:25]}…"
    return (
        f"<g><title>{escape(node.problem or node.made or node.name)}</title>"
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{FILLS.get(node.kind, "#f1f3f5")}" stroke="{edge}" stroke-width="{2 if told else 1}"{dashed}/>'
        f'<text x="{box.x + 10:g}" y="{box.y + 21:g}" font-weight="bold">{escape(node.kind + told)}</text>'
        f'<text x="{box.x + 10:g}" y="{box.y + 39:g}">{escape(name)}</text>'
        f'<text x="{box.x + WIDTH - 10:g}" y="{box.y + 21:g}" text-anchor="end" fill="#868e96" font-size="10">'
        f"{escape(short)}</text></g>"
    )
