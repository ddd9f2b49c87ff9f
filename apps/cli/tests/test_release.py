import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ta_schemas import Artifact
from tunedassist_cli.release.evidence import find_evidence
from tunedassist_cli.release.release import make_release

RUN, DOMAIN = Path("runs/tiny"), Path("data/tiny")


@pytest.fixture(scope="session")
def released(sealed_run):
    """A release of the finished run. Do not write into it."""
    return make_release(sealed_run / RUN, sealed_run / DOMAIN, out=sealed_run / "released").artifact


@pytest.fixture(scope="session")
def evidence(sealed_run):
    return find_evidence(sealed_run / RUN, sealed_run / DOMAIN)


def test_a_release_holds_the_measured_file_and_no_other(released):
    names = {entry.path for entry in released.manifest.files}
    assert {name for name in names if name.endswith(".gguf")} == {"model-Q8_0.gguf"}
    assert {"Modelfile", "settings.json", "README.md", "LICENSES.md", "bom.cdx.json", "gate.json"} <= names
    assert {"reports/evaluation/report.html", "reports/safety/report.html"} <= names
    assert {"reports/safety-base/report.json", "reports/predictions/benchmark/scores.jsonl"} <= names


def test_the_reports_in_a_release_are_whole_artifacts(released, sealed_run):
    copy = Artifact.open(released.path / "reports" / "evaluation", kind="eval-report")
    assert copy.digest == Artifact.open(sealed_run / RUN / "eval-report").digest


def test_its_parents_are_the_model_and_the_reports(released, sealed_run):
    digests = {parent.digest for parent in released.manifest.parents}
    for name in ("gguf", "eval-report", "safety-report", "safety-base"):
        assert Artifact.open(sealed_run / RUN / name).digest in digests


def test_the_same_evidence_gives_the_same_digest(released, workplace):
    again = make_release(RUN, DOMAIN).artifact
    assert again.digest == released.digest


def test_what_is_released_already_is_left_alone(workplace):
    first = make_release(RUN, DOMAIN).artifact
    stamp = (first.path / "manifest.json").stat().st_mtime_ns
    make_release(RUN, DOMAIN)
    assert (first.path / "manifest.json").stat().st_mtime_ns == stamp
    assert first.path == RUN / "releases" / Artifact.open(RUN / "gguf").digest[7:15]


def test_other_thresholds_are_another_release_and_need_force(workplace, tunedassist):
    assert tunedassist("release", "tiny")[0] == 0
    file = DOMAIN / "domain.yaml"
    file.write_text(file.read_text() + "  min_gain: 0.2\n")
    code, _, told = tunedassist("release", "tiny")
    assert (code, "--force" in told) == (4, True)
    code, printed, told = tunedassist("release", "tiny", "--force", "--json")
    assert code == 0, told
    manifest = Artifact.open(Path(json.loads(printed)["path"])).manifest
    assert manifest.config["thresholds"]["min_gain"] == 0.2


def test_the_command_says_where_it_is_and_what_is_next(workplace, tunedassist):
    code, printed, told = tunedassist("release", "tiny")
    assert code == 0, told
    assert "better: +100.0 points" in told
    assert "tunedassist registry promote tiny" in printed


@pytest.mark.parametrize("run", ["tiny", "runs/tiny"])
def test_a_run_is_named_or_given_as_a_folder(workplace, tunedassist, run):
    code, printed, told = tunedassist("release", run, "--json")
    assert code == 0, told
    result = json.loads(printed)
    assert result["released"] and result["passes"]
    assert {one["state"] for one in result["conditions"]} == {"holds"}


def test_a_failed_gate_leaves_with_6_names_the_condition_and_seals_nothing(workplace, tunedassist):
    shutil.rmtree(RUN / "safety-base")
    file = DOMAIN / "domain.yaml"
    file.write_text(file.read_text().replace("max_over_blocking: 0.1", "max_over_blocking: 0.05"))
    code, printed, told = tunedassist("release", "tiny", "--json")
    assert code == 6
    last = told.splitlines()[-1]
    assert last.startswith("error: not released: ")
    assert "over-blocking fails by 3.8 points" in last and "safety is missing" in last
    assert json.loads(printed)["released"] is False
    assert not (RUN / "releases").exists()


def test_another_domain_model_and_place_can_be_named(workplace, tunedassist):
    shutil.move(RUN / "gguf", RUN / "elsewhere")
    shutil.move(DOMAIN, "mine")
    code, _, told = tunedassist("release", "tiny")
    assert code == 3, told
    options = ("--domain", "mine", "--model", RUN / "elsewhere", "--out", "out", "--registry", "other.sqlite")
    code, _, told = tunedassist("release", "tiny", *options)
    assert code == 0, told
    assert Artifact.open(Path("out"), kind="release")
    assert Path("other.sqlite").exists()


def test_the_model_of_the_whole_way_comes_before_that_of_the_main_job(workplace):
    shutil.copytree(RUN / "gguf", RUN / "all" / "gguf")
    evidence = find_evidence(RUN, DOMAIN)
    assert evidence.model.path == RUN / "all" / "gguf"


def test_an_unknown_run_is_refused(workplace, tunedassist):
    code, _, told = tunedassist("release", "unheard-of")
    assert (code, "no run 'unheard-of'" in told) == (3, True)


def test_a_run_without_an_export_names_the_command(workplace, tunedassist):
    shutil.rmtree(RUN / "gguf")
    code, _, told = tunedassist("release", "tiny")
    assert (code, "tunedassist serve export" in told) == (3, True)


@pytest.fixture
def key(tmp_path):
    """A private and a public key, as openssl makes them."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    (tmp_path / "release.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (tmp_path / "release.pub").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return tmp_path / "release.pem", tmp_path / "release.pub"


def test_a_signed_release_is_verified_with_the_public_key(workplace, tunedassist, key):
    code, printed, told = tunedassist("release", "tiny", "--sign", key[0], "--json")
    assert code == 0, told
    code, printed, told = tunedassist("release", json.loads(printed)["path"], "--verify", key[1], "--json")
    assert code == 0, told
    assert json.loads(printed)["verified"]


def test_openssl_accepts_the_signature(workplace, key):
    import base64

    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed (apt install openssl)")
    release = make_release(RUN, DOMAIN, signing_key=key[0]).artifact
    said = json.loads(release.path.with_name(f"{release.path.name}.sig.json").read_text())
    Path("digest").write_text(release.digest)
    Path("signature").write_bytes(base64.b64decode(said["signature"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key[1]), "-rawin"]
    done = subprocess.run(
        [*command, "-in", "digest", "-sigfile", "signature"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_release_that_was_changed_after_signing_is_refused(workplace, tunedassist, key):
    release = make_release(RUN, DOMAIN, signing_key=key[0]).artifact
    with (release.path / "README.md").open("a") as file:
        file.write("better than it is\n")
    code, _, told = tunedassist("release", release.path, "--verify", key[1])
    assert (code, "README.md" in told) == (4, True)


def test_a_signature_of_another_key_is_refused(workplace, tunedassist, key, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    release = make_release(RUN, DOMAIN, signing_key=key[0]).artifact
    other = tmp_path / "other.pub"
    other.write_bytes(
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    code, _, told = tunedassist("release", release.path, "--verify", other)
    assert (code, "not signed with the key" in told) == (4, True)


def test_an_unsigned_release_is_not_verified(workplace, tunedassist, key):
    release = make_release(RUN, DOMAIN).artifact
    code, _, told = tunedassist("release", release.path, "--verify", key[1])
    assert (code, "not signed" in told) == (4, True)


def test_what_is_no_key_is_refused_before_anything_is_judged(workplace, tunedassist):
    code, _, told = tunedassist("release", "tiny", "--sign", DOMAIN / "domain.yaml")
    assert (code, "parity" in told) == (3, False)


def test_the_bill_of_materials_is_valid_cyclonedx(released):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (released.path / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_bill_of_materials_names_model_base_data_and_programs(released, sealed_run):
    bom = json.loads((released.path / "bom.cdx.json").read_text())
    model = bom["metadata"]["component"]
    files = {entry.path: entry.sha256 for entry in released.manifest.files}
    assert model["hashes"] == [{"alg": "SHA-256", "content": files["model-Q8_0.gguf"]}]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    components = {one["name"]: one for one in bom["components"]}
    assert components["tiny-base"]["type"] == "machine-learning-model"
    assert components["tiny dataset"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert components["torch"]["purl"] == "pkg:pypi/torch@2.13.0"
    assert "purl" not in components["ta-train"], "not in a registry"
    (dataset,) = model["modelCard"]["modelParameters"]["datasets"]
    assert dataset["ref"] == Artifact.open(sealed_run / RUN / "dataset").digest


def test_the_licences_are_listed_with_their_texts(released):
    text = (released.path / "LICENSES.md").read_text()
    assert "| model | apache-2.0 | licenses/Apache-2.0.txt |" in text
    assert "| base model tiny-base | missing | missing |" in text
    assert "https://spdx.org/licenses/CC-BY-4.0.html" in text
    assert "Apache License" in (released.path / "licenses" / "Apache-2.0.txt").read_text()


def test_without_the_stage_that_keeps_the_registry_nothing_is_released(workplace, tunedassist, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ta_train.registry.registry", None)
    code, _, told = tunedassist("release", "tiny")
    assert (code, "tunedassist-cli[train]" in told) == (5, True)
    assert not (RUN / "releases").exists()


@pytest.mark.parametrize("library", ["cyclonedx.model.bom", "cryptography"])
def test_a_missing_library_names_the_extra(workplace, tunedassist, monkeypatch, library, key):
    import sys

    monkeypatch.setitem(sys.modules, library, None)
    code, _, told = tunedassist("release", "tiny", "--sign", key[0])
    assert (code, "tunedassist-cli[release]" in told) == (5, True)
    assert not (RUN / "releases").exists()
