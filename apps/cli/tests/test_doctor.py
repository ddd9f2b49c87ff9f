import json
import os
import stat
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tunedassist_cli.doctor import extras, machine, programs
from tunedassist_cli.doctor.abilities import MAIN_JOB, NEEDS, abilities
from tunedassist_cli.doctor.finding import Finding


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_every_need_of_an_ability_is_looked_at():
    known = {
        *by_name(machine.machine(Path())),
        *by_name(extras.packages()),
        *by_name(extras.extras()),
        *by_name(programs.programs()),
    }
    assert {need for needs in NEEDS.values() for need in needs} <= known


def test_an_ability_names_what_it_lacks_and_the_line_that_mends_it():
    findings = [Finding("environment", need, "ok", "") for need in NEEDS[MAIN_JOB]]
    findings[1] = findings[1]._replace(state="bad", fix="install it")
    main_job = next(one for one in abilities(findings) if one.name == MAIN_JOB[0])
    assert (main_job.works, main_job.lacks, main_job.fixes) == (False, [findings[1].name], ["install it"])


def test_json_holds_all_and_the_code_follows_the_main_job(tunedassist, tmp_path):
    code, printed, told = tunedassist("doctor", "--json", "--out", tmp_path)
    found = json.loads(printed)
    assert str(tmp_path) in next(one for one in found["findings"] if one["name"] == "disk: runs")["found"]
    works = next(one for one in found["abilities"] if one["name"] == MAIN_JOB[0])["works"]
    assert code == (0 if works else 5), told
    parts = {one["part"] for one in found["findings"]}
    assert parts == {"machine", "environment", "extras", "programs", "keys"}


def test_a_machine_without_a_stage_cannot_run_the_main_job(tunedassist, monkeypatch):
    real = extras.version

    def version(name):
        if name == "ta-eval":
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(extras, "version", version)
    code, printed, told = tunedassist("doctor")
    assert code == 5
    assert "ta-eval" in told.splitlines()[-1]
    assert "tunedassist-cli[eval]" in printed


def test_all_shows_what_is_complete_too(tunedassist):
    short, long = tunedassist("doctor")[1], tunedassist("doctor", "--all")[1]
    assert "OPENAI_API_KEY" not in short and "OPENAI_API_KEY" in long


def test_a_key_is_never_shown(tunedassist, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for arguments in (("doctor", "--all"), ("doctor", "--json")):
        _, printed, told = tunedassist(*arguments)
        assert "secret" not in printed + told
    keys = by_name(programs.keys())
    assert (keys["OPENAI_API_KEY"].state, keys["HF_TOKEN"].state) == ("ok", "absent")


def test_an_extra_lacks_what_is_not_installed_and_what_is_too_old(monkeypatch):
    needs = {
        "it": [
            "typer>=0.1",
            'not-a-package>=1; extra == "far"',
            'rich>=9999; extra == "far"',
            'rich; extra == "near"',
        ],
    }
    monkeypatch.setattr(extras, "requires", lambda name: needs.get(name))
    lacking = list(extras.lacks("it", "far"))
    assert lacking[0] == "not-a-package"
    assert lacking[1].startswith("rich>=9999 (has ")
    assert list(extras.lacks("it", "near")) == []


def test_an_extra_that_names_another_packages_extra_is_followed(monkeypatch):
    needs = {
        "it": ['typer[deep]; extra == "far"'],
        "typer": ['not-a-package; extra == "deep"', 'rich; extra == "other"'],
    }
    monkeypatch.setattr(extras, "requires", lambda name: needs.get(name))
    assert list(extras.lacks("it", "far")) == ["not-a-package"]


def test_the_install_line_of_a_checkout_names_its_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    class Checkout:
        def read_text(self, name):
            return json.dumps({"url": (tmp_path / "packages" / "ta-x").as_uri()})

    monkeypatch.setattr(extras, "distribution", lambda name: Checkout())
    assert extras.install_line("ta-x", "far") == "uv pip install -e 'packages/ta-x[far]'"


def test_the_install_line_of_a_wheel_names_the_package(monkeypatch):
    class Wheel:
        def read_text(self, name):
            return None

    monkeypatch.setattr(extras, "distribution", lambda name: Wheel())
    assert extras.install_line("ta-x", "far") == "pip install 'ta-x[far]'"


def root(folder, *, flags="fpu avx2 avx512_bf16", available_kb=8_000_000, limit="max"):
    """A /proc and /sys of a Linux machine."""
    (folder / "proc").mkdir()
    (folder / "sys" / "fs" / "cgroup").mkdir(parents=True)
    (folder / "proc" / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    (folder / "proc" / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available_kb} kB\n")
    (folder / "sys" / "fs" / "cgroup" / "memory.max").write_text(f"{limit}\n")
    return folder


def test_the_processors_vector_units_are_named(tmp_path):
    found = by_name(machine.machine(tmp_path, root(tmp_path)))["processor"].found
    assert "avx2" in found and "avx512_bf16" in found and "amx" not in found


@pytest.mark.parametrize(
    ("settings", "state"),
    [({}, "ok"), ({"available_kb": 1_000_000}, "bad"), ({"limit": "1000000000"}, "bad")],
)
def test_memory_is_what_is_free_below_the_containers_limit(tmp_path, settings, state):
    assert by_name(machine.machine(tmp_path, root(tmp_path, **settings)))["memory"].state == state


def test_memory_without_proc_is_what_is_built_in_or_not_known(tmp_path, monkeypatch):
    assert by_name(machine.machine(tmp_path, tmp_path))["memory"].found.endswith("GB available")
    monkeypatch.setattr(machine.os, "sysconf_names", {})
    found = by_name(machine.machine(tmp_path, tmp_path))["memory"]
    assert (found.state, found.found) == ("ok", "not known on this system")


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    if os.geteuid() == 0:
        monkeypatch.setattr(machine.os, "access", lambda place, mode: "locked" not in str(place))
    place = tmp_path / "locked"
    place.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(place))
    found = by_name(machine.machine(tmp_path))["disk: cache of converted models"]
    assert (found.state, "TUNEDASSIST_CACHE" in found.fix) == ("bad", True)


def test_programs_are_looked_for_on_the_path(tmp_path, monkeypatch):
    if sys.platform == "win32":
        pytest.skip("file modes of Windows")
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_name(programs.programs())
    assert (found["bwrap"].state, found["mandoc"].state) == ("ok", "absent")
    assert found["mandoc"].fix == "apt install mandoc"


def test_a_gpu_is_found_by_its_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'H100, 81559 MiB, 575.1'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = by_name(machine.machine(tmp_path))["gpu"]
    assert (found.state, found.found) == ("ok", "H100, 81559 MiB, 575.1")
