"""Reading a repository: its commits, what each changed, and its files at a commit.

References given by people are data: they are checked, and never an option of git.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from environments.git import checkout
from environments.git.calls import MAX_OUTPUT_BYTES, GitError
from environments.git.clone import Clone
from environments.git.objects import Objects

MAX_BODY_CHARACTERS = 20_000
FULL_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
BAD_REF = re.compile(r"[\x00-\x20\x7f:?*\[\\]|\.\.")


@dataclass(frozen=True)
class Commit:
    """One commit; `authored_at` is aware, `body` is the message after its title."""

    sha: str
    parents: tuple[str, ...]
    title: str
    author: str
    authored_at: datetime
    body: str


class Reader(Clone):
    """What a repository holds: commits, and the files of each."""

    def head(self, ref: str) -> str | None:
        """Return the commit of `ref`: a full hash, else a branch, else what git makes of it."""
        if not ref or ref.startswith("-") or len(ref) > 250 or BAD_REF.search(ref):
            raise GitError(f"“{ref[:60]}” is not the name of a branch, tag or commit.", "reference")
        names = [ref] if FULL_SHA.fullmatch(ref) else [f"refs/heads/{ref}", ref]
        for name in names:
            done = self._run(
                *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"),
                allowed=(1, 128),
            )
            if done.returncode == 0:
                return done.stdout.decode().split()[-1]
        return None

    def has(self, sha: str) -> bool:
        """Return whether the commit with this full hash is here."""
        if sha not in self._held and FULL_SHA.fullmatch(sha) and self.head(sha) == sha:
            self._held.add(sha)
        return sha in self._held

    def commit(self, ref: str) -> str:
        """Return the full hash of `ref`; raise `GitError` where there is none.

        A full hash is returned unlooked.
        """
        sha = ref if FULL_SHA.fullmatch(ref) else self.head(ref)
        if sha is None:
            raise GitError(
                f"“{ref}” is not a branch, tag or commit of this repository.", "reference"
            )
        return sha

    def commits(
        self, base: str, head: str, *, limit: int = 5000, first_parent: bool = False
    ) -> tuple[Commit, ...]:
        """Return the commits in `head` and not in `base`, newest first; `base` "" means all; at
        most `limit`.

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
        """Return the newest `limit` commits that were the branch's head one after the other."""
        out = self._run(
            *("rev-list", "--first-parent", f"--max-count={limit}"),
            *("--end-of-options", self.commit(head), "--"),
        ).stdout
        return frozenset(out.decode().split())

    def is_ancestor(self, a: str, b: str) -> bool:
        """Return whether commit `a` is contained in `b` (a commit contains itself)."""
        done = self._run(
            "merge-base", "--is-ancestor", self.commit(a), self.commit(b), allowed=(1,)
        )
        return done.returncode == 0

    def merge_base(self, a: str, b: str) -> str | None:
        """Return the best common ancestor of two commits; None for unrelated histories."""
        done = self._run("merge-base", self.commit(a), self.commit(b), allowed=(1,))
        return done.stdout.decode().strip() or None

    def same_tree(self, a: str, b: str) -> bool:
        """Return whether two commits hold exactly the same files."""
        return self.tree_of(a) == self.tree_of(b)

    def tree_of(self, commit: str) -> str:
        """Return the hash of everything that `commit` holds."""
        done = self._run("rev-parse", "--verify", f"{self.commit(commit)}^{{tree}}")
        return done.stdout.decode().strip()

    def changed_files(
        self, base: str, head: str, *, under: Sequence[str] = ()
    ) -> tuple[tuple[str, str, str], ...]:
        """Return what differs between two commits: (`A`, `M`, `D`, `R` or `T`, path, old path of a
        rename or "").
        """
        out = self._run(
            *("diff-tree", "-r", "-z", "-M", "--name-status", "--no-commit-id"),
            *("--end-of-options", self.commit(base), self.commit(head), "--", *under),
        ).stdout
        words = iter(os.fsdecode(out).split("\0")[:-1])
        changes = []
        for status in words:
            old = next(words) if status[0] in "RC" else ""
            changes.append((status[0], next(words), old))
        return tuple(changes)

    def tree(self, commit: str, under: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
        """Return path and blob hash of every file at `commit`, or of those below `under`."""
        return tuple((path, sha) for path, _, sha in self._files(commit, under))

    def read(self, blobs: Iterable[str], *, limit: int = MAX_OUTPUT_BYTES) -> dict[str, bytes]:
        """Return the contents by hash; blobs above `limit` bytes and unknown ones are left out."""
        wanted = list(dict.fromkeys(blobs))
        with self.objects() as objects:
            contents = zip(wanted, objects.each(wanted, limit=limit), strict=True)
            return {
                sha: blob.content for sha, blob in contents if blob and blob.content is not None
            }

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Return one file's content at `commit`; None where there is none."""
        with self.objects() as objects:
            blob = objects.get(f"{self.commit(commit)}:{path.strip('/')}")
        return blob.content if blob and blob.kind == "blob" else None

    def grep(self, commit: str, pattern: str, *, limit: int = 500) -> list[tuple[str, int]]:
        """Return path and number of the first line that fits `pattern` (POSIX extended) in each
        text file at `commit`, at most `limit` files. A pattern is one of ours, never a person's.
        """
        out = self._run(
            *("grep", "--extended-regexp", "--line-number", "--null", "-I", "--full-name"),
            *("--no-textconv", "--no-color", "--max-count=1", "--only-matching"),
            *("-e", pattern, self.commit(commit)),
            allowed=(1,),
        ).stdout
        lines = []
        for line in out.decode("utf-8", "surrogateescape").splitlines()[:limit]:
            where, _, rest = line.partition("\0")
            number = rest.partition("\0")[0]
            if number.isdigit():
                lines.append((where.partition(":")[2], int(number)))
        return lines

    def checkout(self, commit: str, paths: Sequence[str], into: Path) -> None:
        """Write exactly these directories or files, as they are at exactly this commit, below
        `into`.

        From the blobs themselves: in `git archive` a repository's attributes can leave out or
        rewrite files. Raise `GitError` for links, submodules, and paths that lead elsewhere.
        """
        files = self._files(commit, paths)
        for path, mode, _ in files:
            if mode not in ("100644", "100755"):
                raise GitError(
                    f"“{checkout.named(path)}” is a link or a submodule; the portal does not"
                    " follow."
                )
        checkout.judge([path for path, *_ in files])
        self._write(files, into)

    def checkout_all(self, commit: str, into: Path) -> None:
        """Write the whole tree of exactly this commit below `into`: as `checkout`, with links,
        without submodules.

        Raise `GitError` for a link that leads out of the tree.
        """
        files = [file for file in self._files(commit, ()) if file[1] != "160000"]
        links = [file for file in files if file[1] == "120000"]
        with self.objects() as objects:
            checkout.judge([path for path, *_ in files])
            # Links last, so that no file is ever written through one.
            self._write([file for file in files if file[1] != "120000"], into)
            contents = objects.each((sha for *_, sha in links), limit=checkout.MAX_PATH_BYTES)
            leads = (blob.content if blob else None for blob in contents)
            checkout.link(into, zip((path for path, *_ in links), leads, strict=True))

    def _write(self, files: Sequence[tuple[str, str, str]], into: Path) -> None:
        total = 0
        with self.objects() as objects:
            contents = objects.each(sha for *_, sha in files)
            for (path, mode, _), blob in zip(files, contents, strict=True):
                total += blob.size if blob else 0
                content = blob.content if blob and blob.kind == "blob" else None
                if content is None or total > checkout.MAX_BYTES:
                    raise GitError(
                        f"“{checkout.named(path)}” is missing from the repository, or the files up"
                        " to it are more than 256 MB."
                    )
                checkout.write(into, path, content, mode)

    def _files(self, commit: str, under: Sequence[str]) -> list[tuple[str, str, str]]:
        paths = [path.strip("/") for path in under if path.strip("/") not in ("", ".")]
        out = self._run(
            "ls-tree", "-r", "-z", "--full-tree", self.commit(commit), "--", *paths
        ).stdout
        lines = [line.split("\t", 1) for line in os.fsdecode(out).split("\0") if line]
        return [(path, about.split()[0], about.split()[2]) for about, path in lines]

    @contextmanager
    def objects(self) -> Iterator[Objects]:
        """Provide a running reader of objects, which ends with the block."""
        reader = Objects(self._git_dir())
        try:
            yield reader
        finally:
            reader.close()


def _commit(sha: str, parents: str, author: str, at: str, title: str, body: str) -> Commit:
    try:
        authored = datetime.fromtimestamp(int(at), UTC)
    except (ValueError, OverflowError, OSError):
        # Git keeps dates it cannot read; so do old importers.
        authored = datetime.fromtimestamp(0, UTC)
    body = body.strip()[:MAX_BODY_CHARACTERS]
    return Commit(sha, tuple(parents.split()), title, author, authored, body)
