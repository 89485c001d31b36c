"""Who made a bundle: an Ed25519 signature of its manifest, which has the digest of every file.

Keys are PEM files as OpenSSL writes them, the signature its 64 bytes as they are, so OpenSSL signs
and checks bundles as well:

    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out public.pem
    openssl pkeyutl -sign -rawin -inkey key.pem -in bundle.json -out bundle.json.sig
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path

from service.bundle import MANIFEST_FILE
from service.errors import InvalidBundle

SIGNATURE_FILE = f"{MANIFEST_FILE}.sig"

# What comes before the 32 bytes of a key of this kind, in DER; RFC 8410.
_PUBLIC = bytes.fromhex("302a300506032b6570032100")
_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
_KEY_BYTES = 32


class UnusableKey(Exception):
    """A file holds no Ed25519 key of the kind that is needed; the text says why."""


def signer(private_key: Path) -> Callable[[Path], None]:
    """What writes the signature of a bundle that is complete, given its folder.

    Raises:
        UnusableKey: the file holds no private key, or the extra `signing` is not installed.
    """
    seed = _read_key(private_key, _PRIVATE, "private")
    try:
        from nacl.signing import SigningKey
    except ImportError as error:
        raise _not_installed(error) from error

    def sign(folder: Path) -> None:
        signed = SigningKey(seed).sign((folder / MANIFEST_FILE).read_bytes())
        (folder / SIGNATURE_FILE).write_bytes(signed.signature)

    return sign


def check_signature(folder: Path, public_key: Path) -> None:
    """Find out if whoever has the private key made this bundle.

    Raises:
        InvalidBundle: it is not signed, or by another, or changed since; or the key cannot be used.
    """
    try:
        key = _read_key(public_key, _PUBLIC, "public")
        manifest = (folder / MANIFEST_FILE).read_bytes()
        signature = (folder / SIGNATURE_FILE).read_bytes()
        is_valid = _is_valid(key, manifest, signature)
    except UnusableKey as error:
        raise InvalidBundle(str(error)) from error
    except OSError as error:
        raise InvalidBundle(f"{folder} is not signed: {error}") from error
    if not is_valid:
        raise InvalidBundle(f"{folder / SIGNATURE_FILE} is not a signature by {public_key}")


def _is_valid(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        from nacl.exceptions import BadSignatureError
        from nacl.exceptions import ValueError as WrongLength
        from nacl.signing import VerifyKey
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        VerifyKey(key).verify(message, signature)
    except (BadSignatureError, WrongLength):
        return False
    return True


def _read_key(path: Path, prefix: bytes, kind: str) -> bytes:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        der = base64.b64decode("".join(line for line in lines if not line.startswith("-----")))
    except OSError as error:
        raise UnusableKey(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, binascii.Error):
        der = b""
    if not der.startswith(prefix) or len(der) != len(prefix) + _KEY_BYTES:
        raise UnusableKey(f"{path} holds no {kind} Ed25519 key in PEM")
    return der[len(prefix) :]


def _not_installed(error: ImportError) -> UnusableKey:
    return UnusableKey(f"signatures need PyNaCl ({error}): install wsm-stt with the extra signing")
