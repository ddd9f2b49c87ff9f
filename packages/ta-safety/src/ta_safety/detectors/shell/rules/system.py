"""Rules on the running system: processes, accounts, protection, packages, services' data."""

# ruff: noqa: E501  # tables and patterns are easier to read whole

import re
from collections.abc import Iterator

from ta_safety.detectors.shell.rules.finding import Finding
from ta_safety.detectors.shell.script import Command

_ESSENTIAL = re.compile(
    r"(?:libc6?|glibc|systemd|dpkg|apt|rpm|bash|coreutils|sudo|openssh-server|linux-image\S*|linux-generic|kernel\S*|"
    r"python3?|init|udev|util-linux|base-files|login|passwd|libc-bin|network-manager|grub\S*|\*|.\*)(?::\w+)?"
)
_REMOVES = {
    "remove",
    "purge",
    "autoremove",
    "erase",
    "-R",
    "-Rns",
    "-Rdd",
    "-Rs",
    "-e",
    "-r",
    "-P",
    "--purge",
    "--erase",
}
_DATA_LOSS = (
    (r"redis-cli", r"FLUSHALL|FLUSHDB", "empties the Redis database"),
    (r"mysql|mariadb|psql|sqlite3|mysqladmin", r"(?i)\bDROP\s+(?:DATABASE|SCHEMA|TABLE)|\bTRUNCATE\b|^drop$|DELETE\s+FROM\s+\w+\s*;?$",
     "drops data of the database for good"),
    (r"mongo|mongosh", r"dropDatabase", "drops a whole database for good"),
    (r"aws", r"rb .*--force|s3 rm .*--recursive|terminate-instances", "deletes cloud data or machines"),
    (r"terraform|tofu", r"destroy.*-auto-approve|apply.*-destroy.*-auto", "destroys all managed infrastructure without asking"),
    (r"kubectl", r"delete (?!.*(?:-n|--namespace)\b).*--all\b|delete (?:ns|namespace)s? (?:kube-system|default|--all)", "deletes a whole group of running workloads"),
    (r"git", r"push .*(?:--mirror|--delete).*(?:main|master)|push .*(?:-f|--force)\b.*(?:main|master)",
     "replaces the history of a shared branch"),
    (r"docker|podman", r"system prune (?=.*--volumes)(?=.*(?:-\w*f|--force))|volume prune .*(?:-\w*a\w*f|-\w*f\w*a|--all.*-f)",
     "removes all volumes, which hold the containers' data"),
)  # fmt: skip


MAX_LINE = 1_000
"""Characters of a command line that patterns are tried on: some of them cost the square of the length."""


def system_findings(command: Command) -> Iterator[Finding]:
    """Findings on what a command does to the running system."""
    argv = command.argv
    if not argv:
        return
    name, rest = argv[0], argv[1:]
    line = " ".join(rest)[:MAX_LINE]
    yield from _processes(name, rest)
    yield from _accounts(name, rest, line)
    yield from _protection(name, rest, line)
    yield from _packages(name, rest)
    for programs, pattern, what in _DATA_LOSS:
        if re.fullmatch(programs, name) and re.search(pattern, line):
            yield Finding("delete-data", "warn", what)


def _processes(name: str, rest: list[str]) -> Iterator[Finding]:
    if name == "kill" and "-1" in rest[1:] and rest[:1] != ["-l"]:
        yield Finding("kill-all", "block", "kills every process you may kill, your session included")
    elif (
        name == "kill"
        and rest[-1:] == ["1"]
        and any(r in ("-9", "-KILL", "-SIGKILL", "-SEGV", "-11") for r in rest)
    ):
        yield Finding("kill-all", "block", "kills the first process, on which all others depend")
    elif name == "killall5":
        yield Finding("kill-all", "block", "kills every process outside this session")
    elif name in ("pkill", "killall") and any(r in (".", ".*", "^", "''") for r in rest):
        yield Finding(
            "kill-all", "block", "kills every process whose name matches, and here that is all of them"
        )
    elif name in ("pkill", "killall", "skill") and "root" in rest and "-u" in rest:
        yield Finding("kill-all", "block", "kills all processes of root, which stops the system")
    elif name == "sysctl" and any(re.match(r"kernel\.(?:panic|sysrq).*trigger", r) for r in rest):
        yield Finding("crash", "block", "crashes the kernel")


def _accounts(name: str, rest: list[str], line: str) -> Iterator[Finding]:
    if name in ("useradd", "usermod", "adduser") and re.search(r"(?:-\w*u|--uid)[ =]?0\b", line):
        yield Finding("backdoor", "block", "makes a second root account")
    elif name == "passwd" and re.search(r"(?:-\w*d|--delete)\b.*\broot\b|\broot\b.*(?:-\w*d\b|--delete)", line):
        yield Finding("backdoor", "block", "takes the password from root: anybody can log in")
    elif (
        name in ("userdel", "deluser", "passwd", "usermod")
        and "root" in rest
        and re.search(r"-\w*[rfl]|--remove|--lock", line)
    ):
        yield Finding("lock-out", "block", "locks or removes root")
    elif name in ("userdel", "deluser") and rest[-1:] == ["root"]:
        yield Finding("lock-out", "block", "removes root")
    elif name == "setcap" and re.search(r"cap_(?:setuid|sys_admin|dac_override)\S*ep", line):
        yield Finding("backdoor", "block", "lets everybody who runs that program become root")
    elif name == "history" and re.search(r"-\w*c", line):
        yield Finding("hide-tracks", "warn", "clears the command history of this session")
    elif name in ("unset", "export") and re.search(r"\bHIST(?:FILE|SIZE)(?:$|=(?:/dev/null|0)?$)", line):
        yield Finding("hide-tracks", "warn", "keeps this session out of the command history")
    elif name == "ln" and re.search(r"/dev/null \S*\.(?:bash|zsh)_history", line):
        yield Finding("hide-tracks", "warn", "keeps all sessions out of the command history")


def _protection(name: str, rest: list[str], line: str) -> Iterator[Finding]:
    if name in ("iptables", "ip6tables") and re.search(
        r"^(?:-t filter )?(?:-F|--flush)$|-P (?:INPUT|FORWARD) ACCEPT", line
    ):
        yield Finding(
            "protection-off",
            "warn",
            "empties the firewall: every port is open, or with a DROP policy all is cut off",
        )
    elif name == "nft" and line == "flush ruleset":
        yield Finding("protection-off", "warn", "empties the firewall")
    elif name == "setenforce" and rest[:1] in (["0"], ["Permissive"], ["permissive"]):
        yield Finding("protection-off", "warn", "switches SELinux off until the next start")
    elif name in ("systemctl", "service") and re.search(
        r"(?:stop|disable|mask)\b.*\b(?:auditd|apparmor|fail2ban|rsyslog|systemd-journald|firewalld|nftables|clamav-daemon)\b",
        line,
    ):
        yield Finding("protection-off", "warn", "stops what protects or records this machine")
    elif name in ("auditctl",) and re.search(r"-e ?0", line):
        yield Finding("protection-off", "warn", "stops the audit log")
    elif name == "sysctl" and re.search(r"randomize_va_space=0|ptrace_scope=0", line):
        yield Finding("protection-off", "warn", "takes a protection of the kernel away")
    elif name == "crontab" and re.search(r"(?:^|\s)-\w*r", line):
        yield Finding("delete-data", "warn", "deletes all your scheduled jobs at once and does not ask")
    elif name == "mount" and re.search(r"--bind /dev/null|-t tmpfs \S+ /(?:etc|usr|home|var|bin)?$", line):
        yield Finding("crash", "block", "covers a system folder: everything in it is out of reach")
    elif name == "swapoff" and "--all-forced" in rest:
        yield Finding("crash", "warn", "takes all swap away")


def _packages(name: str, rest: list[str]) -> Iterator[Finding]:
    if name not in ("apt", "apt-get", "aptitude", "dpkg", "dnf", "yum", "rpm", "pacman", "zypper", "apk"):
        return
    if not (_REMOVES & set(rest)) and not (name == "apk" and rest[:1] == ["del"]):
        return
    for word in rest:
        if _ESSENTIAL.fullmatch(word) and word not in _REMOVES and not (word == "apt" and name == "apt"):
            yield Finding("remove-essential", "block", f"removes {word}, without which the system does not run")
