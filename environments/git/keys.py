"""Deploy keys: generating, reading pasted ones, and what may be shown of them."""

import base64
import binascii
import hashlib
import warnings
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
)


class BadKey(ValueError):
    """A key or address that cannot be used; the text is a sentence and holds nothing of the key."""


@dataclass(frozen=True)
class KeyFacts:
    """What may be told of a private key; `kind` is “ed25519” or “rsa 4096”."""

    kind: str
    public: str
    fingerprint: str


def fingerprint(blob: bytes) -> str:
    """Return how OpenSSH tells a public key: SHA256 in base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


_Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def make_key() -> str:
    """Return a new Ed25519 key in OpenSSH's form."""
    return _openssh(ed25519.Ed25519PrivateKey.generate())


def take(pasted: str) -> tuple[str, KeyFacts]:
    """Return a pasted key in OpenSSH's own form, which every OpenSSH reads, and what may be told of
    it.

    Raise `BadKey`.
    """
    key = _read(
        "\n".join(line.strip() for line in pasted.strip().splitlines() if line.strip()) + "\n"
    )
    return _openssh(key), _facts(key)


def examine(private: str) -> KeyFacts:
    """Return what kind of key it is; raise `BadKey` for one that OpenSSH could not use alone."""
    return _facts(_read(private))


LOCKED = "This key is protected by a passphrase; give the portal a deploy key without one."


def _read(private: str) -> _Private:
    data = private.encode("utf-8", "replace")
    if private.lstrip().startswith(KINDS):
        raise BadKey(
            "This is the public half of a key; paste the private one, which begins with -----BEGIN."
        )
    if "PRIVATE KEY-----" not in private:
        raise BadKey("This is no private key: paste the whole file, which begins with -----BEGIN.")
    try:
        return _load(data)
    except TypeError:
        raise BadKey(LOCKED) from None
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        if "ENCRYPTED" in private:
            raise BadKey(LOCKED) from None
        raise BadKey(
            "This key cannot be read; it was cut off or changed on the way, so paste it again,"
            " whole."
        ) from None


def _facts(key: _Private) -> KeyFacts:
    kind = _kind(key)
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )
    return KeyFacts(kind, public, fingerprint(base64.b64decode(public.split()[1])))


def _load(data: bytes) -> _Private:
    own = b"OPENSSH PRIVATE KEY" in data
    with warnings.catch_warnings(
        action="ignore"
    ):  # that some kinds are old is said below, to the person
        key = (serialization.load_ssh_private_key if own else serialization.load_pem_private_key)(
            data, password=None
        )
    if not isinstance(key, _Private):
        raise BadKey(
            "Git servers take no key of this kind; make an Ed25519 key (ssh-keygen -t ed25519)."
        )
    return key


def _kind(key: _Private) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < 2048:
            raise BadKey(f"An RSA key of {key.key_size} bits is too short; make an Ed25519 key.")
        return f"rsa {key.key_size}"
    return f"ecdsa {key.key_size}"


def _openssh(key: _Private) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()
