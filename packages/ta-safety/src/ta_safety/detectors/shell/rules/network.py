"""Rules on the network: code fetched and run, shells handed out, secrets sent away."""

import re
from collections.abc import Iterator

from ta_safety.detectors.shell.rules.finding import Finding
from ta_safety.detectors.shell.script import Command
from ta_safety.detectors.shell.words import UNKNOWN
from ta_safety.detectors.shell.wrappers import INTERPRETERS, SHELLS, code, program

_FETCHES = {"curl", "wget", "fetch", "lynx", "http", "https", "aria2c", "GET"}
_SENDS = {
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "scp",
    "rsync",
    "ftp",
    "tftp",
    "sftp",
    "telnet",
    "mail",
}
_SENDS |= {"sendmail", "mutt", "ssh", "openssl", "http", "rclone", "nslookup", "dig", "ping"}
_SHELL_PATH = re.compile(r"(?:/\S*/)?(?:ba|da|z|k|c)?sh\b")
_SECRET = re.compile(
    r"\.ssh/(?:id_\w+|\*)|/etc/shadow|\.aws/credentials|\.gnupg|\.kube/config|\.docker/config|\.netrc|\.env\b|"
    r"\.bash_history|\.pgpass|\.git-credentials|wallet\.dat|/etc/ssl/private|\.ssh/?$|\.config/gcloud|id_(?:rsa|ed25519)\b|"
    r"\.mozilla/firefox|/etc/passwd|/proc/\S*environ|Login Data"
)
_REVERSE = (
    re.compile(
        r"socket[\s\S]{0,600}(?:dup2|pty\.spawn|/bin/(?:ba|da|z)?sh|subprocess|exec|popen)", re.IGNORECASE
    ),
    re.compile(
        r"(?:fsockopen|TCPSocket|Socket\(|net\.connect|net\.Socket|/inet/tcp)[\s\S]{0,600}(?:exec|spawn|sh\b|getline|popen)"
    ),
)
_FORKS = re.compile(
    r"fork[^;\n]*while|while[\s\S]{0,40}fork|loop\s*\{\s*fork|fork\s+while|setInterval\([^)]*(?:fork|spawn)"
)
_CODE_DELETES = re.compile(
    r"(?:rmtree|rm_rf|rm_r|remove_entry|rmSync|rmdirSync|rimraf|rmdir|unlink|remove)\(?\s*\(?['\"](/|/\*|/(?:etc|usr|home|var|boot|bin|lib)/?\*?|~/?)['\"]"
    r"|(?:unlink|os\.remove|File\.delete|os\.unlink)[\s\S]{0,30}(?:glob|walk|<)[\s(<'\"]*/(?:\*|etc|usr|home|\W)"
    r"|(?:walk|glob|Dir\[)\(?['\"]/(?:\*+/?\*?)?['\"][\s\S]{0,600}(?:remove|unlink|delete)"
)
_CODE_DISK = re.compile(
    r"(?:open|openSync|File\.\w+|fopen)\(?\s*\(?['\"]?\s*[>'\",\s]*/dev/(?:[shv]d[a-z]|nvme\d)[^)]*['\"]?[+rwab>]|>\s*/dev/sd[a-z]"
)


def network_findings(command: Command) -> Iterator[Finding]:
    """Findings on what a command fetches, hands out or sends."""
    argv = command.argv
    if not argv:
        return
    name = program(argv)
    for redirect in command.redirects:
        if re.match(r"/dev/(?:tcp|udp)/", redirect.target):
            if name in SHELLS:
                yield Finding(
                    "reverse-shell", "block", "hands a shell on this machine to another one over the network"
                )
            elif _is_secret(command):
                yield Finding("exfiltration", "block", "sends secrets to another machine")
        elif name in SHELLS and redirect.operator == "<&" and re.fullmatch(r"[3-9]|\d{2,}", redirect.target):
            yield Finding("reverse-shell", "block", "a shell that takes its commands from an open connection")
    if name in SHELLS | set(INTERPRETERS) | {"eval", "source", "."}:
        yield from _run_fetched(name, command)
    if name in INTERPRETERS or name.endswith("awk"):
        yield from _code(code(command) or "")
    if name in ("nc", "ncat", "netcat", "socat", "telnet", "openssl"):
        yield from _hand_out(name, argv, command)
    if name in _SENDS:
        yield from _send(name, argv, command)


def _run_fetched(name: str, command: Command) -> Iterator[Finding]:
    fetched = any(c.argv[:1] and c.argv[0] in _FETCHES for c in command.upstream)
    inline = any(UNKNOWN in word for word in command.argv[1:])
    files = [w for w in command.argv[1:] if not w.startswith("-")]
    if (fetched and not (name in INTERPRETERS and (code_given(command) or files))) or (
        inline and command.fetches
    ):
        yield Finding(
            "run-from-network",
            "warn",
            "runs whatever that address sends today: download it, read it, then run it",
        )
    elif (
        command.upstream
        and command.upstream[-1].argv[:1]
        and command.upstream[-1].argv[0] in ("nc", "ncat", "netcat")
    ):
        yield Finding("reverse-shell", "block", "runs what another machine sends over the network")


def code_given(command: Command) -> bool:
    """Whether an interpreter has its program as an argument, so that the pipe only brings data."""
    return any(re.match(r"-\w*[ceEmrpnf]", word) for word in command.argv[1:])


def _code(text: str) -> Iterator[Finding]:
    if any(pattern.search(text) for pattern in _REVERSE):
        yield Finding("reverse-shell", "block", "hands a shell on this machine to another one over the network")
    if _FORKS.search(text):
        yield Finding("fork-bomb", "block", "starts processes without end until the machine hangs")
    if _CODE_DELETES.search(text):
        yield Finding("delete-root", "block", "deletes a system folder or a whole home directory")
    if _CODE_DISK.search(text):
        yield Finding("overwrite-disk", "block", "writes over a disk: every file on it is lost")


def _hand_out(name: str, argv: list[str], command: Command) -> Iterator[Finding]:
    line = " ".join(argv[1:])
    runs = re.search(r"(?:^|\s)-\w*[ec]\w*\s+\S*(?:sh|cmd)\b|--(?:sh-)?exec", line) if name != "socat" else None
    if name == "socat":
        runs = re.search(r"(?:exec|system):['\"]?\S*(?:sh|cmd)\b", line, re.IGNORECASE)
    if runs and name in ("nc", "ncat", "netcat", "socat"):
        yield Finding("reverse-shell", "block", "hands a shell on this machine to whoever is at the other end")
    elif any(c.argv[:1] and c.argv[0] in SHELLS for c in command.upstream):
        yield Finding(
            "reverse-shell", "block", "sends what a shell prints to another machine, which types into it"
        )


def _send(name: str, argv: list[str], command: Command) -> Iterator[Finding]:
    line = " ".join(argv[1:])
    uploads = True
    if name == "curl":
        uploads = (
            bool(
                re.search(
                    r"(?:^|\s)(?:-\w*[dTF]|--data\S*|--upload-file|--form|--url-query)(?:[\s=@]|\S)", line
                )
            )
            or UNKNOWN in line
        )
    elif name == "wget":
        uploads = "--post" in line or "--body" in line or UNKNOWN in line
    elif name in ("ping", "dig", "nslookup"):
        uploads = UNKNOWN in line or bool(command.upstream)
    elif name in ("scp", "rsync", "rclone", "sftp"):
        uploads = bool(re.search(r":\S*$", line)) and not re.search(r"(?:localhost|127\.0\.0\.1):", line)
        uploads = uploads and not re.search(r"\.pub\b", line)
    elif name in ("ssh", "openssl"):
        uploads = bool(command.upstream) and name == "ssh"
    if not uploads:
        return
    public = re.search(r"\.pub\b", line + " ".join(w for c in command.upstream for w in c.argv))
    given = _SECRET.search(line)
    if given and name == "ssh":
        given = None
    if name in ("scp", "rsync", "sftp") and given and argv[-1].startswith(("/", "~", ".")):
        given = None  # fetched, not sent
    if re.search(r"/etc/passwd", given[0] if given else "") and name in ("scp", "rsync"):
        given = None
    if not public and (given or (_is_secret(command))):
        yield Finding(
            "exfiltration", "block", "sends keys, passwords or secrets of this machine to another one"
        )


def _is_secret(command: Command) -> bool:
    sources = [c for c in command.upstream if c is not command]
    lines = [" ".join([*c.argv, *(r.target for r in c.redirects)]) for c in sources]
    lines += [r.target for r in command.redirects if r.operator == "<"] + list(command.substituted)
    if command.redirects and not sources:
        lines.append(" ".join(command.argv))
    dumps = any(c.argv in (["env"], ["printenv"], ["set"]) for c in sources)
    return dumps or any(_SECRET.search(line) for line in lines)
