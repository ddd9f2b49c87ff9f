"""Rules on files: deleting, emptying, moving away, changing owners and modes."""

import re
from collections.abc import Iterator

from ta_safety.detectors.shell.payloads import printed, read_text
from ta_safety.detectors.shell.rules.finding import (
    Finding,
    Level,
    everything,
    is_critical_file,
    is_root,
    is_short,
)
from ta_safety.detectors.shell.script import Command
from ta_safety.detectors.shell.words import UNKNOWN

_WRITES = (">", ">|", "&>", "1>")
_APPENDS = (">>", "&>>")
_BACKDOOR = re.compile(r"NOPASSWD|:0:0:|ALL=\(ALL|pam_permit|/bin/(?:ba)?sh\s+-i|/dev/tcp/")


def file_findings(command: Command) -> Iterator[Finding]:
    """Findings on what a command does to files."""
    yield from _redirects(command)
    argv = command.argv
    if not argv:
        return
    name, words = argv[0], [a for a in argv[1:] if not a.startswith("-") or a == "-"]
    options = [a for a in argv[1:] if a.startswith("-") and a != "-"]
    if name in ("rm", "unlink", "srm", "shred"):
        yield from _remove(words, options, command.folder)
    elif name == "find":
        yield from _find(argv)
    elif name in ("chmod", "chown", "chgrp", "setfacl", "chattr"):
        yield from _mode(name, words, options, command.folder)
    elif name in ("mv", "cp", "ln", "install", "rsync"):
        yield from _move(name, words, options)
    elif name in ("truncate", "tee", "sed", "sponge"):
        yield from _rewrite(name, words, options, command)


def _remove(words: list[str], options: list[str], folder: str) -> Iterator[Finding]:
    recursive = any(o == "--recursive" or is_short(o, "rR") for o in options)
    if "--no-preserve-root" in options:
        yield Finding(
            "delete-root", "block", "deletes everything, system included, and switches off the safety catch"
        )
        return
    for word in words:
        what = everything(word, folder)
        if what and (recursive or word.endswith("*") or UNKNOWN in "".join(options)):
            yield Finding("delete-root", "block", f"deletes {what}; nothing brings it back")
        elif is_critical_file(word):
            yield Finding(
                "delete-system-file", "block", f"deletes {word}, which the system needs to start or to log in"
            )
        elif recursive and word in ("*", ".", "./*", "..", "../*", ".*", "./", "./.*"):
            yield Finding(
                "delete-here", "warn", f"deletes {word} wherever the shell happens to stand: check with pwd"
            )
        elif recursive and UNKNOWN in word and len(word.strip("/*" + UNKNOWN)) == 0:
            yield Finding(
                "delete-computed", "warn", "deletes whatever another command prints: look at that first"
            )
        elif recursive and re.match(r"/(?:var/log|var/lib/(?:mysql|postgresql|docker))/?\*?$", word):
            yield Finding("delete-data", "warn", f"deletes {word}: all logs or data of a service")
        elif re.search(r"\.(?:bash|zsh)_history$", word):
            yield Finding(
                "hide-tracks", "warn", "deletes the command history: others may need it to see what happened"
            )


def _find(argv: list[str]) -> Iterator[Finding]:
    roots = []
    for word in argv[1:]:
        if word.startswith(("-", "(", "!")):
            break
        roots.append(word)
    deletes = "-delete" in argv
    # `find / -name core -delete` says what it wants; `find / -delete` or `find / -type f -delete` does not.
    tests = [
        w
        for w in argv
        if w.startswith("-") and w not in ("-delete", "-type", "-depth", "-exec", "-xdev", "-print")
    ]
    for root in roots if deletes and not tests else []:
        what = everything(root)
        if what:
            yield Finding("delete-root", "block", f"deletes every file below {root}: {what}")


def _mode(name: str, words: list[str], options: list[str], folder: str) -> Iterator[Finding]:
    recursive = any(o == "--recursive" or is_short(o, "R") for o in options)
    mode, targets = (words[0], words[1:]) if words else ("", [])
    if name == "setfacl":
        targets = words
    for target in targets:
        what = everything(target, folder)
        if recursive and what and not what.startswith("the home"):
            yield Finding(
                "permissions-of-system", "block", f"changes the rights of {what}: sudo, ssh and logins break"
            )
        elif name == "chmod" and is_root(target):
            yield Finding(
                "permissions-of-system", "block", "changes the rights of /: nobody but root gets in or out"
            )
        elif (
            name == "chmod"
            and is_critical_file(target)
            and re.search(r"[246]?[0-7]?[0-7][2367]$|[ao]\+\w*w|\+s", mode)
        ):
            yield Finding(
                "open-system-file", "block", f"lets every user change {target} or become root through it"
            )
        elif (
            name == "chmod"
            and re.search(r"^[4-7]\d{3}$|[ug+]\+\w*s|^\+s", mode)
            and re.search(r"sh$|dash$|cp$|vim?$", target)
        ):
            yield Finding(
                "setuid-shell", "block", f"makes {target} run as its owner for everybody: a way to root"
            )
        elif name == "chmod" and recursive and re.fullmatch(r"0?[0-7]?777|[ao]*\+\w*rwx", mode):
            if what or target in (".", "./", "*") or target.startswith(("/var/www", "/srv", "/opt", "/home")):
                yield Finding("open-to-everybody", "warn", f"lets every user change everything below {target}")
        elif name == "chattr" and "-i" in words and is_critical_file(target):
            yield Finding("open-system-file", "warn", f"takes the protection from {target}")


def _move(name: str, words: list[str], options: list[str]) -> Iterator[Finding]:
    if len(words) < 2:
        return
    sources, target = words[:-1], words[-1]
    if name == "mv":
        for source in sources:
            what = everything(source)
            if target == "/dev/null" and not is_critical_file(source):
                yield Finding(
                    "move-to-nothing",
                    "block",
                    "moves files to /dev/null: root replaces it by them, data is lost",
                )
            elif is_critical_file(source) and re.match(r"/+(?:usr/)?s?bin/", source):
                yield Finding("move-system", "warn", f"moves {source} away: what calls it stops working")
            elif what or is_critical_file(source):
                yield Finding(
                    "move-system", "block", f"moves {what or source} away: the system cannot find it any more"
                )
    elif is_critical_file(target) and name in ("cp", "ln", "install"):
        if any(s in ("/dev/null", "/dev/zero", "/dev/urandom") for s in sources):
            yield Finding("overwrite-system-file", "block", f"empties or replaces {target}")
    elif name == "rsync" and "--delete" in options and everything(target) and not sources[0].startswith("/"):
        yield Finding("delete-root", "block", f"deletes everything in {target} that the source does not have")


def _rewrite(name: str, words: list[str], options: list[str], command: Command) -> Iterator[Finding]:
    appends = name == "tee" and any(is_short(o, "a") or o == "--append" for o in options)
    in_place = name != "sed" or any(re.match(r"-\w*i|--in-place", o) for o in options)
    for word in words:
        if name == "truncate" and is_critical_file(word):
            yield Finding("overwrite-system-file", "block", f"empties {word}")
        elif name == "sed" and in_place and re.fullmatch(r"/etc/(?:passwd|shadow|sudoers)", word):
            script = words[0]
            level: Level = "block" if re.search(r"d$|^d|:0:|NOPASSWD|root:[^:]*:.*root::", script) else "warn"
            yield Finding(
                "overwrite-system-file", level, f"edits {word} blindly: a mistake locks everybody out"
            )
        elif name in ("tee", "sponge") and is_critical_file(word):
            yield from _written(word, command, appends=appends)


def _redirects(command: Command) -> Iterator[Finding]:
    for redirect in command.redirects:
        target = redirect.target
        if redirect.operator in _WRITES + _APPENDS and is_critical_file(target):
            yield from _written(target, command, appends=redirect.operator in _APPENDS)
        elif (
            redirect.operator in _WRITES
            and command.argv[:1] in ([], ["echo"], ["cat"], ["true"], [":"], ["printf"])
            and re.match(r"/var/log/(?:auth|secure|syslog|wtmp|btmp|lastlog|messages)", target)
        ):
            yield Finding(
                "hide-tracks", "warn", f"empties {target}: the record of who logged in and what happened"
            )
        elif redirect.operator in _WRITES and re.search(r"\.(?:bash|zsh)_history$", target):
            yield Finding("hide-tracks", "warn", "empties the command history")
        elif (
            redirect.operator in _APPENDS
            and target.endswith("authorized_keys")
            and command.argv[:1] in (["curl"], ["wget"])
        ):
            yield Finding("backdoor", "block", "lets whoever controls that address log in over SSH")


def _written(target: str, command: Command, *, appends: bool) -> Iterator[Finding]:
    """Writing a critical file: replacing an account file is fatal, appending to it is when it opens a door."""
    text = (printed(command) if command.argv[:1] != ["tee"] else read_text(command)) or ""
    accounts = re.search(
        r"passwd|shadow|group|sudoers|pam\.d|/s?bin/|\.so|/boot/|k?mem|sysrq|fstab|dpkg", target
    )
    if target == "/proc/sysrq-trigger":
        if text.strip() in ("b", "c", "o", "i", "e"):
            yield Finding("crash", "block", "stops or crashes the kernel at once, without writing data to disk")
    elif re.search(r"/(?:passwd|sudoers)", target) and _BACKDOOR.search(text):
        yield Finding("backdoor", "block", f"gives somebody root through {target} without a password")
    elif not appends and accounts:
        yield Finding("overwrite-system-file", "block", f"replaces {target}: what stood there is lost")
