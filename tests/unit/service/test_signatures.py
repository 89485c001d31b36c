import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from keys import make_signing_keys
from tiny_bundle import make_bundle

from service.config import Settings
from service.errors import InvalidBundle
from service.loading import load_parts
from service.signatures import SIGNATURE_FILE, UnusableKey, signer


@pytest.fixture
def keys(tmp_path):
    return make_signing_keys(tmp_path / "ours")


@pytest.fixture
def folder(tmp_path):
    return make_bundle(tmp_path / "tiny")


def load(folder, public):
    return load_parts(Settings(device="cpu", bundle_public_key=public), folder)


def test_a_signed_bundle_is_loaded(folder, keys):
    private, public = keys
    signer(private)(folder)
    assert load(folder, public).bundle.manifest.name == "tiny"
    assert load(folder, None).bundle.manifest.name == "tiny"


def test_openssl_signs_and_checks_too(folder, keys):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    private, public = keys
    signature, manifest = folder / SIGNATURE_FILE, folder / "bundle.json"
    asked = ["openssl", "pkeyutl", "-rawin", "-in", manifest]
    subprocess.run([*asked, "-sign", "-inkey", private, "-out", signature], check=True)
    load(folder, public)
    signature.unlink()
    signer(private)(folder)
    checked = [*asked, "-verify", "-pubin", "-inkey", public, "-sigfile", signature]
    subprocess.run(checked, check=True, capture_output=True)


def test_an_unsigned_bundle_is_refused(folder, keys):
    with pytest.raises(InvalidBundle, match="is not signed"):
        load(folder, keys[1])


@pytest.mark.parametrize("harm", ["manifest", "model", "signature", "short", "other"])
def test_what_is_not_as_it_was_signed_is_refused(folder, keys, tmp_path, harm):
    private, public = keys
    signer(private)(folder)
    manifest, signature = folder / "bundle.json", folder / SIGNATURE_FILE
    match harm:
        case "manifest":
            manifest.write_text(manifest.read_text() + " ")
        case "model":
            (folder / "model.onnx").write_bytes(b"other")
        case "signature":
            signature.write_bytes(bytes(64))
        case "short":
            signature.write_bytes(b"")
        case "other":
            signer(make_signing_keys(tmp_path / "theirs")[0])(folder)
    told = "is damaged" if harm == "model" else "is not a signature by"
    with pytest.raises(InvalidBundle, match=told):
        load(folder, public)


def test_other_keys_are_told(folder, keys, tmp_path):
    private, public = keys
    wrong, wrong_public = make_signing_keys(
        tmp_path / "wrong", lambda: ec.generate_private_key(ec.SECP256R1())
    )
    for path in (wrong, public, Path("/none.pem")):
        with pytest.raises(UnusableKey, match=r"holds no private Ed25519 key|cannot be read"):
            signer(path)
    signer(private)(folder)
    for path in (wrong_public, private):
        with pytest.raises(InvalidBundle, match="holds no public Ed25519 key"):
            load(folder, path)
