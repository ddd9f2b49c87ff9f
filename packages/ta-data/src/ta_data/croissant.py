"""Croissant metadata of a dataset: JSON-LD that dataset search engines and loaders read.

Source: MLCommons Croissant format specification, version 1.1 (conformsTo http://mlcommons.org/croissant/1.1).
"""

from typing import Any

from ta_data.split import SPLITS
from ta_schemas.artifact import Artifact
from ta_schemas.jsonl import read_objects

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "arrayShape": "cr:arrayShape",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
FIELDS = {
    "id": "name of the row",
    "source": "file and line the row came from",
    "group": "what a split is balanced over, such as a tool",
    "task": "the task whose paraphrases share an answer",
}


def croissant(dataset: Artifact) -> dict[str, Any]:
    """The metadata of a dataset artifact: a file object and a record set for each split that has rows."""
    config, manifest = dataset.manifest.config, dataset.manifest
    rows = manifest.metrics.get("rows", {})
    names = [name for name in SPLITS if rows.get(name)]
    files = {entry.path: entry for entry in manifest.files}
    total = sum(rows.values())
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": config.get("domain", "dataset"),
        "description": config.get("scope")
        or f"{total} conversations: {config.get('title') or config.get('domain')}",
        "license": _license(config.get("license", "")),
        "url": f"urn:{dataset.digest}",
        "version": f"1.0.0+{dataset.digest.removeprefix('sha256:')[:12]}",
        "citeAs": f"{config.get('title') or config.get('domain', 'dataset')}, {dataset.digest}",
        "datePublished": manifest.created_at.date().isoformat(),
        "inLanguage": config.get("language", "en"),
        "creator": {"@type": "sc:Organization", "name": config.get("title") or config.get("domain", "unknown")},
        "isLiveDataset": False,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{name}.jsonl",
                "name": f"{name}.jsonl",
                "contentUrl": f"{name}.jsonl",
                "contentSize": f"{files[f'{name}.jsonl'].size} B",
                "encodingFormat": "application/jsonlines",
                "sha256": files[f"{name}.jsonl"].sha256,
            }
            for name in names
        ],
        "recordSet": [_record_set(name, _fields_of(dataset, name)) for name in names],
    }


def _fields_of(dataset: Artifact, split: str) -> list[str]:
    """Those of `FIELDS` that a row of the split has: a loader looks for every column that is named."""
    missing = dict.fromkeys(FIELDS)
    for _, row in read_objects(dataset.file(f"{split}.jsonl")):
        for name in [name for name in missing if name in row]:
            del missing[name]
        if not missing:
            break
    return [name for name in FIELDS if name not in missing]


def _record_set(split: str, names: list[str]) -> dict[str, Any]:
    def source(column: str, path: str) -> dict[str, Any]:
        read = {"fileObject": {"@id": f"{split}.jsonl"}, "extract": {"column": column}}
        return {**read, "transform": {"jsonPath": path}} if path else read

    def field(name: str, about: str, column: str, path: str = "") -> dict[str, Any]:
        return {
            "@type": "cr:Field",
            "@id": f"{split}/{name}",
            "name": name,
            "description": about,
            "dataType": "sc:Text",
            "source": source(column, path),
        }

    messages = {
        "@type": "cr:Field",
        "@id": f"{split}/messages",
        "name": "messages",
        "description": "the turns, as OpenAI chat completions have them",
        "repeated": True,
        "subField": [
            field("messages/role", "system, user or assistant", "messages", "role"),
            field("messages/content", "the text of the turn", "messages", "content"),
        ],
    }
    fields = [field(name, FIELDS[name], name) for name in names]
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"the conversations of the {split} split",
        "key": {"@id": f"{split}/id"},
        "field": [*fields, messages],
    }


def _license(spdx: str) -> str:
    return f"https://spdx.org/licenses/{spdx}.html" if spdx else "unknown"
