"""Push and pull through huggingface_hub's own client, against a hub of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hub_stub import running_hub
from registry_fixtures import make

from ta_schemas import Artifact, ArtifactWriter
from ta_train.registry.registry import Registry


def run(*arguments: object, registry: Path, hub: str = "") -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, whose huggingface_hub knows no hub but ours."""
    online = (
        {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub, "HF_TOKEN": "hf_test"} if hub else {"HF_HUB_OFFLINE": "1"}
    )
    return subprocess.run(
        [
            *(sys.executable, "-c", "from ta_train.cli import main; main()"),
            *("registry", *map(str, arguments), "--registry", str(registry)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **online, "HF_HOME": str(registry.parent / "hf"), "COLUMNS": "200"},
    )


def test_verify_ends_with_exit_code_four_where_something_changed(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.sqlite")
    registry.add(make(tmp_path / "one").path, name="one")
    assert run("verify", registry=registry.file).returncode == 0
    (tmp_path / "one" / "content.txt").write_text("changed")
    ended = run("verify", registry=registry.file)
    assert ended.returncode == 4
    assert "1 of 1 differ: one" in ended.stderr


def test_what_is_pushed_is_pulled_byte_for_byte_and_added(tmp_path: Path) -> None:
    here, there = Registry(tmp_path / "here" / "r.sqlite"), Registry(tmp_path / "there" / "r.sqlite")
    adapter = make(tmp_path / "here" / "adapter")
    here.add(adapter.path, name="adapter")
    with running_hub() as hub:
        pushed = run("push", "adapter", "team/helper", registry=here.file, hub=hub.url)
        assert pushed.returncode == 0, pushed.stderr
        assert hub.private["team/helper"] is True
        assert len(hub.commits["team/helper"]) == 2, "one commit besides the empty repository"
        assert b"/somewhere/here" not in b"".join(hub.commits["team/helper"][-1].values())
        out = tmp_path / "there" / "pulled"
        pulled = run("pull", "team/helper", "--out", out, "--json", registry=there.file, hub=hub.url)
        assert pulled.returncode == 0, pulled.stderr
    assert json.loads(pulled.stdout)["name"] == "team/helper"
    assert there.find("team/helper").digest == adapter.digest == Artifact.open(out, kind="adapter").digest
    assert {f.name for f in out.iterdir()} == {f.name for f in adapter.path.iterdir()}


def test_a_second_push_replaces_the_first_and_an_old_revision_can_be_pulled(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r.sqlite")
    first = make(tmp_path / "first")
    (tmp_path / "second").mkdir()
    with ArtifactWriter(tmp_path / "second", kind="model", producer="test 1") as writer:
        (writer.path / "other.txt").write_text("another")
    registry.add(first.path, name="first")
    registry.add(tmp_path / "second", name="second")
    with running_hub() as hub:
        old = json.loads(run("push", "first", "team/x", "--json", registry=registry.file, hub=hub.url).stdout)
        assert run("push", "second", "team/x", "--public", registry=registry.file, hub=hub.url).returncode == 0
        assert set(hub.commits["team/x"][-1]) == {".gitattributes", "manifest.json", "other.txt"}
        assert hub.private["team/x"] is True, "what exists keeps its visibility"
        for out, revision in (("new", "main"), ("old", old["commit"])):
            pull = ["pull", "team/x", "--out", tmp_path / out, "--revision", revision]
            ended = run(*pull, registry=registry.file, hub=hub.url)
            assert ended.returncode == 0, ended.stderr
        assert (
            run("push", "second", "team/open", "--public", registry=registry.file, hub=hub.url).returncode == 0
        )
        assert hub.private["team/open"] is False
    assert Artifact.open(tmp_path / "old").digest == first.digest
    assert registry.find("first").path == tmp_path / "old", "what is known keeps its name"
    assert Artifact.open(tmp_path / "new").manifest.kind == "model"


def test_what_changed_on_the_hub_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r.sqlite")
    registry.add(make(tmp_path / "adapter").path, name="adapter")
    with running_hub() as hub:
        run("push", "adapter", "team/x", registry=registry.file, hub=hub.url)
        hub.commits["team/x"][-1]["content.txt"] = b"x" * len(str(tmp_path / "adapter"))
        ended = run("pull", "team/x", "--out", tmp_path / "pulled", registry=registry.file, hub=hub.url)
    assert ended.returncode == 4
    assert "content differs from the manifest" in ended.stderr
    assert not list(tmp_path.glob("pulled*"))
    assert len(registry.entries()) == 1


def test_the_hubs_refusals_are_one_line_each(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r.sqlite")
    registry.add(make(tmp_path / "adapter").path, name="adapter")
    out = tmp_path / "pulled"
    with running_hub() as hub:
        asked = [(("pull", "team/absent", "--out", out), 3, "no such repository")]
        hub.commits["team/empty"] = [{".gitattributes": b""}]
        asked += [(("pull", "team/empty", "--out", out), 4, r"no manifest.json")]
        asked += [(("pull", "team/empty", "--out", out, "--revision", "v9"), 3, "no such revision")]
        asked += [(("pull", "a/b/c", "--out", out), 3, "expected a repository as owner/name")]
        hub.refuse_uploads = True
        asked += [(("push", "adapter", "team/x"), 5, "hf auth login")]
        for arguments, code, message in asked:
            ended = run(*arguments, registry=registry.file, hub=hub.url)
            assert (ended.returncode, ended.stderr.count("\n")) == (code, 1), ended.stderr
            assert message in ended.stderr
    offline = run("pull", "team/x", "--out", out, registry=registry.file)
    assert offline.returncode == 5 and "the hub cannot be used" in offline.stderr
    assert not out.exists()
