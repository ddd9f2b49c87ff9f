"""A release's signature: Ed25519 (RFC 8032) over its digest, in a file beside the artifact.

The digest covers every file, so the signature does. `openssl genpkey -algorithm ed25519 -out release.pem` makes
a key, `openssl pkey -in release.pem -pubout -out release.pub` what others verify with.
"""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ta_schemas import Artifact, ArtifactError, InputError
from ta_schemas.errors import SetupError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def signature_file(release: Path) -> Path:
    """Beside the release, not in it: it is made once the digest is known."""
    return release.with_name(f"{release.name}.sig.json")


def read_private_key(file: Path) -> "Ed25519PrivateKey":
    """A PEM file without a password. InputError where it is none."""
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: no private key in PEM without a password: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{file}: not an Ed25519 key: openssl genpkey -algorithm ed25519 -out {file}")
    return key


def sign(release: Artifact, key: "Ed25519PrivateKey") -> Path:
    """Write the signature file; gives its place."""
    file = signature_file(release.path)
    signed = {
        "algorithm": "ed25519",
        "digest": release.digest,
        "signature": base64.b64encode(key.sign(release.digest.encode())).decode(),
    }
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(signed, indent=2) + "\n", encoding="utf-8")
    partial.rename(file)
    return file


def verify(release: Path, public: Path) -> Artifact:
    """Hash every file and check the signature with a public key (PEM).

    Raises ArtifactError for a changed file, another digest or a wrong signature, InputError for a key or a
    signature file that cannot be read.
    """
    from cryptography.exceptions import InvalidSignature

    artifact, key, file = (
        Artifact.open(release, kind="release"),
        _read_public_key(public),
        signature_file(release),
    )
    if not file.is_file():
        raise ArtifactError(f"{file}: no such file: the release is not signed")
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        digest, signature = said["digest"], base64.b64decode(said["signature"], validate=True)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file}: not a signature file of tunedassist release --sign") from None
    if digest != artifact.digest:
        raise ArtifactError(f"{file}: signs {str(digest)[:19]}, the release is {artifact.digest[:19]}")
    try:
        key.verify(signature, artifact.digest.encode())
    except InvalidSignature:
        raise ArtifactError(f"{file}: not signed with the key that belongs to {public}") from None
    return artifact


def _read_public_key(file: Path) -> "Ed25519PublicKey":
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: no public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{file}: not an Ed25519 key")
    return key


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401 - only whether it is there
    except ImportError:
        raise SetupError("cryptography is not installed: install tunedassist-cli[release]") from None
