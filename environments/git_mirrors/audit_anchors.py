"""Anchors of the audit chain as commits on a ref of the released repository, where the database's
owner cannot write.

Each commit holds the anchors that came since the one before, as lines of one file, and is pushed by
git without force. What was last seen there is remembered beside, so that a ref that is gone or set
back is noticed.
"""

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from django.conf import settings

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.models import Project
from portal import observed
from portal.audit import anchors as audit_anchors
from portal.audit.anchors import Anchor, Lost, Outside
from portal.credentials import stored
from portal.outbound.credentials import github_auth
from portal.outbound.http import ApiError

FILE = "anchors.jsonl"
SEEN = "refs/portal/seen"
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options")
LIST = ("ls-remote", "--refs", "--end-of-options")
PUSH = ("push", "--quiet", "--no-verify", "--end-of-options")
PERSON = {"GIT_AUTHOR_NAME": "release-portal", "GIT_AUTHOR_EMAIL": "release-portal@localhost"}
PERSON |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in PERSON.items()}


def read() -> Outside:
    """Return every anchor on the ref; none where no repository is known.

    What could not be read counts as missing.
    """
    ledger = _ledger()
    if ledger is None:
        return Outside([], "")
    try:
        return Outside(ledger.anchors(ledger.follow()), ledger.where)
    except (Lost, GitError, audit_anchors.UnreadableAnchors) as error:
        problem = f"The anchors in {ledger.where} could not be read: {error}"
        return Outside([], ledger.where, problem)


def write(now: datetime) -> str:
    """Push the anchors that came since the last push, if that is long enough ago; a sentence of
    what was done.

    Raise `Lost` when the ref is not what was left there; "" where no repository is known.
    """
    try:
        ledger = _ledger()
        if ledger is None:
            return ""
        head = ledger.follow()
        if head:
            observed.note("audit.anchored_outside", ledger.where)
        if head and now.timestamp() - ledger.time_of(head) < settings.ANCHOR_REF_SECONDS:
            return ""
        last = max((anchor.position for anchor in ledger.anchors(head)), default=-1)
        fresh = [anchor for anchor in audit_anchors.read_anchors() if anchor.position > last]
        if fresh and Project.objects.filter(repository=ledger.repository, watch_only=True).exists():
            return f"Not anchored on GitHub: {ledger.repository} is only watched."
        if fresh:
            ledger.add(fresh, head, now)
            observed.note("audit.anchored_outside", ledger.where)
    except (GitError, ApiError) as error:
        return f"Not anchored on GitHub: {error}"
    return f"Anchored in {ledger.where}." if fresh else ""


def _ledger() -> "Ledger | None":
    """Return the ref that the settings name, in the repository that they name or else of the first
    project.

    None without a repository or a token.
    """
    repository = settings.AUDIT_REPOSITORY or (
        Project.objects.order_by("pk").values_list("repository", flat=True).first() or ""
    )
    try:
        token = github_auth(settings.GITHUB_API_URL, stored.github()).token
    except ApiError:
        return None  # the page Connections says so
    return Ledger(repository, settings.AUDIT_REF, token) if repository else None


class Ledger(Mirror):
    """One ref of a repository on GitHub, each commit of which adds lines."""

    def __init__(self, repository: str, ref: str, token: str) -> None:
        url = f"{settings.GITHUB_GIT_URL}/{repository}.git"
        # What was seen there, apart for each place.
        kept = hashlib.sha256(f"{url} {ref}".encode()).hexdigest()[:16]
        super().__init__(
            settings.VAR_DIR / "audit-refs" / f"{kept}.git",
            url,
            token=token,
            token_for=settings.GITHUB_GIT_URL,
        )
        self.repository = repository
        self.ref, self.where = ref, f"{ref} of {repository}"

    def follow(self, *, timeout: float = 60) -> str:
        """Fetch the ref; its commit, or "" where there is none and never was.

        Raise `Lost` or `GitError`.
        """
        deadline = time.monotonic() + timeout
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked(deadline), self._signed_in() as extra:
            self._run("init", "--quiet", "--bare", "--template=", "--", str(self.path), bare=True)
            listed = (*LIST, self.url, self.ref)
            message = self._run(*listed, timeout=timeout, extra=extra)
            head = next((line.split()[0].decode() for line in message.stdout.splitlines()), "")
            seen = self.head(SEEN) or ""
            if head and head != seen:
                self._run(*FETCH, self.url, self.ref, timeout=timeout, extra=extra)
        if seen and not (head and self.is_ancestor(seen, head)):
            why = f"{seen[:10]} was there."
            raise Lost(f"The anchors in {self.where} are gone or were set back: {why}")
        if head and head != seen:
            self._run("update-ref", SEEN, head)
        return head

    def time_of(self, sha: str) -> float:
        """Return when the commit was made, in seconds since 1970."""
        return float(self._said("show", "--no-patch", "--format=%ct", "--end-of-options", sha))

    def anchors(self, head: str) -> list[Anchor]:
        """Return the anchors of all commits up to `head`, oldest first; none for "".

        Raise `UnreadableAnchors`.
        """
        if not head:
            return []
        listed = self._said("rev-list", "--reverse", "--first-parent", "--end-of-options", head)
        with self.objects() as objects:
            files = objects.each(f"{sha}:{FILE}" for sha in listed.split())
            anchors = [(file and file.content) or b"" for file in files]
        return audit_anchors.parse_all(b"".join(anchors).splitlines(), self.where)

    def add(self, anchors: Sequence[Anchor], parent: str, now: datetime) -> None:
        """Push one commit with these anchors on top of `parent` ("": the first).

        Raise `GitError`.
        """
        with tempfile.TemporaryDirectory(dir=self.path) as name:
            lines, index = Path(name) / FILE, {"GIT_INDEX_FILE": str(Path(name) / "index")}
            lines.write_bytes(b"".join(map(audit_anchors.as_line, anchors)))
            blob = self._said("hash-object", "-w", "--no-filters", "--", str(lines))
            self._run("update-index", "--add", "--cacheinfo", f"100644,{blob},{FILE}", extra=index)
            tree = self._said("write-tree", extra=index)
        at = f"@{int(now.timestamp())} +0000"
        made_by = {**PERSON, "GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        above = ["-p", parent] if parent else []
        title = f"Audit trail up to event {anchors[-1].position}"
        made = self._said("commit-tree", *above, "-m", title, tree, extra=made_by)
        with self._locked(time.monotonic() + 60), self._signed_in() as extra:
            self._run(*PUSH, self.url, f"{made}:{self.ref}", extra=extra)
        self._run("update-ref", SEEN, made)

    def _said(self, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
        return self._run(*arguments, extra=extra).stdout.decode().strip()
