"""What the sandbox lets a command do, and what is seen of it. Needs Debian's bubblewrap."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from ta_eval.sandbox import bwrap
from ta_eval.sandbox.bwrap import Refused, Sandbox, find_sandbox
from ta_eval.sandbox.execute import execute
from ta_eval.sandbox.snapshot import content_digest


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    found = find_sandbox()
    if isinstance(found, Refused):
        pytest.skip(f"needs the system package bubblewrap: {found.reason}")
    return found


def test_output_files_and_state_of_the_shell_are_seen(sandbox: Sandbox) -> None:
    done = execute(
        sandbox, "cat a; echo oops >&2; chmod 600 a; ln -s a b; cd /tmp; exit 3", setup="echo hi > a"
    )
    assert (done.stdout, done.stderr, done.exit_code, done.problem) == ("hi\n", "oops\n", 3, "")
    assert done.files["/home/user/a"].mode == "600"
    assert (done.files["/home/user/b"].kind, done.files["/home/user/b"].content) == ("l", "a")
    assert done.state.startswith("/tmp\n")


def test_times_are_seen_where_the_command_set_them_and_new_otherwise(sandbox: Sandbox) -> None:
    done = execute(sandbox, "touch -d '2026-01-01 00:00' set; touch fresh; cp -p old kept", setup="echo > old")
    assert done.files["/home/user/set"].time == "1767225600"
    assert done.files["/home/user/fresh"].time == "new"
    assert done.files["/home/user/kept"].time == done.files["/home/user/old"].time != "new"


def test_what_nobody_may_read_is_seen_all_the_same(sandbox: Sandbox) -> None:
    done = execute(
        sandbox, "chmod 000 d d/f 2>/dev/null; chmod 000 g", setup="mkdir d; echo x > d/f; echo y > g"
    )
    same = execute(sandbox, ":", setup="mkdir d; echo x > d/f; echo y > g")
    assert done.files["/home/user/g"].mode == "0"
    for path in ("/home/user/g", "/home/user/d/f"):
        assert done.files[path].content == same.files[path].content != ""


def test_the_setup_says_where_the_command_runs(sandbox: Sandbox) -> None:
    assert execute(sandbox, "pwd", setup="mkdir -p /srv/app && cd /srv/app").stdout == "/srv/app\n"


def test_a_setup_that_fails_is_a_problem_with_its_message(sandbox: Sandbox) -> None:
    assert "setup failed: " in execute(sandbox, "ls", setup="cat none").problem
    assert "No such file" in execute(sandbox, "ls", setup="cat none").problem


def test_an_exit_status_of_the_command_is_not_taken_for_a_failed_setup(sandbox: Sandbox) -> None:
    done = execute(sandbox, "exit 120")
    assert (done.exit_code, done.problem) == (120, "")


def test_locale_time_zone_and_environment_are_fixed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1234")
    done = execute(sandbox, "date +%Z; printf 'b\\nA\\na\\n' | sort | tr '\\n' ' '; env | grep -c SECRET")
    assert done.stdout == "UTC\nA a b 0\n"


def test_the_clock_stands_still(sandbox: Sandbox) -> None:
    if not sandbox.clock:
        pytest.skip("needs the system package libfaketime")
    assert (
        execute(sandbox, "date -u '+%F %T'; sleep 1.1; date +%s").stdout == "2026-01-15 12:00:00\n1768478400\n"
    )


def test_background_processes_of_the_setup_are_part_of_the_state(sandbox: Sandbox) -> None:
    if "--proc" not in sandbox.argv:
        pytest.skip("this machine does not let /proc be mounted in a sandbox")
    setup = "sleep 500 & sleep 600 & sleep 0.1"
    assert "sleep 500" in execute(sandbox, ":", setup=setup).state
    assert "sleep 500" not in execute(sandbox, "pkill -f 'sleep 500'; sleep 0.1", setup=setup).state


def test_there_is_no_network(sandbox: Sandbox) -> None:
    done = execute(sandbox, "cat /proc/net/dev | grep -vc lo: ; exec 3<>/dev/tcp/127.0.0.1/22 || echo none")
    assert done.stdout.endswith("none\n")


def test_no_file_of_the_host_is_there(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    done = execute(sandbox, f"ls {tmp_path} {Path.home()}/.bashrc /etc/shadow; ls /home")
    assert (done.stdout, done.stderr.count("No such file")) == ("user\n", 3)


def test_tools_cannot_be_removed(sandbox: Sandbox) -> None:
    done = execute(sandbox, "rm -f /usr/bin/ls /bin/ls /dev/null; ls /bin/ls; echo x > /usr/bin/new")
    assert done.stdout == "/bin/ls\n"
    assert not Path("/usr/bin/new").exists()


def test_an_empty_root_is_survived_by_what_looks_at_it(sandbox: Sandbox) -> None:
    done = execute(sandbox, "rm -rf /home/user /etc /tmp", setup="echo x > a")
    assert done.problem == ""
    assert not {"/home/user/a", "/etc/passwd"} & done.files.keys()


def test_no_process_of_the_host_is_seen_or_killed(sandbox: Sandbox) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        done = execute(sandbox, f"kill -9 {bystander.pid}; kill -9 -1")
        assert done.problem == "it ended everything in the sandbox"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_processes_are_limited(sandbox: Sandbox) -> None:
    done = execute(
        sandbox, "for i in $(seq 100); do sleep 2 & done; jobs -p | wc -l; kill $(jobs -p)", wall_s=20
    )
    assert "Resource temporarily unavailable" in done.stderr or done.problem.startswith("still running")


def test_memory_is_limited(sandbox: Sandbox) -> None:
    done = execute(sandbox, 'perl -e \'$x = "a" x 900_000_000; print "got it"\'')
    assert (done.stdout, "Out of memory" in done.stderr) == ("", True)


def test_the_size_of_a_file_is_limited(sandbox: Sandbox) -> None:
    assert "200000000" not in execute(sandbox, "head -c 200000000 /dev/zero > big; stat -c %s big").stdout


def test_the_size_of_all_files_is_limited(sandbox: Sandbox) -> None:
    done = execute(sandbox, "for i in 1 2 3 4; do head -c 30000000 /dev/zero > $i; done; rm 1 2 3 4")
    assert "No space left on device" in done.stderr


def test_endless_output_ends(sandbox: Sandbox) -> None:
    shown = execute(sandbox, "yes", wall_s=20).stdout
    assert len(shown) < 2**20 + 100
    assert "(33554432 bytes, " in shown


def test_a_command_that_does_not_end_is_stopped_with_all_its_children(sandbox: Sandbox) -> None:
    started = time.monotonic()
    done = execute(sandbox, "sleep 47.11 & sleep 47.11", wall_s=1.0)
    assert done.problem == "still running after 1 s"
    assert time.monotonic() - started < 10
    time.sleep(0.2)
    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if _readable(file)]
    assert not any(b"47.11" in command for command in commands if command.startswith(b"sleep"))


def _readable(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return False
    return True


def test_nothing_runs_as_root(sandbox: Sandbox) -> None:
    done = execute(sandbox, "cat /proc/self/status | grep CapEff; unshare -r true && echo root")
    assert done.stdout == "CapEff:\t0000000000000000\n"
    assert os.geteuid() != 0 or bwrap.as_whom()["user"] == 65534


@pytest.mark.parametrize("command", ["echo \0", "echo " + "x" * 70_000])
def test_what_cannot_be_a_command_line_is_a_problem_not_a_crash(sandbox: Sandbox, command: str) -> None:
    assert execute(sandbox, command).problem


def test_without_bwrap_the_sandbox_is_refused_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt install bubblewrap" in find_sandbox.__wrapped__().reason  # type: ignore[union-attr]


def test_a_bwrap_that_is_refused_by_the_machine_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(bwrap.shutil, "which", lambda _: str(fake))
    monkeypatch.setattr(bwrap, "as_whom", dict)
    assert "uid map: Operation not permitted" in find_sandbox.__wrapped__().reason  # type: ignore[union-attr]


def test_where_proc_cannot_be_mounted_the_sandbox_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\ncase "$*" in *"--proc /proc"*) echo "no proc" >&2; exit 1;; esac\n')
    fake.chmod(0o755)
    monkeypatch.setattr(bwrap.shutil, "which", lambda _: str(fake))
    monkeypatch.setattr(bwrap, "as_whom", dict)
    found = find_sandbox.__wrapped__()
    assert isinstance(found, Sandbox)
    assert "--proc" not in found.argv


def test_two_archives_of_the_same_files_are_equal_whenever_they_were_made(tmp_path: Path) -> None:
    digests = set()
    for moment in (0, 10**9):
        (tmp_path / "f").write_text("x")
        os.utime(tmp_path / "f", (moment, moment))
        subprocess.run(["tar", "-czf", tmp_path / "a.tgz", "-C", tmp_path, "f"], check=True)
        digests.add(content_digest((tmp_path / "a.tgz").read_bytes()))
    assert len(digests) == 1
    (tmp_path / "f").write_text("y")
    subprocess.run(["tar", "-czf", tmp_path / "a.tgz", "-C", tmp_path, "f"], check=True)
    assert content_digest((tmp_path / "a.tgz").read_bytes()) not in digests
