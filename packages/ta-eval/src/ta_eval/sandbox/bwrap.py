"""The sandbox itself: which bubblewrap flags work here, and as whom it runs.

Inside: no network, no host files but read-only tools, an empty root of 64 MiB in memory, own process numbers,
no privileges and none to be had. A limit on processes binds no host root, so root becomes `nobody` first.
"""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

SIZE_BYTES = 64 * 2**20
NOBODY = 65534
# fmt: off
# Debian's awk and which are links through /etc/alternatives.
TOOLS = (
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/share/zoneinfo", "/usr/share/perl",
    "/usr/share/perl5", "/usr/share/git-core", "/usr/share/awk", "/usr/share/terminfo", "/usr/share/misc",
    "/etc/alternatives",
)
# fmt: on
TOP = ("/bin", "/sbin", "/lib", "/lib64")
FAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/home/user",
    "USER": "user",
    "LOGNAME": "user",
    "SHELL": "/bin/bash",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_AUTHOR_DATE": "2026-01-15T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-15T12:00:00Z",
}


class Sandbox(NamedTuple):
    """Bubblewrap with the flags that work on this machine."""

    argv: tuple[str, ...]
    """The command line up to the `--` before the program."""
    clock: str
    """libfaketime's path: the clock stands still; empty: it runs, and untouched files are as old as ever."""


class Refused(NamedTuple):
    """Nothing can be run here, and why."""

    reason: str


@functools.cache
def find_sandbox() -> Sandbox | Refused:
    """Try bubblewrap once; without /proc where the machine (a container) does not let it be mounted.

    There is no third way: where both fail, commands are not run at all.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return Refused("no sandbox: bwrap is not installed (Debian: apt install bubblewrap)")
    reason = ""
    for proc in (True, False):
        sandbox = Sandbox(_argv(bwrap, proc=proc), _libfaketime())
        reason = _try(sandbox)
        if not reason:
            return sandbox
    return Refused(f"no sandbox: bwrap was refused: {reason}")


def as_whom() -> dict[str, Any]:
    """Arguments of Popen that give up root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _argv(bwrap: str, *, proc: bool) -> tuple[str, ...]:
    argv = [bwrap, "--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--new-session"]
    argv += ["--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"]
    argv += [word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)]
    argv += ["--size", str(SIZE_BYTES), "--tmpfs", "/"]
    for folder in TOOLS:
        if Path(folder).is_dir():
            argv += ["--ro-bind", folder, folder]
    for folder in TOP:  # mounts, not links: `rm -rf /` must not take away the program loader
        if Path(folder).is_dir():
            argv += ["--ro-bind", str(Path(folder).resolve()), folder]
    argv += ["--proc", "/proc"] if proc else ["--dir", "/proc"]
    return (*argv, "--dev", "/dev", "--remount-ro", "/dev", "--chdir", "/")


def _libfaketime() -> str:
    return next((str(path) for pattern in FAKETIME for path in sorted(Path("/").glob(pattern[1:]))), "")


def _try(sandbox: Sandbox) -> str:
    try:
        done = subprocess.run(
            [*sandbox.argv, "--", "/usr/bin/bash", "-c", "true"],
            capture_output=True,
            text=True,
            timeout=20,
            cwd="/",
            check=False,
            **as_whom(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0] if done.returncode else ""
