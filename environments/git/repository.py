"""Reading a repository: a bare mirror clone, and `git` by subprocess.

Nothing here executes what it reads. References given by people are data: they are checked, never an
option of git, and the access token travels in the environment of one process, not in arguments,
config or error texts.
"""

import base64
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from environments.git import keys, ssh
from environments.git.calls import GitError
from environments.git.reading import BAD_REF, FULL_SHA, Reader
from portal.outbound.http import seconds_left

FETCH = (
    *("fetch", "--quiet", "--prune", "--force", "--no-tags", "--no-write-fetch-head"),
    "--end-of-options",
)


class Mirror(Reader):
    """A repository at `path`: our own bare mirror of `url`, or any repository on this machine."""

    def fetch(self, *, timeout: float = 120, pulls: Sequence[int] = ()) -> None:
        """Bring all branches and tags (and the heads of pull requests `pulls`) in step with `url`.

        Makes the mirror when there is none, follows forced updates and deletions, waits for another
        fetch. A mirror left half-made by a kill is completed. Raise `GitError`.
        """
        if any(sign <= " " for sign in self._token):
            raise GitError(
                "The access token holds a space or a line break; paste it again without.", "token"
            )
        deadline = time.monotonic() + timeout
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked(deadline) as lock:
            self._sweep()
            # No template: the hooks of this machine have no say in a mirror.
            self._run("init", "--quiet", "--bare", "--template=", "--", str(self.path), bare=True)
            specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
            specs += [f"+refs/pull/{int(number)}/*:refs/pull/{int(number)}/*" for number in pulls]
            with self._signed_in() as extra:
                # Handing the lock to git keeps it held while git lives, even when we are killed.
                self._run(
                    *(*FETCH, self.url, *specs),
                    timeout=max(0.1, deadline - time.monotonic()),
                    pass_fds=(lock,),
                    extra=extra,
                )

    def reach(self, *, timeout: float = 20) -> int:
        """Return how many branches `url` shows, asked now; nothing is fetched. Raise `GitError`."""
        deadline = time.monotonic() + timeout
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked(deadline) as lock, self._signed_in() as extra:
            message = self._run(
                *("ls-remote", "--heads", "--end-of-options", self.url),
                bare=True,
                timeout=max(0.1, deadline - time.monotonic()),
                pass_fds=(lock,),
                extra=extra,
            )
        return len(message.stdout.splitlines())

    @contextmanager
    def _signed_in(self) -> Iterator[dict[str, str]]:
        """Provide what one git needs to be let in: config, and over SSH the files of the key while
        the block lasts.

        They lie beside the mirror, under its lock, where the next fetch finds what a kill left
        behind.
        """
        if self._ssh is None:
            yield self._access()
            return
        try:
            with ssh.signed_in(self._ssh, self.url, self.path) as extra:
                yield self._access() | extra
        except keys.BadKey as error:
            raise GitError(str(error), "key") from None

    def push_with_lease(self, branch: str, sha: str, *, expected: str, timeout: float = 60) -> None:
        """Set `branch` at `url` to `sha`, by force, but only while it is still at `expected`.

        Raise `GitError`: lease (it is elsewhere by now: nothing was done), protected (the branch's
        rules refuse it), token, unreachable or timeout (it is not known what came of it). Raise
        `TooLate` where the job that runs here is another worker's by now: nothing was sent.
        """
        if (
            not (FULL_SHA.fullmatch(sha) and FULL_SHA.fullmatch(expected))
            or BAD_REF.search(branch)
            or not branch
        ):
            raise GitError("A push needs a branch and two full commit ids.", "reference")
        ref = f"refs/heads/{branch}"
        with self._locked(time.monotonic() + timeout), self._signed_in() as extra:
            done = self._run(
                *("push", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{expected}"),
                *("--end-of-options", self.url, f"{sha}:{ref}"),
                timeout=min(timeout, seconds_left()),  # git is ended before another may push
                allowed=(1,),
                extra=extra,
            )
        if done.returncode == 0:
            return
        message = (done.stdout + done.stderr).decode("utf-8", "replace")
        if "stale info" in message or "fetch first" in message or "failed to update ref" in message:
            raise GitError(
                f"{branch} is not at {expected[:7]} any more, so nothing was done.", "lease"
            )
        if "[remote rejected]" in message:
            why = re.search(r"\[remote rejected\] \(([^)]{1,120})\)", message)
            rule = why[1] if why else "no reason given"
            raise GitError(
                f"The rules of {branch} refuse a forced push ({rule}), so nothing was done.",
                "protected",
            )
        raise self._failure(message)

    @contextmanager
    def _locked(self, deadline: float) -> Iterator[int]:
        descriptor = os.open(self.path / "portal-fetch", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise GitError(
                            "Another fetch of this repository is still running.", "busy"
                        ) from None
                    time.sleep(0.05)
            yield descriptor
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what a killed git left; we hold the lock, so nobody is using it."""
        left = [*self.path.glob("*.lock"), *self.path.glob("objects/pack/tmp_*")]
        for path in [*left, *self.path.glob("refs/**/*.lock")]:
            path.unlink(missing_ok=True)
        for path in self.path.glob(f"{ssh.LEFT}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _access(self) -> dict[str, str]:
        """Config for one process: old commits are kept, stalls end, the token is a header."""
        config = {
            "gc.pruneExpire": "never",
            "gc.autoDetach": "false",
            "credential.helper": "",
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": "30",
            # git would send its headers to any address that the server redirects to.
            "http.followRedirects": "false",
        }
        # Only to the host it is for: git looks the header up by the address that it asks.
        if self._token and self._token_for:
            basic = base64.b64encode(f"x-access-token:{self._token}".encode()).decode()
            config[f"http.{self._token_for}.extraHeader"] = f"Authorization: Basic {basic}"
        env = {"GIT_CONFIG_COUNT": str(len(config))}
        for number, (key, value) in enumerate(config.items()):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env
