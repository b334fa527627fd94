"""Plain git over one bare repository, by subprocess.

What is asked of fixed commits is remembered.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from .git_objects import STATUS_WORDS, Change, Commit, GitError, Person, read_commit, signed

ZERO = "0" * 40
SHA = re.compile(r"[0-9a-f]{40}")

# Nobody's own settings may change what the stand-in answers; whose folder it is does not matter to
# it.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def environment(**more: str) -> dict[str, str]:
    """Return the process environment for git, without variables of a git command we may run
    under.
    """
    return {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | ENVIRONMENT | more


class Git:
    """The bare repository at `path`, made when there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, ...], Any] = {}
        if not (path / "HEAD").exists():
            path.mkdir(parents=True, exist_ok=True)
            self.text("init", "--bare", "--quiet", "--template=", "--initial-branch=main", ".")
        self.text("config", "http.receivepack", "true")

    def run(
        self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-C", str(self.path), *args]
        return subprocess.run(
            command,
            input=stdin or b"",
            capture_output=True,
            env=environment(**(env or {})),
            check=False,
        )

    def text(
        self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None
    ) -> str:
        """Return what git prints; raise `GitError` when it fails."""
        done = self.run(*args, stdin=stdin, env=env)
        if done.returncode:
            raise GitError(f"git {args[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout.decode("utf-8", "replace")

    def _remembered[T](self, key: tuple[str, ...], ask: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = ask()
        return cast(T, self._known[key])

    # --- refs

    def heads(self) -> dict[str, str]:
        """Return every branch and the commit it points at."""
        lines = self.text(
            "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"
        )
        return dict(line.rsplit(" ", 1) for line in lines.splitlines())

    def ref(self, full: str) -> str | None:
        """Return the object a full ref name (`refs/…`) points at."""
        done = self.run("show-ref", "--verify", "--hash", full)
        return done.stdout.decode().strip() or None

    def resolve(self, name: str) -> str | None:
        """Return the commit meant by a branch, a tag, `heads/…`, a full ref or (part of) a commit's
        name.
        """
        if SHA.fullmatch(name):
            return name if self.is_commit(name) else None
        for full in (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}", name):
            done = self.run("rev-parse", "--verify", "--quiet", f"{full}^{{commit}}")
            if not done.returncode and not full.startswith("-"):
                return done.stdout.decode().strip()
        return None

    def is_commit(self, sha: str) -> bool:
        if ("commit", sha) not in self._known:
            if self.run("cat-file", "-e", f"{sha}^{{commit}}").returncode:
                return False
            self._known["commit", sha] = True
        return True

    def move(self, ref: str, new: str | None, old: str | None = None) -> bool:
        """Point `ref` at `new` (None: deletes it) if it still points at `old`; False when it does
        not.
        """
        if new is None:
            args = ["update-ref", "-d", ref, *([old] if old else [])]
        else:
            args = ["update-ref", ref, new, *([old] if old else [])]
        return self.run(*args).returncode == 0

    # --- commits

    def commits(self, *arguments: str) -> list[Commit]:
        """Return the commits that `git log` lists for `arguments`."""
        fields = "%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"
        words = self.text("log", "-z", f"--format={fields}", *arguments).split("\0")
        return [read_commit(words[at : at + 10]) for at in range(0, len(words) - 9, 10)]

    def commit(self, sha: str) -> Commit:
        return self._remembered(("show", sha), lambda: self.commits("-1", sha, "--")[0])

    def merge_base(self, first: str, other: str) -> str | None:
        return self._remembered(
            ("base", first, other),
            lambda: self.run("merge-base", first, other).stdout.decode().strip() or None,
        )

    def is_ancestor(self, old: str, new: str) -> bool:
        return old == new or self.merge_base(old, new) == old

    def ahead_behind(self, base: str, head: str) -> tuple[int, int]:
        """Return how many commits only `head` has, and only `base`."""

        def ask() -> tuple[int, int]:
            left, right = self.text(
                "rev-list", "--left-right", "--count", f"{base}...{head}"
            ).split()
            return int(right), int(left)

        return self._remembered(("count", base, head), ask)

    def tree(self, sha: str) -> str:
        """Return the tree of all files of a commit."""
        key = ("tree", sha)
        return self._remembered(key, lambda: self.text("rev-parse", f"{sha}^{{tree}}").strip())

    def totals(self, base: str, head: str) -> tuple[int, int, int]:
        """Return files, lines added and lines removed between two trees."""

        def ask() -> tuple[int, int, int]:
            lines = self.text("diff", "--numstat", "-M", base, head, "--").splitlines()
            counts = [
                [int(n) if n.isdigit() else 0 for n in line.split("\t")[:2]] for line in lines
            ]
            return len(lines), sum(n[0] for n in counts), sum(n[1] for n in counts)

        return self._remembered(("totals", base, head), ask)

    def changes(self, base: str, head: str, limit: int = 3000) -> list[Change]:
        """Return the first `limit` files that differ, with their patches."""
        raw = self.text("diff", "--raw", "-z", "-M", "--no-abbrev", base, head, "--").split("\0")
        counts = self.text("diff", "--numstat", "-M", base, head, "--").splitlines()
        patches = re.split(
            r"^diff --git .*\n", self.text("diff", "-M", base, head, "--"), flags=re.M
        )[1:]
        changes: list[Change] = []
        at = 0
        while at < len(raw) - 1 and len(changes) < limit:
            _, _, old_sha, new_sha, letter = raw[at].split(" ")
            previous = raw[at + 1] if letter[0] in "RC" else ""
            path = raw[at + 2] if previous else raw[at + 1]
            added, removed = (
                int(n) if n.isdigit() else 0 for n in counts[len(changes)].split("\t")[:2]
            )
            hunk = patches[len(changes)].find("@@ ") if len(changes) < len(patches) else -1
            patch = patches[len(changes)][hunk:].rstrip("\n") if hunk >= 0 else ""
            sha = old_sha if new_sha == ZERO else new_sha
            changes.append(
                Change(path, STATUS_WORDS[letter[0]], sha, added, removed, previous, patch)
            )
            at += 3 if previous else 2
        return changes

    # --- making commits

    def merged_tree(self, ours: str, theirs: str) -> str | None:
        """Return the tree of a merge of two commits; None on a conflict."""

        def ask() -> str | None:
            done = self.run("merge-tree", "--write-tree", "--no-messages", ours, theirs)
            if done.returncode > 1:
                raise GitError(f"git merge-tree: {done.stderr.decode('utf-8', 'replace').strip()}")
            return None if done.returncode else done.stdout.decode().split("\n")[0].strip()

        return self._remembered(("merge", ours, theirs), ask)

    def commit_tree(
        self, tree: str, parents: list[str], message: str, author: Person, by: Person
    ) -> str:
        """Write a commit and give its name; the same input gives the same name."""
        flags = [word for parent in parents for word in ("-p", parent)]
        return self.text(
            "commit-tree", tree, *flags, stdin=message.encode(), env=signed(author, by)
        ).strip()

    def replayed(self, base: str, onto: str, head: str, by: Person) -> str | None:
        """Return `base..head` without merges, rewritten on top of `onto`; None on a conflict."""
        tip = onto
        for commit in self.commits(
            "--reverse", "--topo-order", "--no-merges", f"{base}..{head}", "--"
        ):
            # A double of `tip` whose parent is the commit's parent makes merge-tree apply this
            # commit alone.
            parents = list(commit.parents[:1])
            stand = self.commit_tree(self.commit(tip).tree, parents, "replay", commit.author, by)
            tree = self.merged_tree(stand, commit.sha)
            if tree is None:
                return None
            tip = self.commit_tree(tree, [tip], commit.message, commit.author, by)
        return tip

    def with_files(self, parent: str | None, files: dict[str, str | None]) -> str:
        """Return the tree of `parent` (None: an empty one) with files written (text) or removed
        (None).
        """
        index = {"GIT_INDEX_FILE": str(self.path / "sandbox-index")}
        self.text("read-tree", *([parent] if parent else ["--empty"]), env=index)
        lines = []
        for path, content in files.items():
            blob = ZERO
            if content is not None:
                blob = self.text("hash-object", "-w", "--stdin", stdin=content.encode()).strip()
            lines.append(f"{'100644' if content is not None else '0'} {blob}\t{path}\0")
        self.text("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=index)
        return self.text("write-tree", env=index).strip()

    def take_over(self, source: Path, branches: dict[str, str]) -> None:
        """Copy `branches` (name here: any revision there) from the repository at `source`.

        Raise `GitError` in git's words when a revision is unknown or history is missing there.
        """

        def ask(*args: str, stdin: bytes = b"", out: IO[bytes] | int = subprocess.PIPE) -> bytes:
            command = ["git", "-C", str(source), *args]
            done = subprocess.run(
                command,
                input=stdin,
                stdout=out,
                stderr=subprocess.PIPE,
                env=environment(),
                check=False,
            )
            if done.returncode:
                raise GitError(f"git {args[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
            return done.stdout or b""

        shas = {
            name: (
                ask("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
                .decode()
                .strip()
            )
            for name, revision in branches.items()
        }
        shallow = Path(source, ask("rev-parse", "--git-path", "shallow").decode().strip())
        if shallow.exists():  # a shallow clone ends somewhere: so does its copy
            (self.path / "shallow").write_bytes(shallow.read_bytes())
        with tempfile.TemporaryFile(dir=self.path) as pack:
            wanted = "\n".join(shas.values()).encode() + b"\n"
            ask("pack-objects", "--revs", "--stdout", "-q", stdin=wanted, out=pack)
            pack.seek(0)
            command = ["git", "-C", str(self.path), "index-pack", "--stdin", "--fix-thin"]
            subprocess.run(command, stdin=pack, capture_output=True, env=environment(), check=True)
        for name, sha in shas.items():
            self.text("update-ref", f"refs/heads/{name}", sha)
