"""Git over SSH: deploy keys looked at before they are used, pinned host keys, and what went wrong
in one sentence.

A private key lies in a file of its own (0600) for the life of one process of git, and nowhere else:
it is in no argument, no environment and no sentence.
"""

import base64
import binascii
import hashlib
import re
import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SCAN_SECONDS = 5
MAX_HOST_KEYS = 20
LEFT = (  # how the directory of a key begins; one that a kill left is swept by the next fetch
    "portal-ssh-"
)
_SCP = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[A-Za-z0-9][\w.-]*):(?!//)(?P<path>[^\s:].*)")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}")
_KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
)
# As GitHub publishes them (docs.github.com, “GitHub's SSH key fingerprints”, and `ssh_keys` of GET
# /meta).
_GITHUB = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    (
        "ecdsa-sha2-nistp256"
        " AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYM"
        "jNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
    ),
)


class BadKey(ValueError):
    """A key or address that cannot be used; the text is one sentence for people and holds
    nothing of the key.
    """


@dataclass(frozen=True)
class Address:
    """Where a repository lies on an SSH server. `label` is how known_hosts names the server."""

    user: str
    host: str
    port: int

    @property
    def label(self) -> str:
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"


@dataclass(frozen=True)
class HostKey:
    """One public key of a server."""

    kind: str
    blob: str

    @property
    def fingerprint(self) -> str:
        return fingerprint(base64.b64decode(self.blob))


@dataclass(frozen=True)
class KeyFacts:
    """What may be told of a private key: its kind (“ed25519”, “rsa 4096”), its public half and
    fingerprint.
    """

    kind: str
    public: str
    fingerprint: str


@dataclass(frozen=True)
class Access:
    """How to sign in to a git server: the private key, and known_hosts lines of the keys it may
    show.
    """

    private_key: str = field(repr=False)
    host_keys: str = ""
    fingerprint: str = ""


def address_of(url: str) -> Address | None:
    """Where an SSH address (`ssh://git@host:port/path` or `git@host:path`) leads; None for any
    other address.
    """
    if "://" not in url:
        found = _SCP.fullmatch(url)
        return (
            Address(found["user"] or "git", found["host"], 22)
            if found and not url.startswith("-")
            else None
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 22
    except ValueError:
        return None
    if parts.scheme != "ssh" or not _HOST.fullmatch(host) or not parts.path.strip("/"):
        return None
    return Address(unquote(parts.username or "git"), host, port)


def fingerprint(blob: bytes) -> str:
    """How OpenSSH tells a public key: SHA256 in base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


# Private keys

_Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def make_key() -> str:
    """A new Ed25519 key in OpenSSH's form."""
    return _openssh(ed25519.Ed25519PrivateKey.generate())


def take(pasted: str) -> tuple[str, KeyFacts]:
    """A pasted key in OpenSSH's own form, which every OpenSSH reads, and what may be told of it.

    Raises `BadKey`.
    """
    key = _read(
        "\n".join(line.strip() for line in pasted.strip().splitlines() if line.strip()) + "\n"
    )
    return _openssh(key), _facts(key)


def examine(private: str) -> KeyFacts:
    """What kind of key it is; raises `BadKey` for one that OpenSSH could not use without a
    person.
    """
    return _facts(_read(private))


def _read(private: str) -> _Private:
    data = private.encode("utf-8", "replace")
    if private.lstrip().startswith(_KINDS):
        raise BadKey(
            "This is the public half of a key; paste the private one, which begins with -----BEGIN."
        )
    if "PRIVATE KEY-----" not in private:
        raise BadKey("This is no private key: paste the whole file, which begins with -----BEGIN.")
    try:
        return _load(data)
    except TypeError:
        raise BadKey(
            "This key is protected by a passphrase; give the portal a deploy key without one."
        ) from None
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        if "ENCRYPTED" in private:
            raise BadKey(
                "This key is protected by a passphrase; give the portal a deploy key without one."
            ) from None
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


# Host keys


def published(host: str) -> str:
    """The host keys that are known beforehand, as lines without a host: GitHub's own; "" for
    other servers.
    """
    return "\n".join(_GITHUB) if host.lower() in ("github.com", "ssh.github.com") else ""


def fingerprints(host_keys: str) -> str:
    """Return the fingerprints of pinned host keys, as people compare them."""
    try:
        return ", ".join(one.fingerprint for one in read_host_keys(host_keys))
    except BadKey:
        return "not readable"


def read_host_keys(pasted: str) -> tuple[HostKey, ...]:
    """The keys in lines of known_hosts, of ssh-keyscan or of .pub files, whatever host they name.

    Raises `BadKey` for a line that is none of these, and for hashed or marked lines, which nobody
    can read.
    """
    found: dict[str, HostKey] = {}
    for number, line in enumerate(pasted.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = next((at for at, word in enumerate(words[:3]) if word in _KINDS), None)
        if place is None or len(words) <= place + 1 or words[0].startswith("@"):
            raise BadKey(
                f"Line {number} is no host key; write “{_KINDS[0]} AAAA…”, as ssh-keyscan"
                " prints it."
            )
        key = HostKey(words[place], words[place + 1])
        _check_blob(key, number)
        found[key.blob] = key
    if len(found) > MAX_HOST_KEYS:
        raise BadKey(
            f"These are {len(found)} host keys; a server has a few, so give at most"
            f" {MAX_HOST_KEYS}."
        )
    return tuple(found.values())


def _check_blob(key: HostKey, number: int) -> None:
    try:
        blob = base64.b64decode(key.blob, validate=True)
    except (ValueError, binascii.Error):
        blob = b""
    named = blob[4 : 4 + int.from_bytes(blob[:4])] if len(blob) > 20 else b""
    if named != key.kind.encode():
        raise BadKey(f"The host key in line {number} was cut off or changed; copy it again.")


def known_hosts(address: Address, keys: str) -> str:
    """The file that pins exactly these keys for exactly this server."""
    return "".join(f"{address.label} {key.kind} {key.blob}\n" for key in read_host_keys(keys))


def scan(address: Address) -> tuple[HostKey, ...]:
    """The keys that the server shows now, unproven; raises `BadKey` when it shows none."""
    command = ["ssh-keyscan", "-T", str(SCAN_SECONDS), "-p", str(address.port), "--", address.host]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=4 * SCAN_SECONDS, errors="replace"
        )
        found = read_host_keys(done.stdout)
    except FileNotFoundError:
        raise BadKey("OpenSSH (ssh-keyscan) is not installed where the portal runs.") from None
    except (subprocess.TimeoutExpired, BadKey):
        found = ()
    if not found:
        raise BadKey(f"{address.label} shows no host key; check the address and the network.")
    return found


# One process of git


@contextmanager
def signed_in(access: Access, url: str, within: Path) -> Iterator[dict[str, str]]:
    """The environment in which git reaches `url` with this key and takes no other host key than the
    pinned ones.

    Key and host keys lie in a new directory below `within` until the block ends. Raises `BadKey`.
    """
    address = address_of(url)
    if address is None:
        raise BadKey("The git address is not an SSH address. Write ssh://git@host/owner/name.git.")
    if shutil.which("ssh") is None:
        raise BadKey("OpenSSH (ssh) is not installed where the portal runs.")
    examine(access.private_key)
    pinned = known_hosts(address, access.host_keys)
    if not pinned:
        raise BadKey(
            f"No host key of {address.host} is pinned; see Connections, and confirm the one it"
            " shows."
        )
    with tempfile.TemporaryDirectory(prefix=LEFT, dir=within) as place:
        key, hosts = Path(place, "key"), Path(place, "known_hosts")
        key.touch(0o600)
        key.write_text(access.private_key)
        hosts.write_text(pinned)
        yield {"GIT_SSH_COMMAND": shlex.join(_command(key, hosts)), "GIT_SSH_VARIANT": "ssh"}


def _command(key: Path, hosts: Path) -> list[str]:
    """ssh with nobody's configuration: this key, these hosts, no question, no agent."""
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(key),
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    return ["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]


_REASONS = (
    (
        "host_key",
        ("HOST IDENTIFICATION HAS CHANGED",),
        (
            "{host} shows another host key than the pinned one. If it was really changed there,"
            " confirm the new one under Connections; if not, somebody stands in between."
        ),
    ),
    (
        "host_key",
        ("host key is known for", "Host key verification failed", "no matching host key type"),
        "{host} shows a host key that is not pinned; compare it under Connections, and confirm it.",
    ),
    (
        "key",
        ("Load key", "invalid format", "bad permissions", "UNPROTECTED PRIVATE KEY"),
        "The deploy key for {host} cannot be used; give the portal a new one.",
    ),
    (
        "key",
        ("Permission denied", "Too many authentication failures"),
        (
            "{host} refuses the deploy key {fingerprint}; add its public half to the repository's"
            " deploy keys."
        ),
    ),
    (
        "missing",
        (
            "Repository not found",
            "does not appear to be a git repository",
            "not a git repository",
            "does not exist",
            "access denied",
        ),
        "There is no such repository at {host}, or the deploy key {fingerprint} may not read it.",
    ),
    (
        "unreachable",
        (
            "Could not resolve",
            "Connection refused",
            "timed out",
            "No route to host",
            "Connection reset",
            "Connection closed",
            "kex_exchange_identification",
            "unreachable",
            "early EOF",
            "hung up",
        ),
        "{host} cannot be reached over SSH; try again, or check the address and the network.",
    ),
)


def reason(text: str, url: str, access: Access) -> tuple[str, str] | None:
    """(kind, sentence) of what ssh or the server said; None when it is none of the known things."""
    address = address_of(url)
    host = address.label if address else "the server"
    for kind, signs, sentence in _REASONS:
        if any(sign in text for sign in signs):
            return kind, sentence.format(host=host, fingerprint=access.fingerprint).replace(
                "  ", " "
            )
    return None
