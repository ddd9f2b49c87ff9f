"""URLs and hub datasets, brought into a folder of their own before anything is read.

    https://host/handbook.html           a file, by its name or its content type
    hf://datasets/OWNER/NAME@REVISION    a dataset of the Hugging Face hub, a JSON lines file a split

Nothing of a dataset's own code is run: `datasets` has done without scripts since version 4.
"""

import os
import re
import time
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from ta_data.collect.outcome import MIB, Limits
from ta_data.collect.readers import can_read
from ta_schemas.errors import InputError, SetupError

HUB = "hf://datasets/"
REMOTE = re.compile(r"^(https?://|hf://)", re.IGNORECASE)
ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "text/plain": ".txt",
}
"""By content type, for addresses whose name does not tell."""
MEDIA = frozenset({"Image", "Audio", "Video", "Pdf"})


def is_remote(place: str) -> bool:
    """Whether it is an address and no path."""
    return bool(REMOTE.match(place))


def shown(url: str) -> str:
    """The address as rows name it: without password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", "", ""))


def fetch(url: str, folder: Path, limits: Limits) -> dict[Path, str]:
    """Bring what is at an address into `folder`: the files, and the name by which rows know each.

    Raises InputError in one line: unreachable, refused, too large, too slow, of a kind that no reader knows.
    """
    if url.lower().startswith("hf://"):
        return _fetch_dataset(url, folder, limits)
    return {_fetch_file(url, folder, limits): shown(url)}


def _fetch_file(url: str, folder: Path, limits: Limits) -> Path:
    import httpx

    name, most = shown(url), limits.download_mb * MIB
    deadline = time.monotonic() + limits.download_s
    partial = folder / "partial"
    try:
        with (
            httpx.Client(follow_redirects=True, max_redirects=5, timeout=20.0) as client,
            client.stream("GET", url) as response,
            partial.open("wb") as file,
        ):
            if response.status_code != 200:
                raise InputError(
                    f"{name}: HTTP {response.status_code}: check the address, or download it by hand"
                )
            place = folder / _file_name(response)
            for chunk in response.iter_bytes():
                if file.tell() + len(chunk) > most:
                    raise InputError(f"{name}: larger than {limits.download_mb} MiB: download it by hand")
                if time.monotonic() > deadline:
                    raise InputError(f"{name}: not done after {limits.download_s:g} s: download it by hand")
                file.write(chunk)
    except httpx.UnsupportedProtocol:
        raise InputError(f"{name}: leads to an address that is neither http nor https: refused") from None
    except httpx.TimeoutException:
        raise InputError(f"{name}: no answer within 20 s: try again, or download it by hand") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = type(error).__name__
        raise InputError(f"{name}: cannot be reached ({what}): is there a network?") from None
    partial.replace(place)
    return place


def _file_name(response: Any) -> str:
    """The last part of the address that was reached, with an ending that a reader knows."""
    name = PurePosixPath(unquote(response.url.path)).name.replace("\0", "") or "index"
    if can_read(name):
        return name
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    ending = ENDINGS.get(kind)
    if ending is None:
        raise InputError(f"{shown(str(response.url))}: content type {kind or 'unknown'!r}: no reader for it")
    return f"{name}{ending}"


def _fetch_dataset(url: str, folder: Path, limits: Limits) -> dict[Path, str]:
    if not url.startswith(HUB):
        raise InputError(f"{url}: expected {HUB}OWNER/NAME")
    try:
        import datasets
    except ModuleNotFoundError:
        raise SetupError("datasets is not installed: install ta-data[hub]") from None
    name, _, revision = url.removeprefix(HUB).partition("@")
    deadline = time.monotonic() + limits.download_s
    files: dict[Path, str] = {}
    try:
        loaded = datasets.load_dataset(name, revision=revision or None, streaming=True)
        for split, rows in loaded.items():
            place = folder / f"{split}.jsonl"
            _write_split(rows, place, url, limits.download_mb * MIB, deadline)
            files[place] = f"{url}/{split}.jsonl"
    except (OSError, ValueError, RuntimeError) as error:
        # What the hub's client raises for "offline", "no such dataset" and "gated" are all of these.
        offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("HF_DATASETS_OFFLINE")
        why = f"{type(error).__name__}: {error}".split("\n")[0][:200]
        told = "offline, since HF_HUB_OFFLINE is set" if offline else why
        raise InputError(f"{url}: cannot be read: {told}") from None
    return files


def _write_split(rows: Any, place: Path, url: str, most: int, deadline: float) -> None:
    """The rows as JSON lines, without columns of pictures and sounds."""
    media = {name for name, kind in (rows.features or {}).items() if type(kind).__name__ in MEDIA}
    rows = rows.remove_columns(sorted(media)) if media else rows
    encode = msgspec.json.Encoder(enc_hook=str).encode
    with place.open("wb") as file:
        for row in rows:
            file.write(encode(row) + b"\n")
            if file.tell() > most:
                raise InputError(f"{url}: larger than {most // MIB} MiB: save it as files, and name the folder")
            if time.monotonic() > deadline:
                raise InputError(f"{url}: too slow: save it as files, and name the folder")
