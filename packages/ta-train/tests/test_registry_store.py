"""The registry's file: two writers at once, versions, files that are something else."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from registry_fixtures import make

from ta_schemas import ArtifactError, InputError, SetupError
from ta_train.registry import store
from ta_train.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "runs" / "registry.sqlite")


WRITER = """
import sys
from pathlib import Path
from ta_train.registry.registry import Registry
root, mine = Path(sys.argv[1]), sys.argv[2]
registry = Registry(root / "registry.sqlite")
sys.stdin.readline()
for number in range(20):
    name = f"{mine}{number}"
    registry.add(root / name, name=name)
    registry.point("champion", name)
    registry.point(f"latest-{mine}", name)
"""


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    for mine in "ab":
        for number in range(20):
            make(tmp_path / f"{mine}{number}")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), mine], stdin=subprocess.PIPE, text=True)
        for mine in "ab"
    ]
    for writer in writers:  # both have imported what they need: now at once, the making of the tables too
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    registry = Registry(tmp_path / "registry.sqlite")
    assert {entry.name for entry in registry.entries()} == {f"{m}{n}" for m in "ab" for n in range(20)}
    assert registry.find("latest-a").name == "a19" and registry.find("latest-b").name == "b19"
    assert registry.find("champion").name in ("a19", "b19")
    assert not any(one.problem for one in registry.verify())


def test_a_writer_that_fails_half_way_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.add(make(tmp_path / "one").path, name="one")
    with pytest.raises(InputError, match="alias"):
        registry.add(make(tmp_path / "two").path, name="two", alias="no spaces")
    assert [entry.name for entry in registry.entries()] == ["one"]


def test_a_registry_held_by_another_process_is_an_error_of_one_line(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make(tmp_path / "one")
    registry.add(adapter.path)
    monkeypatch.setattr(store, "WAIT_S", 0.1)
    holder = sqlite3.connect(registry.file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SetupError, match="database is locked"):
        registry.add(adapter.path)
    holder.close()
    assert registry.add(adapter.path)


def test_reading_makes_no_registry(registry: Registry) -> None:
    with pytest.raises(InputError, match="registry add ARTIFACT"):
        registry.entries()
    with pytest.raises(InputError, match="registry add ARTIFACT"):
        registry.drop_alias("champion")
    assert not registry.file.exists()


def test_files_of_other_programs_and_of_later_versions_are_refused(tmp_path: Path) -> None:
    adapter = make(tmp_path / "adapter")
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, but long enough to be looked at as one\n" * 20)
    with pytest.raises(ArtifactError, match="not a registry, or damaged"):
        Registry(text).add(adapter.path)
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    with pytest.raises(ArtifactError, match="of another program"):
        Registry(tmp_path / "other.sqlite").add(adapter.path)
    registry = Registry(tmp_path / "registry.sqlite")
    registry.add(adapter.path)
    later = sqlite3.connect(registry.file)
    later.execute(f"PRAGMA user_version = {len(store.MIGRATIONS) + 1}")
    later.close()
    with pytest.raises(ArtifactError, match="upgrade ta-train"):
        registry.entries()


def test_an_older_registry_is_migrated_and_keeps_its_entries(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(make(tmp_path / "one").path, name="one")
    later = (*store.MIGRATIONS, ("ALTER TABLE artifacts ADD COLUMN note TEXT",))
    monkeypatch.setattr(store, "MIGRATIONS", later)
    assert [entry.name for entry in registry.entries()] == ["one"]
    with sqlite3.connect(registry.file) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert connection.execute("SELECT note FROM artifacts").fetchall() == [(None,)]
    connection.close()
