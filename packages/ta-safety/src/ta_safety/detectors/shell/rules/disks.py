"""Rules on disks: overwriting, formatting, partition tables, volumes."""

import re
from collections.abc import Iterator

from ta_safety.detectors.shell.payloads import read_text
from ta_safety.detectors.shell.rules.finding import Finding, Level
from ta_safety.detectors.shell.script import Command

# Lower-case letters and digits only: /dev/sdX and /dev/sdXY in a manual are nobody's disk.
_DISK = re.compile(
    r"/dev/(?:[shv]d[a-z]|xvd[a-z]|nvme\d+n\d+|mmcblk\d+|disk/by-\w+/\S+|mapper/\S+|md\d+|dm-\d+|[svh]d\?|sd\*)"
)
_PARTITION = re.compile(_DISK.pattern + r"(?:p?\d+)?")
_FIRST = re.compile(r"/dev/(?:[shv]da|xvda|nvme0n1|mmcblk0|sd\*|[svh]d\?)")
"""The disk that most machines start from."""

_GENERATES = re.compile(r"/dev/(?:zero|u?random|full)")


def is_disk(path: str) -> bool:
    """A real block device, whole or a partition."""
    return bool(_PARTITION.fullmatch(path))


def disk_findings(command: Command) -> Iterator[Finding]:
    """Findings on what a command does to block devices."""
    for redirect in command.redirects:
        if redirect.operator in (">", ">|", ">>", "&>") and is_disk(redirect.target):
            yield _overwritten(redirect.target, "block")
    argv = command.argv
    if not argv:
        return
    name = argv[0]
    devices = [word for word in argv[1:] if is_disk(word)]
    if name in ("dd", "dcfldd", "dc3dd"):
        yield from _dd(argv)
    elif name in ("shred", "scrub", "badblocks", "cp", "cat", "tee", "pv", "wipe", "nwipe", "mv", "truncate"):
        written = devices if name in ("shred", "scrub", "tee", "wipe", "nwipe", "truncate") else devices[-1:]
        harmless = (
            (name == "cat") or (name == "pv") or (name == "badblocks" and not {"-w", "-wsv", "-wv"} & set(argv))
        )
        if name in ("cp", "mv") and devices and argv[-1] != devices[-1]:
            harmless = True
        for device in [] if harmless else written:
            yield _overwritten(device)
    elif re.match(r"mkfs(?:\.\w+)?$|mke2fs$|mkswap$|mkntfs$|mkdosfs$", name) or name in (
        "wipefs",
        "blkdiscard",
    ):
        lists = name == "wipefs" and not any(re.match(r"-\w*[ao]|--all|--offset", a) for a in argv)
        for device in [] if lists else devices:
            yield Finding("format-disk", _level(device), f"erases everything on {device}")
    else:
        yield from _tables(name, command, devices)
        yield from _volumes(name, argv, devices)


def _dd(argv: list[str]) -> Iterator[Finding]:
    values = dict(word.split("=", 1) for word in argv[1:] if "=" in word)
    target, source = values.get("of", ""), values.get("if", "")
    if is_disk(target):
        yield _overwritten(target, "block" if _FIRST.match(target) and _GENERATES.match(source) else None)
    elif re.fullmatch(r"/dev/(?:k?mem|port)", target):
        yield Finding("crash", "block", "writes into the kernel's memory: the machine crashes")
    elif target and _GENERATES.match(source) and re.match(r"/(?:etc|boot|bin|sbin|usr|lib)/", target):
        yield Finding("overwrite-system-file", "block", f"replaces {target} by noise")
    elif target and _GENERATES.match(source) and "count" not in values and not target.startswith("/dev/"):
        yield Finding("fill-disk", "warn", "writes until the disk is full: give a count")


def _tables(name: str, command: Command, devices: list[str]) -> Iterator[Finding]:
    argv = command.argv
    destroys = {
        "sgdisk": r"-Z|--zap-all|-o|--clear|-z",
        "parted": r"mklabel|mktable|rm",
        "sfdisk": r"--delete|--wipe=always",
        "hdparm": r"--security-erase\S*|--trim-sector-ranges\S*",
        "nvme": r"format|sanitize",
    }.get(name)
    if destroys and devices and any(re.fullmatch(destroys, word) for word in argv[1:]):
        yield Finding(
            "partition-table", _level(devices[0]), f"destroys the partition table or the data of {devices[0]}"
        )
    elif name in ("fdisk", "sfdisk", "gdisk") and devices:
        typed = (read_text(command) or "").split()
        if ("w" in typed and ("o" in typed or "d" in typed or "g" in typed)) or (typed and name == "sfdisk"):
            yield Finding(
                "partition-table", _level(devices[0]), f"writes a new partition table to {devices[0]}"
            )


def _volumes(name: str, argv: list[str], devices: list[str]) -> Iterator[Finding]:
    rest = argv[1:]
    if (
        name == "cryptsetup"
        and rest
        and any(a in ("luksFormat", "luksErase", "erase", "luksKillSlot") for a in rest)
    ):
        for device in devices:
            yield Finding("format-disk", _level(device), f"makes everything on {device} unreadable for good")
    elif name in ("vgremove", "lvremove", "pvremove") and any(
        re.match(r"-\w*[fy]|--force|--yes", a) for a in rest
    ):
        yield Finding("remove-volume", "warn", "removes a volume with its data and does not ask")
    elif name in ("zpool", "zfs") and rest[:1] == ["destroy"]:
        yield Finding("remove-volume", "warn", f"destroys {rest[-1]} with all data in it")
    elif name == "mdadm" and any(a == "--zero-superblock" for a in rest) and devices:
        yield Finding("remove-volume", "warn", "takes a disk out of its array for good")
    elif (
        name in ("debugfs", "tune2fs")
        and devices
        and any(a in ("-w", "-R") for a in rest)
        and "rm" in " ".join(rest)
    ):
        yield Finding("format-disk", "warn", f"changes {devices[0]} behind the file system's back")


def _overwritten(device: str, level: Level | None = None) -> Finding:
    return Finding("overwrite-disk", level or _level(device), f"overwrites {device}: every file on it is lost")


def _level(device: str) -> Level:
    """The disk a machine starts from is never what was meant; another one may be, so a warning is enough."""
    return "block" if _FIRST.fullmatch(device) else "warn"
