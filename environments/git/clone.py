"""A repository on this disk: where it lies, how it signs in, and one call of its git."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from environments.git import host_keys, ssh, ssh_errors
from environments.git.addresses import origin
from environments.git.calls import REASONS, GitError, bounded, environment


class Clone:
    """A repository at `path`, and how its git is called."""

    def __init__(
        self,
        path: Path,
        url: str = "",
        *,
        token: str = "",
        token_for: str = "",
        access: ssh.Access | None = None,
    ) -> None:
        """`token` is sent over http(s) to the host of `token_for` (default: of `url`) and to no
        other.

        A password inside `url` is taken out of it, and sent to its own host where no token is.
        `access` signs in where `url` is an SSH address; without it such an address is left to the
        machine's own ssh.
        """
        parts = urlsplit(url)
        self.path = path
        if parts.scheme in ("http", "https") and parts.password is not None:
            url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
            if not token or origin(token_for or url) != origin(url):
                token, token_for = unquote(parts.password), url
        self.url = url
        self._token = token
        self._token_for = origin(token_for or url)
        self._ssh = access if host_keys.address_of(url) else None
        self._held = set[str]()  # commits that were found here: none is ever taken away

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _git_dir(self) -> Path:
        """Named outright, so that git neither searches above it nor minds whose it is."""
        inside = self.path / ".git"
        if inside.exists():
            return inside
        if not (self.path / "HEAD").exists():
            raise GitError(f"There is no git repository at {self.path}.", "missing")
        return self.path

    def _run(
        self,
        *arguments: str,
        bare: bool = False,
        allowed: Sequence[int] = (),
        timeout: float = 60,
        pass_fds: tuple[int, ...] = (),
        extra: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[bytes]":
        command = ["git", *([] if bare else [f"--git-dir={self._git_dir()}"]), *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment() | dict(extra or {}),
            start_new_session=True,  # so that a fetch is ended with its helpers
            pass_fds=pass_fds,
        )
        try:
            out, error = bounded(process, time.monotonic() + timeout)
        except TimeoutError:
            message = f"git did not answer within {timeout:.0f} s; try again."
            raise GitError(message, "timeout") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()  # closes what is open
        if process.returncode and process.returncode not in allowed:
            raise self._failure(error.decode("utf-8", "replace"))
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    def _failure(self, text: str) -> GitError:
        """Tell apart what people can fix; git's own words may hold addresses and are kept out."""
        if self._ssh and (reason := ssh_errors.reason(text, self.url, self._ssh)):
            return GitError(reason[1], reason[0])
        name = urlsplit(self.url).hostname or self.url or str(self.path)
        for kind, signs, sentence in REASONS:
            if any(sign in text for sign in signs):
                return GitError(sentence.format(name=name), kind)
        if re.search(r"bad object|unknown revision|not a valid|bad revision|Not a valid", text):
            return GitError("This commit is not in the repository; fetch it again.", "reference")
        lines = [line for line in text.splitlines() if line.startswith(("fatal:", "error:"))]
        words = (
            re.sub(r"\S*://\S*", "…", lines[0].partition(":")[2].strip())
            if lines
            else "it gave no reason"
        )
        return GitError(f"git failed: {words[:200].rstrip('.')}.")
