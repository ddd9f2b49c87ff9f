"""Commands that run other commands: what `sudo`, `env`, `xargs`, `find -exec`, `ssh` or `bash -c` would
start."""

import re
from typing import NamedTuple

from ta_safety.detectors.shell.payloads import code_strings, read_text
from ta_safety.detectors.shell.script import Command
from ta_safety.detectors.shell.words import UNKNOWN


class Inner(NamedTuple):
    """What a command starts: argument vectors, and texts a shell would read."""

    vectors: list[list[str]]
    scripts: list[str]


class Wrapper(NamedTuple):
    """How to step over a wrapper's own arguments."""

    valued: str = ""
    """Short options that take the next word."""
    positionals: int = 0
    """Words of its own before the command."""
    script: bool = False
    """The rest is joined and read by a shell."""
    long: tuple[str, ...] = ()
    """Long options that take the next word."""


_REMOTE = Wrapper("bcDEeFIiJLlmOopQRSWw", 1, script=True)
WRAPPERS = {
    "sudo": Wrapper("ugCchpRrtTDU", long=("--user", "--group", "--chdir", "--host", "--prompt")),
    "doas": Wrapper("uC"),
    "env": Wrapper("uCS", long=("--unset", "--chdir")),
    "xargs": Wrapper(
        "aEIiLlnPsd", long=("--max-args", "--max-procs", "--replace", "--arg-file", "--delimiter")
    ),
    "parallel": Wrapper("jNnIa", script=True),
    "ssh": _REMOTE,
    "mosh": _REMOTE,
    "sshpass": Wrapper("pfe"),
    "nohup": Wrapper(),
    "setsid": Wrapper(),
    "timeout": Wrapper("ks", 1, long=("--signal", "--kill-after")),
    "nice": Wrapper("n", long=("--adjustment",)),
    "ionice": Wrapper("cnp", long=("--class", "--classdata")),
    "chrt": Wrapper("TPDp", 1),
    "taskset": Wrapper("", 1),
    "stdbuf": Wrapper("ioe"),
    "time": Wrapper("fo"),
    "strace": Wrapper("eopsPuEbaIO"),
    "ltrace": Wrapper("eopsu"),
    "watch": Wrapper("n", script=True, long=("--interval",)),
    "busybox": Wrapper(),
    "toybox": Wrapper(),
    "command": Wrapper(),
    "builtin": Wrapper(),
    "exec": Wrapper("a"),
    "chroot": Wrapper("", 1, long=("--userspec", "--groups")),
    "unshare": Wrapper("SG"),
    "nsenter": Wrapper("tSG", long=("--target",)),
    "systemd-run": Wrapper("upEMHG", long=("--unit", "--property", "--on-active", "--on-calendar")),
    "systemd-inhibit": Wrapper(),
    "pkexec": Wrapper(long=("--user",)),
    "setpriv": Wrapper(),
    "proxychains": Wrapper("f"),
    "proxychains4": Wrapper("f"),
    "torsocks": Wrapper(),
    "faketime": Wrapper("", 1),
    "unbuffer": Wrapper(),
    "catchsegv": Wrapper(),
    "flatpak-spawn": Wrapper(),
    "fakeroot": Wrapper(),
    "caffeinate": Wrapper("tw"),
    "eval": Wrapper(script=True),
    "trap": Wrapper("", 0, script=True),
    "coproc": Wrapper(),
    "!": Wrapper(),
}
SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "mksh", "rbash", "csh", "tcsh", "pwsh"}
INTERPRETERS = {"python": "c", "perl": "eE", "ruby": "e", "node": "ep", "nodejs": "ep", "php": "r", "lua": "e"}
INTERPRETERS |= {"deno": "", "bun": "e", "tclsh": "", "Rscript": "e", "osascript": "e"}
_AWK = {"awk", "gawk", "mawk", "nawk"}
_KEEPS_ALL = {"-type", "-depth", "-mindepth", "-xdev", "-mount", "-print", "-print0"}
"""What in `find` does not narrow down by name, age or size."""
_VERSION = re.compile(r"[\d.]+$")


def program(argv: list[str]) -> str:
    """The interpreter without its version: `python3.11` is `python`."""
    bare = _VERSION.sub("", argv[0]) if argv else ""
    return bare if bare in INTERPRETERS or bare in SHELLS else (argv[0] if argv else "")


def inner(command: Command) -> Inner:
    """What `command` would start; empty for a command that starts nothing."""
    argv = command.argv
    name = program(argv)
    rest = argv[1:]
    if name in SHELLS or name in ("su", "runuser", "script", "flock", "at", "batch", "source", "."):
        return _shell(name, rest, command)
    if name in INTERPRETERS or name in _AWK:
        return Inner([], code_strings(code(command) or ""))
    if name == "find":
        return Inner(_find(rest), [])
    if name in ("docker", "podman", "kubectl", "lxc"):
        return _container(name, rest)
    if name in WRAPPERS:
        return _wrapped(name, WRAPPERS[name], rest, command)
    if name in ("alias", "export", "crontab"):
        text = (
            read_text(command)
            if name == "crontab"
            else " ; ".join(r.partition("=")[2] for r in rest if "=" in r)
        )
        lines = re.sub(r"(?m)^\s*(?:@\w+|(?:[\d*/,-]+\s+){5})", "", text or "")
        return Inner([], [lines] if lines.strip() else [])
    return Inner([], _hidden(name, rest))


def code(command: Command) -> str | None:
    """The program text given to an interpreter: its `-c`, `-e` or `-r` argument, or what it reads."""
    argv = command.argv
    name = program(argv)
    if name in _AWK:
        return next((a for a in argv[1:] if not a.startswith("-")), None)
    letters = INTERPRETERS.get(name, "")
    for position, argument in enumerate(argv[1:], start=1):
        if letters and re.fullmatch(rf"-\w*[{letters}]", argument) and position + 1 < len(argv):
            return argv[position + 1]
        if letters and re.match(rf"-[{letters}].", argument):
            return argument[2:]
        if argument in ("--eval", "--execute", "eval") and position + 1 < len(argv):
            return argv[position + 1]
    return read_text(command)


def _wrapped(name: str, wrapper: Wrapper, rest: list[str], command: Command) -> Inner:
    words = _step_over(rest, wrapper, assignments=name in ("sudo", "env", "doas"))
    if name == "env":
        split = [rest[i + 1] for i, w in enumerate(rest[:-1]) if w in ("-S", "--split-string")]
        if split:
            return Inner([], split)
    if name == "trap":
        return Inner([], rest[:1])
    if wrapper.script:
        return Inner([], [" ".join(words)] if words else [read_text(command) or ""] if name == "ssh" else [])
    if name == "xargs" and words:
        text = read_text(command)
        entering = text.replace("\0", " ").split() if text is not None else _listed(command)
        marks = [w for w in words if w in ("{}", "%", "@")]
        return Inner([[*(w for w in words if w not in marks), *entering]], [])
    if name == "sudo" and any(re.fullmatch(r"-\w*[is]", w) for w in rest) and not words:
        text = read_text(command)
        return Inner([], [text] if text else [])
    return Inner([words] if words else [], [])


def _listed(command: Command) -> list[str]:
    """What an `ls /dir` or `find /dir` before xargs would hand over: the folder stands for what is in it."""
    for source in command.upstream[-1:]:
        if source.argv[:1] in (["find"], ["ls"], ["fd"]):
            options = [a for a in source.argv[1:] if a.startswith("-") and a not in _KEEPS_ALL]
            paths = [a for a in source.argv[1:] if a.startswith(("/", "~"))]
            narrowed = options and source.argv[0] != "ls"
            return [] if narrowed else [p.rstrip("/") + "/*" for p in paths[:1]]
    return []


def _step_over(rest: list[str], wrapper: Wrapper, *, assignments: bool) -> list[str]:
    skip = wrapper.positionals
    at = 0
    while at < len(rest):
        word = rest[at]
        if word == "--":
            at += 1
        elif word.startswith("-") and len(word) > 1:
            takes = word in wrapper.long or (word[1] != "-" and len(word) == 2 and word[1] in wrapper.valued)
            at += 2 if takes else 1
            continue
        elif assignments and re.match(r"\w+=", word):
            at += 1
            continue
        if skip and at < len(rest):
            skip -= 1
            at += 1
            continue
        break
    return rest[at:]


def _shell(name: str, rest: list[str], command: Command) -> Inner:
    for position, word in enumerate(rest):
        inline = re.fullmatch(r"-\w*c\w*|--command(=.*)?", word)
        if inline and name not in ("source", ".", "at", "batch"):
            if inline[1]:
                return Inner([], [inline[1][1:]])
            return Inner(
                [], [_filled_in(text, rest[position + 2 :]) for text in rest[position + 1 : position + 2]]
            )
    if name == "flock":
        return Inner([_step_over(rest, Wrapper("wE", 1), assignments=False)], [])
    if name in ("source", "."):
        return Inner([], [])
    files = [w for w in rest if not w.startswith("-") and UNKNOWN not in w and w != "/dev/stdin"]
    text = None if files and name in SHELLS else read_text(command)
    return Inner([], [text] if text else [])


def _filled_in(script: str, given: list[str]) -> str:
    """`sh -c 'rm "$1"' _ /etc`: positional parameters take the words behind the script."""
    for number, word in enumerate(given[:10]):
        script = re.sub(rf"\$\{{?{number}\}}?", lambda _: word, script)  # noqa: B023
    return re.sub(r'"?\$\{?[@*]\}?"?', lambda _: " ".join(given[1:]), script) if given else script


def _find(rest: list[str]) -> list[list[str]]:
    vectors = []
    roots: list[str] = []
    for word in rest:
        if word.startswith(("-", "(", "!")):
            break
        roots.append(word)
    actions = [i for i, word in enumerate(rest) if word in ("-exec", "-execdir", "-ok", "-okdir")]
    tests = rest[: actions[0]] if actions else []
    narrowed = any(w.startswith("-") and w not in _KEEPS_ALL for w in tests)
    places = ["{}"] if narrowed else [r.rstrip("/") + "/*" for r in roots] or ["./*"]
    for position, word in enumerate(rest):
        if word in ("-exec", "-execdir", "-ok", "-okdir"):
            vector: list[str] = []
            for part in rest[position + 1 :]:
                if part in (";", "+"):
                    break
                vector += places if part == "{}" else [part]
            if vector:
                vectors.append(vector)
    return vectors


def _container(name: str, rest: list[str]) -> Inner:
    """What runs inside; only `--privileged` or a mount of / reaches the host, which the rules look for."""
    if name == "kubectl":
        return Inner([rest[rest.index("--") + 1 :]] if "exec" in rest and "--" in rest else [], [])
    reaches = any("privileged" in w or re.match(r"(?:.*source=|-v=?)?/:", w) for w in rest)
    if not reaches and "exec" not in rest:
        return Inner([], [])
    for position, word in enumerate(rest):
        if word in SHELLS or word in ("rm", "dd", "chroot", "mkfs.ext4", "python3"):
            return Inner([rest[position:]], [])
    return Inner([], [])


def _hidden(name: str, rest: list[str]) -> list[str]:
    """Programs with a door to a shell: editors, pagers, tar checkpoints, git aliases, gdb, make."""
    if name in ("vi", "vim", "nvim", "ex", "gdb", "less", "ed"):
        doors = [re.search(r"!\s*(.+)|\bsystem\(['\"](.+?)['\"]\)|^shell (.+)", word) for word in rest]
        return [next(g for g in door.groups() if g) for door in doors if door]
    if name == "tar":
        return [w.partition("exec=")[2] for w in rest if "action=exec=" in w]
    if name == "git":
        return [w.partition("!")[2] for w in rest if re.match(r"alias\.\w+=!", w)]
    if name in ("make", "gmake"):
        found = [re.search(r"\$\(shell (.+)\)", w) for w in rest]
        return [door[1] for door in found if door]
    if name in ("mysql", "psql", "sqlite3"):
        doors = [re.search(r"\\!\s*(.+)|system (.+)|\.shell (.+)", w) for w in rest]
        return [next(g for g in door.groups() if g) for door in doors if door]
    return []
