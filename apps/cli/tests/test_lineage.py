import json
import xml.etree.ElementTree
from pathlib import Path

import pytest

from ta_schemas import Artifact
from tunedassist_cli.lineage.graph import trace
from tunedassist_cli.release.release import make_release

RUN, DOMAIN = Path("runs/tiny"), Path("data/tiny")


@pytest.fixture
def release(workplace):
    """A release of the run, and the document its dataset names."""
    (DOMAIN / "raw").mkdir()
    (DOMAIN / "raw" / "a.md").write_text("words\n")
    return make_release(RUN, DOMAIN).artifact.path


def kinds(found):
    return {node.kind for node in found["nodes"]}


def test_a_release_is_followed_to_its_documents(release, tunedassist):
    code, printed, told = tunedassist("lineage", release, "--json")
    assert code == 0, told
    found = json.loads(printed)
    nodes = {node["key"]: node for node in found["nodes"]}
    edges = {(nodes[child]["kind"], nodes[parent]["kind"]) for child, parent in found["made_from"]}
    assert {
        ("release", "gguf"),
        ("gguf", "adapter"),
        ("adapter", "dataset"),
        ("dataset", "document"),
        ("release", "eval-report"),
        ("eval-report", "predictions"),
        ("predictions", "gguf"),
        ("release", "safety-report"),
    } <= edges
    states = {(node["kind"], node["state"]) for node in found["nodes"]}
    assert ("document", "as read") in states
    assert ("model", "not here") in states, "the base model lies nowhere"
    assert found["tampered"] == []


def test_the_tree_prints_each_artifact_once_with_its_place(release, tunedassist):
    code, printed, told = tunedassist("lineage", release)
    assert code == 0, told
    assert printed.count("runs/tiny/adapter") == 1
    assert printed.count("see above") >= 2
    assert "document raw/a.md  as read" in printed


def test_a_changed_file_is_named_and_leaves_with_4(release, tunedassist):
    with (RUN / "adapter" / "adapter_model.safetensors").open("a") as file:
        file.write("x")
    code, printed, told = tunedassist("lineage", release)
    assert code == 4
    assert "adapter_model.safetensors" in told.splitlines()[-1]
    assert "tampered" in printed


def test_every_changed_artifact_is_listed(release, tunedassist):
    (RUN / "dataset" / "train.jsonl").write_text("other")
    (RUN / "safety-report" / "report.md").unlink()
    code, printed, told = tunedassist("lineage", release, "--json")
    assert code == 4
    problems = json.loads(printed)["tampered"]
    assert len(problems) == 2
    assert any("train.jsonl" in one for one in problems) and any("report.md" in one for one in problems)
    assert "(and 1 more)" in told


def test_a_changed_document_is_named(release, tunedassist):
    (DOMAIN / "raw" / "a.md").write_text("other words\n")
    code, printed, told = tunedassist("lineage", release)
    assert code == 0, told
    assert "raw/a.md: not what dataset" in printed


def test_the_domain_can_be_elsewhere(release, tunedassist):
    DOMAIN.rename("mine")
    printed = tunedassist("lineage", release)[1]
    assert "raw/a.md  not here" in printed
    printed = tunedassist("lineage", release, "--domain", "mine")[1]
    assert "raw/a.md  as read" in printed


def test_what_was_made_anew_in_a_parents_place_is_said(workplace, tunedassist):
    import shutil

    old = Artifact.open(RUN / "dataset").digest
    shutil.copytree(RUN / "dataset", "kept")
    (RUN / "dataset" / "train.jsonl").write_text("another dataset\n")
    from ta_schemas import ArtifactWriter

    shutil.rmtree(RUN / "dataset")
    with ArtifactWriter(RUN / "dataset", kind="dataset", producer="me 1") as writer:
        (writer.path / "train.jsonl").write_text("another\n")
    found = trace(RUN / "adapter", within=Path("runs"))
    node = found.nodes[old]
    assert node.state == "not here"
    assert "runs/tiny/dataset holds another one" in node.problem
    assert trace(RUN / "adapter", within=Path()).nodes[old].state == "as sealed"


def test_a_release_alone_is_followed_through_the_reports_in_it(release, tunedassist, tmp_path):
    import shutil

    shutil.copytree(release, tmp_path / "alone" / "release")
    found = trace(tmp_path / "alone" / "release", within=tmp_path / "alone")
    there = {(node.kind, node.state) for node in found.nodes.values()}
    assert ("eval-report", "as sealed") in there and ("predictions", "as sealed") in there
    assert ("gguf", "not here") in there


def test_the_picture_is_svg_with_a_box_a_node_and_an_arrow_an_edge(release, tunedassist):
    code, printed, told = tunedassist("lineage", release, "--svg", "lineage.svg", "--json")
    assert code == 0, told
    found = json.loads(printed)
    root = xml.etree.ElementTree.parse("lineage.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    boxes = root.findall(f"{space}g")
    assert len(boxes) == len(found["nodes"]), "one document is one box here"
    curves = [path for path in root.findall(f"{space}path") if path.get("fill") == "none"]
    assert len(curves) == len(found["made_from"])
    assert "http" not in Path("lineage.svg").read_text().replace("http://www.w3.org/2000/svg", "")


def test_the_boxes_of_a_picture_do_not_overlap_and_lie_within_it(release, tunedassist):
    tunedassist("lineage", release, "--svg", "lineage.svg")
    root = xml.etree.ElementTree.parse("lineage.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    places = []
    for group in root.findall(f"{space}g"):
        box = group.find(f"{space}rect")
        places.append(tuple(float(box.get(name)) for name in ("x", "y", "width", "height")))
    for at, (x, y, width, height) in enumerate(places):
        assert x >= 0 and y >= 0
        assert x + width <= float(root.get("width")) and y + height <= float(root.get("height"))
        for x2, y2, *_ in places[at + 1 :]:
            assert abs(x - x2) >= width or abs(y - y2) >= height


def test_what_is_no_artifact_is_refused(workplace, tunedassist):
    code, _, told = tunedassist("lineage", DOMAIN)
    assert (code, "manifest.json" in told) == (4, True)
