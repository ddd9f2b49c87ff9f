"""Lineage and model card: what each artifact was made from, whether it is untouched, and what the card says."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from ta_schemas import Artifact, ArtifactError
from ta_schemas.manifest import MANIFEST_NAME
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.markdown import rendered
from tunedassist_gradio_demo.look.parts import Html, chip, heading, joined, notice, text
from tunedassist_gradio_demo.tabs import OnOpen


class Node(NamedTuple):
    """An artifact of the run, or a parent that is named but not there."""

    kind: str
    path: str
    digest: str
    parents: tuple[str, ...]
    wrong: str = ""
    """Why it was refused."""
    made: str = ""


def read_nodes(run: Path) -> list[Node]:
    """Every artifact below the run, each file hashed, and the parents they name."""
    nodes: dict[str, Node] = {}
    named: dict[str, str] = {}
    for file in sorted(run.rglob(MANIFEST_NAME)):
        try:
            artifact = Artifact.open(file.parent, verify=False)
        except ArtifactError as error:
            nodes[str(file.parent)] = Node("?", str(file.parent.relative_to(run)), "", (), str(error))
            continue
        manifest = artifact.manifest
        wrong = ""
        try:
            artifact.verify()
        except ArtifactError as error:
            wrong = str(error)
        parents = tuple(parent.digest for parent in manifest.parents)
        named |= {parent.digest: parent.kind for parent in manifest.parents}
        made = f"{manifest.created_at:%Y-%m-%d %H:%M} by {manifest.producer}"
        path = str(artifact.path.relative_to(run))
        nodes[artifact.digest] = Node(manifest.kind, path, artifact.digest, parents, wrong, made)
    outside = [Node(kind, "elsewhere", digest, ()) for digest, kind in named.items() if digest not in nodes]
    return [*outside, *nodes.values()]


def tree(nodes: Sequence[Node]) -> Html:
    """From the sources down: what was made from what. An artifact of two parents stands in full below the
    first, and is named below the second."""
    known = {node.digest for node in nodes if node.digest}
    tops = [node for node in nodes if not set(node.parents) & known]
    told: set[str] = set()
    return Html(f'<ul class="tree">{"".join(_branch(node, nodes, told) for node in tops)}</ul>')


def _branch(node: Node, nodes: Sequence[Node], told: set[str]) -> str:
    if node.digest in told:
        return f'<li class="quiet"><b>{text(node.kind)}</b> <code>{text(node.path)}</code>, as above</li>'
    told |= {node.digest} - {""}
    children = [other for other in nodes if node.digest and node.digest in other.parents]
    below = "".join(_branch(child, nodes, told) for child in children)
    seal = (
        chip("block", "refused") if node.wrong
        else chip("allow", "untouched") if node.made
        else '<span class="tag">not in this run</span>'
    )  # fmt: skip
    said = f'<p class="notice error">{text(node.wrong)}</p>' if node.wrong else ""
    detail = f'<span class="quiet">{text(node.digest[:19])} {text(node.made)}</span>'
    inner = f"<ul>{below}</ul>" if below else ""
    return f"<li><b>{text(node.kind)}</b> <code>{text(node.path)}</code> {seal} {detail}{said}{inner}</li>"


def lineage(demo: Demo) -> Html:
    """The tree of the run."""
    nodes = read_nodes(demo.run) if demo.run.is_dir() else []
    if not nodes:
        return notice(f"Nothing in {demo.run} yet. Make it with:", todo="just train")
    broken = sum(bool(node.wrong) for node in nodes)
    verdict = (
        notice(f"{broken} artifacts were changed after they were sealed.", kind="error")
        if broken
        else notice("Every file is as it was sealed.", kind="good")
    )
    return joined(verdict, tree(nodes))


def card(demo: Demo) -> Html:
    """The model card of the newest release; before there is one, the card of the data."""
    released = sorted(demo.run.glob("releases/*/README.md"), key=lambda file: file.stat().st_mtime)
    for file in (*reversed(released), demo.run / "dataset" / "README.md"):
        if file.is_file():
            body = file.read_text(encoding="utf-8")
            shown = Html(f'<article class="card paper">{rendered(_without_front_matter(body))}</article>')
            if released:
                return shown
            missing = notice(
                "No release of this run yet: below is the card of the data. The model card comes with:",
                todo=f"tunedassist release {demo.name}",
            )
            return joined(missing, shown)
    return notice(f"No card in {demo.run} yet.", todo="just train")


def _without_front_matter(body: str) -> str:
    if not body.startswith("---\n"):
        return body
    return body.partition("\n---\n")[2] or body


def build(demo: Demo) -> OnOpen:
    """The tab."""
    gr.HTML(heading("Lineage and card", "From the documents to the file that is served; every seal checked."))
    shown = gr.HTML(elem_id="lineage")
    gr.HTML("<h3>Card</h3>")
    read = gr.HTML(elem_id="card")
    return [(lambda: lineage(demo), shown), (lambda: card(demo), read)]
