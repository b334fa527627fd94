"""Reading a repository: a bare mirror clone, and `git` by subprocess.

Nothing here executes what it reads. References given by people are data: they are checked, never an
option of git, and the access token travels in the environment of one process, not in arguments,
config or error texts.
"""

import base64
import fcntl
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit, urlunsplit

from environments.git import checkout, ssh
from environments.git.addresses import origin

MAX_OUTPUT_BYTES = 64 * 1024 * 1024
MAX_BODY_CHARACTERS = 20_000
_PIPE_BYTES = 4096  # what any pipe takes at once, so that neither side of it can block
_WIDE_PIPE_BYTES = 1 << 20  # fewer changes between git and us than with the usual 64 KB
_FULL_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BAD_REF = re.compile(r"[\x00-\x20\x7f:?*\[\\]|\.\.")
# What our git may see of the portal's own environment: nothing secret.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_REASONS = (
    (
        "token",
        (
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "error: 401",
            "error: 403",
            "Permission denied",
            "Invalid username or",
        ),
        "{name} refused the access token; check that it is current and may read this repository.",
    ),
    (
        "missing",
        (
            "Repository not found",
            "not found",
            "does not exist",
            "error: 404",
            "does not appear to be a git repository",
            "not a git repository",
        ),
        "There is no repository at {name}, or the access token may not see it.",
    ),
    (
        "moved",
        ("error: 301", "error: 302", "error: 303", "error: 307", "error: 308", "from redirection"),
        (
            "{name} sends git to another address, where it does not follow: set the repository's"
            " present name."
        ),
    ),
    (
        "unreachable",
        (
            "Could not resolve",
            "Failed to connect",
            "Connection refused",
            "timed out",
            "unable to",
            "early EOF",
            "hung up",
            "Operation too slow",
            "Connection reset",
            "No route to host",
        ),
        "{name} cannot be reached; try again, or check the address and the network.",
    ),
)


class GitError(Exception):
    """One clear sentence for people.

    `kind`: token, key, host_key, missing, unreachable, timeout, busy, reference or git.
    """

    def __init__(self, sentence: str, kind: str = "git") -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Commit:
    """One commit; `authored_at` is aware, `body` is the message after its title."""

    sha: str
    parents: tuple[str, ...]
    title: str
    author: str
    authored_at: datetime
    body: str


class Found(NamedTuple):
    """One object of the repository; `content` is None when it was larger than asked for."""

    sha: str
    kind: str
    size: int
    content: bytes | None


class Entry(NamedTuple):
    """One line of a directory; `mode` is git's octal text: 100644, 100755, 120000 link, 40000
    directory.
    """

    name: str
    mode: str
    sha: str


class Objects:
    """One running `git cat-file --batch`: every object of a repository for the price of one
    process.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._process = self._start(subprocess.PIPE)
        self._in = cast(IO[bytes], self._process.stdin)
        self._out = cast(IO[bytes], self._process.stdout)

    def _start(self, stdin: "int | IO[bytes]", *options: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["git", f"--git-dir={self._git_dir}", "cat-file", "--batch", *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=1 << 18,
            env=_environment(),
        )

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def get(self, name: str, *, limit: int = MAX_OUTPUT_BYTES) -> Found | None:
        """The object called `name` (a hash, or `commit:path`); None where there is none."""
        return next(self.each([name], limit=limit))

    def each(
        self, names: Iterable[str], *, limit: int = MAX_OUTPUT_BYTES
    ) -> Iterator[Found | None]:
        """The objects called `names`, in that order; contents above `limit` bytes are left out."""
        waiting = list(names)
        if any("\n" in name for name in waiting):
            raise GitError("A path with a line break in it cannot be read.", "reference")
        asked = "".join(f"{name}\n" for name in waiting).encode("utf-8", "surrogateescape")
        if len(asked) > _PIPE_BYTES:
            yield from self._many(asked, len(waiting), limit)
            return
        self._in.write(asked)
        self._in.flush()
        for _ in waiting:
            yield _answer(self._out, limit)

    def _many(self, asked: bytes, count: int, limit: int) -> Iterator[Found | None]:
        """A process of their own for many: its requests come from a file, so neither side can
        block.
        """
        with tempfile.TemporaryFile() as requests:
            requests.write(asked)
            requests.seek(0)
            process = self._start(requests, "--buffer")
        out = cast(IO[bytes], process.stdout)
        with suppress(OSError):  # a user's pipes may be large up to some total only
            fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, _WIDE_PIPE_BYTES)
        try:
            for _ in range(count):
                yield _answer(out, limit)
        finally:
            process.kill()
            process.communicate()

    def entries(self, sha: str) -> list[Entry]:
        """The lines of the tree `sha`; [] where it is no tree."""
        size = len(sha) // 2
        return [_entry(line, size) for line in _lines(self._tree(sha), size)]

    def differing(self, first: str, second: str) -> tuple[list[Entry], list[Entry]]:
        """What only the first of two trees has, and what only the second; "" is an empty tree."""
        old, new, size = self._tree(first), self._tree(second), len(first or second) // 2
        start = _shared(old, new)
        was, now = set(_lines(old[start:], size)), set(_lines(new[start:], size))
        return [_entry(line, size) for line in was - now], [
            _entry(line, size) for line in now - was
        ]

    def _tree(self, sha: str) -> bytes:
        found = self.get(sha) if sha else None
        return found.content or b"" if found is not None and found.kind == "tree" else b""


def _lines(tree: bytes, size: int) -> list[bytes]:
    """git's raw format of a tree: mode, blank, name, NUL, hash of `size` bytes; and so on."""
    return re.findall(rb"\d+ [^\0]+\0.{%d}" % size, tree, re.DOTALL)


def _shared(first: bytes, second: bytes) -> int:
    """Where to begin reading two trees for their difference: a line well within what they begin
    with alike.

    What looks like the beginning of a line may stand in the middle of one; the first line read is
    then not a true one, but it is the same in both, for lines are shorter than the distance kept,
    and so cancels out.
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    mark = re.compile(rb"(?:100644|100755) [^\0]{1,500}\0").search(
        first, max(0, low - 2400), max(0, low - 600)
    )
    return mark.start() if mark else 0


def _entry(line: bytes, size: int) -> Entry:
    mode, _, name = line[: -size - 1].partition(b" ")
    return Entry(name.decode("utf-8", "surrogateescape"), mode.decode(), line[-size:].hex())


def _answer(out: IO[bytes], limit: int) -> Found | None:
    """The next answer of `git cat-file --batch`: hash, kind and size on a line, the content, a
    line break.
    """
    header = out.readline()
    if not header:
        raise GitError(
            "git ended while the repository was being read; look at the mirror's directory."
        )
    words = header.split()
    if len(words) != 3 or not words[2].isdigit():
        return None  # “… missing”, “… ambiguous”
    sha, kind, size = words[0].decode(), words[1].decode(), int(words[2])
    if size <= limit:
        return Found(sha, kind, size, out.read(size + 1)[:-1])
    left = size + 1
    while left and (skipped := len(out.read(min(left, 1 << 20)))):
        left -= skipped
    return Found(sha, kind, size, None)


class Mirror:
    """A repository at `path`: our own bare mirror of `url`, or any repository on this machine."""

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
        self._ssh = access if ssh.address_of(url) else None

    def __repr__(self) -> str:
        return f"Mirror({str(self.path)!r})"

    # -- keeping in step
    # -------------------------------------------------------------------------------

    def fetch(self, *, timeout: float = 120, pulls: Sequence[int] = ()) -> None:
        """Brings all branches and tags (and the heads of pull requests `pulls`) in step with `url`.

        Makes the mirror when there is none, follows forced updates and deletions, waits for another
        fetch. A mirror left half-made by a kill is completed. Raises `GitError`.
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
                    *(
                        "fetch",
                        "--quiet",
                        "--prune",
                        "--force",
                        "--no-tags",
                        "--no-write-fetch-head",
                    ),
                    *("--end-of-options", self.url, *specs),
                    timeout=max(0.1, deadline - time.monotonic()),
                    pass_fds=(lock,),
                    extra=extra,
                )

    def reach(self, *, timeout: float = 20) -> int:
        """How many branches `url` shows, asked now; nothing is fetched. Raises `GitError`."""
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
        """What one git needs to be let in: config, and over SSH the files of the key while the
        block lasts.

        They lie beside the mirror, under its lock, where the next fetch finds what a kill left
        behind.
        """
        if self._ssh is None:
            yield self._access()
            return
        try:
            with ssh.signed_in(self._ssh, self.url, self.path) as extra:
                yield self._access() | extra
        except ssh.BadKey as error:
            raise GitError(str(error), "key") from None

    def push_with_lease(self, branch: str, sha: str, *, expected: str, timeout: float = 60) -> None:
        """Sets `branch` at `url` to `sha`, by force, but only while it is still at `expected`.

        Raises `GitError`: lease (it is elsewhere by now: nothing was done), protected (the branch's
        rules refuse it), token, unreachable or timeout (it is not known what came of it).
        """
        if (
            not (_FULL_SHA.fullmatch(sha) and _FULL_SHA.fullmatch(expected))
            or _BAD_REF.search(branch)
            or not branch
        ):
            raise GitError("A push needs a branch and two full commit ids.", "reference")
        ref = f"refs/heads/{branch}"
        with self._locked(time.monotonic() + timeout), self._signed_in() as extra:
            done = self._run(
                *("push", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{expected}"),
                *("--end-of-options", self.url, f"{sha}:{ref}"),
                timeout=timeout,
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
        """Removes what a killed git left; we hold the lock, so nobody is using it."""
        left = [*self.path.glob("*.lock"), *self.path.glob("objects/pack/tmp_*")]
        for path in [*left, *self.path.glob("refs/**/*.lock")]:
            path.unlink(missing_ok=True)
        for path in self.path.glob(f"{ssh.LEFT}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _access(self) -> dict[str, str]:
        """Config for one process: old commits are kept for the audit, stalls end, the token is a
        header.
        """
        config = {
            "gc.pruneExpire": "never",
            "gc.autoDetach": "false",
            "credential.helper": "",
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": "30",
            # git would take its headers along to wherever the server points.
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

    # -- commits
    # ---------------------------------------------------------------------------------------

    def head(self, ref: str) -> str | None:
        """The commit that `ref` names (a full hash, else a branch, else a tag or what git makes
        of it).
        """
        if not ref or ref.startswith("-") or len(ref) > 250 or _BAD_REF.search(ref):
            raise GitError(f"“{ref[:60]}” is not the name of a branch, tag or commit.", "reference")
        names = [ref] if _FULL_SHA.fullmatch(ref) else [f"refs/heads/{ref}", ref]
        for name in names:
            found = self._run(
                *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"),
                allowed=(1, 128),
            )
            if found.returncode == 0:
                return found.stdout.decode().split()[-1]
        return None

    def has(self, sha: str) -> bool:
        """Whether the commit with this full hash is here."""
        return bool(_FULL_SHA.fullmatch(sha)) and self.head(sha) == sha

    def commit(self, ref: str) -> str:
        """The full hash of `ref`; raises `GitError` where there is none.

        A full hash is returned unlooked.
        """
        sha = ref if _FULL_SHA.fullmatch(ref) else self.head(ref)
        if sha is None:
            raise GitError(
                f"“{ref}” is not a branch, tag or commit of this repository.", "reference"
            )
        return sha

    def commits(
        self, base: str, head: str, *, limit: int = 5000, first_parent: bool = False
    ) -> tuple[Commit, ...]:
        """The commits in `head` and not in `base`, newest first; `base` "" means all; at most
        `limit`.

        `first_parent`: only those that were the branch's head one after the other, not what merges
        brought.
        """
        span = f"{self.commit(base)}..{self.commit(head)}" if base else self.commit(head)
        form = "%H%x00%P%x00%an%x00%at%x00%s%x00%b"
        out = self._run(
            *("log", "-z", f"--max-count={limit}", f"--format={form}", "--encoding=UTF-8"),
            *(["--first-parent"] if first_parent else []),
            *("--no-show-signature", "--no-color", "--end-of-options", span, "--"),
        ).stdout
        fields = out.decode("utf-8", "replace").removesuffix("\0").split("\0") if out else []
        return tuple(_commit(*fields[at : at + 6]) for at in range(0, len(fields) - 5, 6))

    def first_parents(self, head: str, *, limit: int) -> frozenset[str]:
        """The newest `limit` commits that were the head of the branch one after the other."""
        span = (
            "rev-list",
            "--first-parent",
            f"--max-count={limit}",
            "--end-of-options",
            self.commit(head),
            "--",
        )
        return frozenset(self._run(*span).stdout.decode().split())

    def is_ancestor(self, a: str, b: str) -> bool:
        """Whether commit `a` is contained in `b` (a commit contains itself)."""
        done = self._run(
            "merge-base", "--is-ancestor", self.commit(a), self.commit(b), allowed=(1,)
        )
        return done.returncode == 0

    def merge_base(self, a: str, b: str) -> str | None:
        """The best common ancestor of two commits; None for unrelated histories."""
        done = self._run("merge-base", self.commit(a), self.commit(b), allowed=(1,))
        return done.stdout.decode().strip() or None

    def same_tree(self, a: str, b: str) -> bool:
        """Whether two commits hold exactly the same files."""
        out = self._run(
            "rev-parse", f"{self.commit(a)}^{{tree}}", f"{self.commit(b)}^{{tree}}"
        ).stdout.split()
        return out[0] == out[1]

    # -- files
    # -----------------------------------------------------------------------------------------

    def changed_files(
        self, base: str, head: str, *, under: Sequence[str] = ()
    ) -> tuple[tuple[str, str, str], ...]:
        """What differs between two commits: (`A`, `M`, `D`, `R` or `T`, path, old path of a
        rename or "").
        """
        out = self._run(
            *("diff-tree", "-r", "-z", "-M", "--name-status", "--no-commit-id"),
            *("--end-of-options", self.commit(base), self.commit(head), "--", *under),
        ).stdout
        words = iter(os.fsdecode(out).split("\0")[:-1])
        changes = []
        for status in words:
            path = next(words)
            if status[0] in "RC":
                path, old = next(words), path
            else:
                old = ""
            changes.append((status[0], path, old))
        return tuple(changes)

    def tree(self, commit: str, under: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
        """(path, blob hash) of every file at `commit` below the directories or files `under`."""
        return tuple((path, sha) for path, _, sha in self._files(commit, under))

    def tree_of(self, commit: str) -> str:
        """The hash of everything that `commit` holds."""
        return (
            self._run("rev-parse", "--verify", f"{self.commit(commit)}^{{tree}}")
            .stdout.decode()
            .strip()
        )

    def read(self, blobs: Iterable[str], *, limit: int = MAX_OUTPUT_BYTES) -> dict[str, bytes]:
        """The contents of these blobs, by hash; those above `limit` bytes and unknown ones are
        left out.
        """
        wanted = list(dict.fromkeys(blobs))
        with self.objects() as objects:
            found = zip(wanted, objects.each(wanted, limit=limit), strict=True)
            return {sha: one.content for sha, one in found if one and one.content is not None}

    def read_file(self, commit: str, path: str) -> bytes | None:
        """One file's content at `commit`; None where there is none."""
        with self.objects() as objects:
            found = objects.get(f"{self.commit(commit)}:{path.strip('/')}")
        return found.content if found and found.kind == "blob" else None

    def checkout(self, commit: str, paths: Sequence[str], into: Path) -> None:
        """Writes exactly these directories or files, as they are at exactly this commit, below
        `into`.

        From the blobs themselves: in `git archive` a repository's attributes can leave out or
        rewrite files. Raises `GitError` for links, submodules, and paths that lead elsewhere.
        """
        files = self._files(commit, paths)
        for path, mode, _ in files:
            if mode not in ("100644", "100755"):
                raise GitError(
                    f"“{checkout.named(path)}” is a link or a submodule; the portal does not"
                    " follow."
                )
        with _in_a_sentence():
            checkout.judge([path for path, *_ in files])
            self._write(files, into)

    def checkout_all(self, commit: str, into: Path) -> None:
        """Writes the whole tree of exactly this commit below `into`: as `checkout`, with links,
        without submodules.

        Raises `GitError` for a link that leads out of the tree.
        """
        files = [file for file in self._files(commit, ()) if file[1] != "160000"]
        links = [file for file in files if file[1] == "120000"]
        with _in_a_sentence(), self.objects() as objects:
            checkout.judge([path for path, *_ in files])
            # Links last, so that no file is ever written through one.
            self._write([file for file in files if file[1] != "120000"], into)
            found = objects.each((sha for *_, sha in links), limit=checkout.MAX_PATH_BYTES)
            checkout.link(
                into,
                (
                    (path, one.content if one else None)
                    for (path, *_), one in zip(links, found, strict=True)
                ),
            )

    def _write(self, files: Sequence[tuple[str, str, str]], into: Path) -> None:
        total = 0
        with self.objects() as objects:
            contents = objects.each(sha for *_, sha in files)
            for (path, mode, _), found in zip(files, contents, strict=True):
                total += found.size if found else 0
                if (
                    found is None
                    or found.kind != "blob"
                    or found.content is None
                    or total > checkout.MAX_BYTES
                ):
                    message = (
                        "is missing from the repository, or the files up to it are more than 256 MB"
                    )
                    raise GitError(f"“{checkout.named(path)}” {message}.")
                checkout.write(into, path, found.content, mode)

    def files(self, commit: str) -> list[tuple[str, str]]:
        """Path and blob of every file at `commit`."""
        return [(path, sha) for path, _, sha in self._files(commit, ())]

    def _files(self, commit: str, under: Sequence[str]) -> list[tuple[str, str, str]]:
        paths = [path.strip("/") for path in under if path.strip("/") not in ("", ".")]
        out = self._run(
            "ls-tree", "-r", "-z", "--full-tree", self.commit(commit), "--", *paths
        ).stdout
        lines = [line.split("\t", 1) for line in os.fsdecode(out).split("\0") if line]
        return [(path, about.split()[0], about.split()[2]) for about, path in lines]

    @contextmanager
    def objects(self) -> Iterator[Objects]:
        """A running reader of objects, ended with the block."""
        reader = Objects(self._git_dir())
        try:
            yield reader
        finally:
            reader.close()

    # -- git
    # -------------------------------------------------------------------------------------------

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
            env=_environment() | dict(extra or {}),
            start_new_session=True,  # so that a fetch is ended with its helpers
            pass_fds=pass_fds,
        )
        try:
            out, error = _bounded(process, time.monotonic() + timeout)
        except TimeoutError:
            raise GitError(
                f"git did not answer within {timeout:.0f} s; try again.", "timeout"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()  # closes what is open
        if process.returncode and process.returncode not in allowed:
            raise self._failure(error.decode("utf-8", "replace"))
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    def _failure(self, text: str) -> GitError:
        """Tells apart what people can mend; git's own words are kept out, they may hold
        addresses.
        """
        if self._ssh and (found := ssh.reason(text, self.url, self._ssh)):
            return GitError(found[1], found[0])
        name = urlsplit(self.url).hostname or self.url or str(self.path)
        for kind, signs, sentence in _REASONS:
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


def _bounded(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bytes]:
    """What git says on both its outputs, read no further than the bound: a tree of few bytes may
    list for ever.
    """
    heard: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as both:
        for stream in heard:
            both.register(stream, selectors.EVENT_READ)
        while both.get_map():
            ready = both.select(max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if not (part := os.read(key.fd, 1 << 18)):
                    both.unregister(key.fileobj)
                heard[key.fileobj] += part
            if max(map(len, heard.values())) > MAX_OUTPUT_BYTES:
                raise GitError("git answered with more than 64 MB; narrow the range of commits.")
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(heard[process.stdout]), bytes(heard[process.stderr])


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """A tree that is not written to disk is refused as everything else here is."""
    try:
        yield
    except checkout.Hostile as refusal:
        raise GitError(str(refusal)) from None


def _commit(sha: str, parents: str, author: str, at: str, title: str, body: str) -> Commit:
    try:
        authored = datetime.fromtimestamp(int(at), UTC)
    except (ValueError, OverflowError, OSError):
        authored = datetime.fromtimestamp(
            0, UTC
        )  # git keeps dates it cannot read; so do old importers
    return Commit(
        sha, tuple(parents.split()), title, author, authored, body.strip()[:MAX_BODY_CHARACTERS]
    )


def _environment() -> dict[str, str]:
    passed = {*_PASSED_ON, *_PROXIES, *(name.lower() for name in _PROXIES)}
    return {name: value for name, value in os.environ.items() if name in passed} | {
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10",
        "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }
