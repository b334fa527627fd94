"""Host keys: which a server shows, and which are pinned."""

import base64
import binascii
import re
import subprocess
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from environments.git.keys import KINDS, BadKey, fingerprint

SCAN_SECONDS = 5
MAX_HOST_KEYS = 20
_SCP = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[A-Za-z0-9][\w.-]*):(?!//)(?P<path>[^\s:].*)")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}")
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


def address_of(url: str) -> Address | None:
    """Return where an SSH address (`ssh://git@host:port/path` or `git@host:path`) leads; None for
    any other address.
    """
    if "://" not in url:
        match = _SCP.fullmatch(url)
        return (
            Address(match["user"] or "git", match["host"], 22)
            if match and not url.startswith("-")
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


def published(host: str) -> str:
    """Return GitHub's own host keys, as lines without a host; "" for other servers."""
    return "\n".join(_GITHUB) if host.lower() in ("github.com", "ssh.github.com") else ""


def fingerprints(host_keys: str) -> str:
    """Return the fingerprints of pinned host keys, as people compare them."""
    try:
        return ", ".join(key.fingerprint for key in read_host_keys(host_keys))
    except BadKey:
        return "not readable"


def read_host_keys(pasted: str) -> tuple[HostKey, ...]:
    """Return the keys in lines of known_hosts, of ssh-keyscan or of .pub files, whatever host they
    name.

    Raise `BadKey` for a line that is none of these, and for hashed or marked lines, which nobody
    can read.
    """
    keys: dict[str, HostKey] = {}
    for number, line in enumerate(pasted.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = next((at for at, word in enumerate(words[:3]) if word in KINDS), None)
        if place is None or len(words) <= place + 1 or words[0].startswith("@"):
            raise BadKey(
                f"Line {number} is no host key; write “{KINDS[0]} AAAA…”, as ssh-keyscan prints it."
            )
        key = HostKey(words[place], words[place + 1])
        _check_blob(key, number)
        keys[key.blob] = key
    if len(keys) > MAX_HOST_KEYS:
        raise BadKey(
            f"These are {len(keys)} host keys; a server has a few, so give at most {MAX_HOST_KEYS}."
        )
    return tuple(keys.values())


def _check_blob(key: HostKey, number: int) -> None:
    try:
        blob = base64.b64decode(key.blob, validate=True)
    except (ValueError, binascii.Error):
        blob = b""
    named = blob[4 : 4 + int.from_bytes(blob[:4])] if len(blob) > 20 else b""
    if named != key.kind.encode():
        raise BadKey(f"The host key in line {number} was cut off or changed; copy it again.")


def known_hosts(address: Address, keys: str) -> str:
    """Return the file that pins exactly these keys for exactly this server."""
    return "".join(f"{address.label} {key.kind} {key.blob}\n" for key in read_host_keys(keys))


def scan(address: Address) -> tuple[HostKey, ...]:
    """Return the keys that the server shows now, unproven; raise `BadKey` when it shows none."""
    command = ["ssh-keyscan", "-T", str(SCAN_SECONDS), "-p", str(address.port), "--", address.host]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=4 * SCAN_SECONDS, errors="replace"
        )
        keys = read_host_keys(done.stdout)
    except FileNotFoundError:
        raise BadKey("OpenSSH (ssh-keyscan) is not installed where the portal runs.") from None
    except (subprocess.TimeoutExpired, BadKey):
        keys = ()
    if not keys:
        raise BadKey(f"{address.label} shows no host key; check the address and the network.")
    return keys
