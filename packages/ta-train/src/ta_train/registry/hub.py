"""Push and pull: an artifact as a repository of the Hugging Face Hub, whole and verified at both ends."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_schemas.artifact import refuse_existing
from ta_schemas.manifest import MANIFEST_NAME

KEPT = (".gitattributes", "README.md")
"""What a repository may hold besides the artifact: the hub's own file and a model card."""


def push(artifact_path: Path, repository: str, *, digest: str, public: bool = False) -> str:
    """Upload the artifact of this digest in one commit, so that nobody pulls half of it; the commit's id.

    The repository is made if needed, private unless `public`. Files of an earlier push that this artifact
    lacks are removed. The manifest goes without the base model's place on this machine. huggingface_hub finds
    the token (`hf auth login` or HF_TOKEN). Raises ArtifactError (tampered), InputError, SetupError (hub).
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    artifact = Artifact.open(artifact_path)
    if artifact.digest != digest:
        raise ArtifactError(f"{artifact_path}: another artifact stands there now ({artifact.digest[:19]})")
    manifest = json.loads((artifact.path / MANIFEST_NAME).read_text(encoding="utf-8"))
    manifest["environment"].pop("base_model_path", None)
    content = {entry.path: artifact.path / entry.path for entry in artifact.manifest.files}
    with _hub_errors(repository):
        api = HfApi()
        api.create_repo(repository, private=not public, exist_ok=True)
        stale = set(api.list_repo_files(repository)) - content.keys() - {MANIFEST_NAME, *KEPT}
        commit = api.create_commit(
            repository,
            [
                CommitOperationAdd(MANIFEST_NAME, json.dumps(manifest, indent=2).encode()),
                *(CommitOperationAdd(name, file) for name, file in content.items()),
                *(CommitOperationDelete(name) for name in sorted(stale)),
            ],
            commit_message=f"{artifact.manifest.kind} {artifact.digest[:19]}",
        )
    return str(commit.oid)


def pull(repository: str, out: Path, *, revision: str = "main", replace: bool = False) -> Artifact:
    """Download an artifact that was pushed to `out`; only what its manifest lists, every byte verified.

    Raises ArtifactError (no artifact, or changed on the way), InputError (no such repository or revision),
    SetupError (hub).
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    refuse_existing(out, replace=replace)
    disable_progress_bars()
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{out.name}.partial-", dir=out.parent) as partial:
        folder = Path(partial) / "artifact"
        with _hub_errors(repository):
            # One commit for all that follows, whoever pushes meanwhile.
            commit = HfApi().model_info(repository, revision=revision).sha
            hf_hub_download(repository, MANIFEST_NAME, revision=commit, local_dir=folder)
            listed = [entry.path for entry in Artifact.open(folder, verify=False).manifest.files]
            snapshot_download(repository, revision=commit, local_dir=folder, allow_patterns=listed)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's notes on the download
        Artifact.open(folder)
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    return Artifact.open(out)


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx

    try:
        yield
    except errors.HFValidationError:
        raise InputError(f"{repository!r}: expected a repository as owner/name") from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{repository}: no such revision") from None
    except errors.RepositoryNotFoundError:
        raise InputError(f"{repository}: no such repository, or private: log in with `hf auth login`") from None
    except errors.RemoteEntryNotFoundError:
        raise ArtifactError(f"{repository}: no {MANIFEST_NAME}: nothing that `registry push` made") from None
    except (httpx.HTTPError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        why = "log in with `hf auth login`" if status in (401, 403) else str(error).partition("\n")[0]
        raise SetupError(f"{repository}: the hub cannot be used ({type(error).__name__}): {why}") from None
