"""Git over SSH: checks deploy keys before use, pins host keys, and explains failures.

A private key lies in a file of its own (0600) for the life of one process of git, and nowhere else:
it is in no argument, no environment and no sentence.
"""

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from environments.git.host_keys import address_of, known_hosts
from environments.git.keys import BadKey, examine

# How the directory of a key begins; one that a kill left is swept by the next fetch.
LEFT = "portal-ssh-"


@dataclass(frozen=True)
class Access:
    """How to sign in to a git server: the private key, and the host keys it may show."""

    private_key: str = field(repr=False)
    host_keys: str = ""
    fingerprint: str = ""


@contextmanager
def signed_in(access: Access, url: str, within: Path) -> Iterator[dict[str, str]]:
    """Provide the environment in which git reaches `url` with this key and takes no other host key
    than the pinned ones.

    Key and host keys lie in a new directory below `within` until the block ends. Raise `BadKey`.
    """
    address = address_of(url)
    if address is None:
        raise BadKey("The git address is not an SSH address. Write ssh://git@host/owner/name.git.")
    if shutil.which("ssh") is None:
        raise BadKey("OpenSSH (ssh) is not installed where the portal runs.")
    examine(access.private_key)
    pinned = known_hosts(address, access.host_keys)
    if not pinned:
        why = "is pinned; see Connections, and confirm the one it shows."
        raise BadKey(f"No host key of {address.host} {why}")
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
