import json
import os
import shutil
from pathlib import Path

import pytest

from ta_schemas import Artifact, ArtifactError, ArtifactWriter, InputError, Parent, sealed


def seal(out: Path, text: str = "hello\n", *, log: str = "1 s", replace: bool = False) -> Artifact:
    with ArtifactWriter(out, kind="dataset", producer="test 1", config={"seed": 1}, replace=replace) as writer:
        (writer.path / "train.jsonl").write_text(text)
        (writer.path / "logs").mkdir()
        (writer.path / "logs" / "time.txt").write_text(log)
        writer.metrics["rows"] = 1
    return Artifact.open(out, kind="dataset")


def test_what_was_sealed_is_what_is_opened(tmp_path: Path) -> None:
    artifact = seal(tmp_path / "a")
    assert artifact.file("train.jsonl").read_text() == "hello\n"
    assert artifact.manifest.metrics == {"rows": 1}
    assert artifact.manifest.config == {"seed": 1}
    assert artifact.manifest.created_at.tzinfo is not None
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_digest_follows_the_content_not_the_time_or_the_logs(tmp_path: Path) -> None:
    first = seal(tmp_path / "a", log="1 s")
    assert seal(tmp_path / "b", log="2 s").digest == first.digest
    assert seal(tmp_path / "c", "other\n").digest != first.digest


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "train.jsonl").write_text("jello\n")
    with pytest.raises(ArtifactError, match=r"train\.jsonl: content differs from the manifest"):
        Artifact.open(tmp_path / "a")


def test_a_changed_log_is_named_too(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "logs" / "time.txt").write_text("0 s")
    with pytest.raises(ArtifactError, match=r"time\.txt"):
        Artifact.open(tmp_path / "a")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "train.jsonl").write_text("hel")
    with pytest.raises(ArtifactError, match="3 bytes, the manifest says 6: truncated"):
        Artifact.open(tmp_path / "a")


def test_a_missing_and_an_additional_file_are_named(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "more.txt").write_text("")
    with pytest.raises(ArtifactError, match=r"more\.txt: not in the manifest"):
        Artifact.open(tmp_path / "a")
    (tmp_path / "a" / "more.txt").unlink()
    (tmp_path / "a" / "train.jsonl").unlink()
    with pytest.raises(ArtifactError, match=r"train\.jsonl: missing"):
        Artifact.open(tmp_path / "a")


def test_verification_can_be_left_out(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "train.jsonl").write_text("jello\n")
    assert Artifact.open(tmp_path / "a", verify=False).manifest.kind == "dataset"


def test_a_directory_without_a_manifest_is_half_written(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="half-written or not an artifact"):
        Artifact.open(tmp_path / "a")


def test_a_torn_manifest_is_refused(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    manifest = tmp_path / "a" / "manifest.json"
    manifest.write_text(manifest.read_text()[:40])
    with pytest.raises(ArtifactError, match="not JSON"):
        Artifact.open(tmp_path / "a")


def test_another_kind_is_named(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    with pytest.raises(ArtifactError, match="kind 'dataset', expected 'adapter'"):
        Artifact.open(tmp_path / "a", kind="adapter")


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_a_path_that_leaves_the_directory_is_refused(path: str, tmp_path: Path) -> None:
    seal(tmp_path / "a")
    file = tmp_path / "a" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["files"][0]["path"] = path
    file.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"files\.0\.path: .*leaves the artifact"):
        Artifact.open(tmp_path / "a")


def test_a_link_that_leaves_the_directory_is_refused(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    outside = tmp_path / "outside"
    outside.write_text("hello\n")
    (tmp_path / "a" / "train.jsonl").unlink()
    (tmp_path / "a" / "train.jsonl").symlink_to(outside)
    with pytest.raises(ArtifactError, match="a link that leaves the artifact"):
        Artifact.open(tmp_path / "a")


def test_an_error_or_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), ArtifactWriter(tmp_path / "a", kind="dataset", producer="t") as writer:
            (writer.path / "train.jsonl").write_text("half")
            raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_artifact_is_kept_unless_replaced(tmp_path: Path) -> None:
    first = seal(tmp_path / "a")
    with pytest.raises(ArtifactError, match="another run's artifact: pass --force"):
        seal(tmp_path / "a", "other\n")
    assert Artifact.open(tmp_path / "a").digest == first.digest
    with pytest.raises(ZeroDivisionError):
        with ArtifactWriter(tmp_path / "a", kind="dataset", producer="t", replace=True):
            raise ZeroDivisionError
    assert Artifact.open(tmp_path / "a").digest == first.digest
    assert seal(tmp_path / "a", "other\n", replace=True).digest != first.digest
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_of_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="holds files that are no artifact"):
        seal(tmp_path / "a", replace=True)
    assert (tmp_path / "a" / "thesis.txt").exists()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match="is a file, expected a directory"):
        seal(tmp_path / "a")


def test_sealed_is_found_only_with_the_same_kind_configuration_and_parents(tmp_path: Path) -> None:
    parent = Parent(kind="corpus", digest=f"sha256:{'0' * 64}")
    out = tmp_path / "a"
    with ArtifactWriter(out, kind="dataset", producer="t", config={"n": 1}, parents=[parent]) as writer:
        (writer.path / "f").write_text("x")
    assert sealed(out, kind="dataset", config={"n": 1}, parents=[parent]) is not None
    assert sealed(out, kind="dataset", config={"n": 2}, parents=[parent]) is None
    assert sealed(out, kind="dataset", config={"n": 1}, parents=[]) is None
    assert sealed(out, kind="adapter", config={"n": 1}, parents=[parent]) is None
    assert sealed(tmp_path / "none", kind="dataset", config={}, parents=[]) is None


def test_a_damaged_artifact_is_not_skipped_over(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    (tmp_path / "a" / "train.jsonl").write_text("jello\n")
    with pytest.raises(ArtifactError):
        sealed(tmp_path / "a", kind="dataset", config={"seed": 1}, parents=[])


def test_unknown_fields_of_a_manifest_are_kept(tmp_path: Path) -> None:
    seal(tmp_path / "a")
    file = tmp_path / "a" / "manifest.json"
    manifest = json.loads(file.read_text()) | {"mood": "sunny"}
    file.write_text(json.dumps(manifest))
    assert json.loads(Artifact.open(tmp_path / "a").manifest.model_dump_json())["mood"] == "sunny"


def test_a_file_the_manifest_does_not_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"dataset artifact without nothing\.txt"):
        seal(tmp_path / "a").file("nothing.txt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ta_schemas.errors import exit_with_one_line

    def command() -> None:
        with ArtifactWriter(tmp_path / "a", kind="dataset", producer="t") as writer:
            (writer.path / "big").symlink_to("/dev/full")
            with (writer.path / "big").open("w") as file:
                file.write("x" * 100_000)

    with pytest.raises(SystemExit) as left:
        exit_with_one_line(command)
    assert left.value.code == 5
    assert "no space left on the disk" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs setpriv as root")
def test_an_output_without_permission_is_one_line(tmp_path: Path) -> None:
    import subprocess
    import sys

    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    code = (
        "from pathlib import Path\nfrom ta_schemas import ArtifactWriter\n"
        "from ta_schemas.errors import exit_with_one_line\n"
        "def command():\n"
        f"    with ArtifactWriter(Path({str(locked / 'a')!r}), kind='dataset', producer='t'):\n"
        "        pass\n"
        "exit_with_one_line(command)\n"
    )
    # Root ignores permission bits unless it gives up that capability.
    drop = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert "permission denied" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, no folder can be made below it"):
        seal(tmp_path / "file" / "deep" / "a")


def test_ctrl_c_is_one_line_and_130_whoever_caught_it_first(capsys: pytest.CaptureFixture[str]) -> None:
    from ta_schemas.errors import exit_with_one_line

    for raised in (KeyboardInterrupt(), SystemExit(130)):

        def command(error: BaseException = raised) -> None:
            raise error

        with pytest.raises(SystemExit) as left:
            exit_with_one_line(command)
        assert left.value.code == 130
        assert "stopped by Ctrl-C" in capsys.readouterr().err
