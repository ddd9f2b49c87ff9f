"""What a rule found, and the paths that several rules ask about."""

import re
from typing import Literal, NamedTuple

Level = Literal["allow", "warn", "block"]
LEVELS: tuple[Level, ...] = ("allow", "warn", "block")


class Finding(NamedTuple):
    """`reason` is a sentence for the person who would have run it."""

    rule: str
    level: Level
    reason: str


_SYSTEM = "bin|boot|dev|etc|home|lib|lib32|lib64|libx32|opt|proc|root|run|sbin|srv|sys|usr|var"
_ROOT = re.compile(r"/[./*?]*(?:\[[^\]]*\][*?]*)?|/\{\*,\.\*\}")
_SYSTEM_DIR = re.compile(
    rf"/+(?:(?:{_SYSTEM})(?:/+(?:\*|\.\*|\.)?)?|usr/(?:s?bin|lib(?:64)?|share|local/?\*)/?\*?"
    r"|var/(?:lib(?:/dpkg)?|spool)/?\*?|lib/(?:modules|x86_64-linux-gnu)/?\*?"
    r"|boot/(?:grub|efi|vmlinuz\S*|initrd\S*)/?\*?|etc/(?:ssh|pam\.d|systemd|apt)/?\*?)"
)
_HOME = re.compile(r"(?:~[\w-]*|\$\{?HOME\}?|/home/[\w.*?-]+|/root)/*(?:\*|\.\*|\.|\{.*\})?")
_CRITICAL = re.compile(
    r"/+(?:etc/(?:passwd|shadow|group|gshadow|sudoers(?:\.d/\S+)?|fstab|hosts|ld\.so\.\S+|crypttab|ssh/sshd_config|pam\.d/\S+"
    r"|resolv\.conf|profile|nsswitch\.conf)|boot/\S+|bin/\S+|sbin/\S+|usr/s?bin/\S+|lib(?:64)?/\S*\.so\S*"
    r"|proc/sysrq-trigger|proc/sys/\S+|dev/k?mem|var/lib/dpkg/status)"
)


def is_short(option: str, letters: str) -> bool:
    """Whether `-xyz` holds one of the letters; a loop, since a pattern would cost the square of its length."""
    return option[:1] == "-" and option[1:2] != "-" and any(letter in option for letter in letters)


def is_root(path: str) -> bool:
    """`/`, `/*`, `//`, `/../`, `/.*`."""
    return bool(_ROOT.fullmatch(_plain(path)))


def is_system(path: str) -> bool:
    """A folder without which the system does not start or nobody can log in."""
    return bool(_SYSTEM_DIR.fullmatch(_plain(path)))


def is_home(path: str) -> bool:
    """A whole home directory."""
    return bool(_HOME.fullmatch(_plain(path)))


def is_critical_file(path: str) -> bool:
    """A file whose content decides who may log in or what starts."""
    return bool(_CRITICAL.fullmatch(_plain(path)))


def everything(path: str, folder: str = "") -> str:
    """What deleting `path` recursively would take away, in words; empty where it is an ordinary path."""
    whole = path in ("*", "./*", ".", "./", ".*", "./.*", "{*,.*}", "..", "../*", "**")
    if whole and folder:
        path = folder.rstrip("/") + "/*"
    if is_root(path):
        return "the whole file system"
    if is_home(path):
        return f"the home directory {path}"
    if is_system(path):
        return f"the system folder {path}"
    return ""


def _plain(path: str) -> str:
    """`/usr/../etc//` as `/etc/`."""
    path = re.sub(r"/\./", "/", path)
    while re.search(r"/[^/.][^/]*/\.\./?", path):
        path = re.sub(r"/[^/.][^/]*/\.\.(/|$)", r"\1", path, count=1) or "/"
    return re.sub(r"/{2,}", "/", path)
