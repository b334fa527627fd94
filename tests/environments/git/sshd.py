"""A real sshd on 127.0.0.1 with keys of its own, which serves one repository and nothing else."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or ""
MISSING = (
    "No sshd was found, so the tests over SSH did NOT run: install the package openssh-server."
)


@dataclass
class Sshd:
    """A running server: `private` is the key that it lets in, `other` one that it refuses,
    `host` its public key.
    """

    url: str
    port: int
    private: str
    other: str
    host: str


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> str:
    """A key made by ssh-keygen itself; its public half lies beside it."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", path], check=True
    )
    return path.read_text()


@contextmanager
def serving(where: Path, repository: Path, *, port: int = 0) -> Iterator[Sshd]:
    """An sshd of this user, ended with the block.

    A `port` that was given is used again with another host key.
    """
    where.mkdir(parents=True)
    make_key(where / "host")
    private, other = make_key(where / "client"), make_key(where / "other")
    forced = f'command="git-upload-pack {repository}",restrict'
    (where / "authorized").write_text(f"{forced} {(where / 'client.pub').read_text()}")
    port = port or free_port()
    (where / "config").write_text(_config(where, port))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(
            mode=0o755, exist_ok=True
        )  # without it an sshd of root does not begin
    with (where / "log").open("w") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(where / "config")], stderr=log, stdout=log
        )
        try:
            _wait(process, port, where / "log")
            user = pwd.getpwuid(os.getuid()).pw_name
            url = f"ssh://{user}@127.0.0.1:{port}/acme/inspector.git"
            yield Sshd(url, port, private, other, (where / "host.pub").read_text())
        finally:
            process.terminate()
            process.wait(10)


def _config(where: Path, port: int) -> str:
    return "\n".join(
        (
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {where / 'host'}",
            "PidFile none",
            f"AuthorizedKeysFile {where / 'authorized'}",
            "StrictModes no",
            "UsePAM no",
            "UseDNS no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "",
        )
    )


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise AssertionError(f"sshd ended: {log.read_text()}")
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not listen: {log.read_text()}")
