"""Which revisions a commit holds and which lie between two commits, by reading git only.

One `git cat-file --batch` per question, so the new revisions between two commits cost about what
`git diff` costs. Nothing that is read is executed.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from environments.git.objects import Objects
from environments.git.repository import Mirror
from environments.schema.history.candidates import Snapshot, nothing_found
from environments.schema.history.changes import (
    Change,
    change_between,
    in_order,
    inserted_below,
    put_back,
    with_lost_parent,
)
from environments.schema.history.graph import History, build
from environments.schema.history.location import Location, locate, locate_in
from environments.schema.history.revision import HistoryError, Problem, Revision
from environments.schema.history.revision_file import (
    MAX_FILE_BYTES,
    UnreadableError,
    check_syntax,
    judge,
)
from environments.schema.history.revision_scan import scan
from environments.schema.history.tree import Files, differing, files_in, texts, trees

__all__ = [
    "Change",
    "History",
    "HistoryError",
    "Location",
    "Problem",
    "Revision",
    "compare",
    "described",
    "in_order",
    "locate",
    "outside",
    "put_back",
    "read",
    "why_empty",
]


class _Bounded[Key, Kept](OrderedDict[Key, Kept]):
    """Forgets the oldest; two threads at worst do the same work twice."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, more: Mapping[Key, Kept]) -> None:
        self.update(more)
        while len(self) > self._limit:
            try:
                self.popitem(last=False)
            except KeyError:
                break


type _Parsed = tuple[str, Revision | UnreadableError]  # with the sha256 of the file
_parsed: _Bounded[tuple[str, str, bool], _Parsed] = _Bounded(20_000)
_histories: _Bounded[tuple[Location, tuple[tuple[str, str], ...]], History] = _Bounded(32)


def read(mirror: Mirror, commit: str, alembic: str) -> History:
    """Return the whole history at `commit` (a hash, branch or tag), with what is wrong in
    `problems`.

    Raise `GitError` when the repository itself cannot be read.
    """
    with mirror.objects() as objects:
        return _read(Snapshot(objects, mirror.commit(commit)), alembic)


def compare(mirror: Mirror, since: str, until: str, alembic: str, *, whole: bool = True) -> Change:
    """Return the revisions that `until` adds to `since` ("" for none), edits and drops.

    New and edited files are parsed in full; with `whole=False` no other file is looked at, which
    leaves out the heads and what is wrong with the rest of the history.
    """
    with mirror.objects() as objects:
        after = Snapshot(objects, mirror.commit(until))
        before = Snapshot(objects, mirror.commit(since) if since else "")
        location = locate_in(after, alembic)
        earlier = locate_in(before, alembic) if since else Location(alembic)
        gone, come = differing((before, earlier), (after, location))
        was, _ = _revisions(objects, gone, thorough=False)
        now, problems = _revisions(objects, come, thorough=True)
        if location.problem:
            problems = (Problem("location", location.problem), *problems)
        if not whole:
            return change_between(was, now, None, None, problems)
        first = _read(before, alembic) if since else None
        last = _read(after, alembic)
        if first is not None:
            sha = before.commit
            fixed = (with_lost_parent(problem, first, last, sha) for problem in last.problems)
            last = replace(last, problems=(*fixed, *inserted_below(first, last)))
        return change_between(was, now, first, last, problems)


def why_empty(mirror: Mirror, commit: str, history: History) -> str:
    """Say where was looked for the revisions of an empty `history`, and what lies there."""
    with mirror.objects() as objects:
        return nothing_found(Snapshot(objects, mirror.commit(commit)), history.directories)


def described(revision: Revision) -> dict[str, object]:
    """Return what people are told of a revision file; plain values, fit to be stored."""
    return {
        "id": revision.id,
        "path": revision.path,
        "sha256": revision.sha256,
        "message": revision.message[:200],
        "joins": list(revision.down) if len(revision.down) > 1 else [],
        "depends_on": list(revision.depends_on),
        "labels": list(revision.labels),
    }


def outside(mirror: Mirror, since: str, until: str, *alembic: str) -> tuple[str, ...]:
    """Return new or edited files that look like revisions, in no directory of any `alembic`.

    Another Alembic directory, of which nothing is run, must not be mistaken for none.
    """
    known = {
        directory
        for commit in (until, since)
        for path in alembic or ("",)
        for directory in locate(mirror, commit, path).directories
    }
    changed = [path for status, path, _ in mirror.changed_files(since, until) if status != "D"]
    likely = [path for path in changed if _LIKELY.search(path) and not _within(path, known)]
    contents = texts(mirror, until, likely[:OUTSIDE_MOST])
    return tuple(path for path, text in contents.items() if _DECLARES.search(text))


OUTSIDE_MOST = 50
_LIKELY = re.compile(r"(?:^|/)versions/(?:[^/]+/)*[^/]+\.py$")
_DECLARES = re.compile(rb"^down_revision\b", re.M)


def _within(path: str, directories: Iterable[str]) -> bool:
    return any(path.startswith(f"{directory}/") or not directory for directory in directories)


def _read(at: Snapshot, alembic: str) -> History:
    location = locate_in(at, alembic)
    held = trees(at, location)
    key = (location, tuple(held.items()))
    if (known := _histories.get(key)) is not None:
        return known
    files = files_in(at.objects, held, location)
    revisions, problems = _revisions(at.objects, files, thorough=False)
    if location.problem:
        problems = (Problem("location", location.problem), *problems)
    history = build(
        revisions,
        location.directories,
        problems,
        recursive=location.recursive,
        script=location.script,
    )
    _histories.keep({key: history})
    return history


def _revisions(
    objects: Objects, files: Files, *, thorough: bool
) -> tuple[list[Revision], tuple[Problem, ...]]:
    """Return what the files say; `thorough`: each parsed whole, else where the scan is unsure."""
    wanted = [(path, blob, path.rpartition("/")[2]) for path, (blob, _) in files.items()]
    keys = dict.fromkeys((blob, name, thorough) for _, blob, name in wanted)
    parsed = {key: known for key in keys if (known := _parsed.get(key))}
    fresh = [key for key in keys if key not in parsed]
    contents = objects.each((blob for blob, _, _ in fresh), limit=MAX_FILE_BYTES)
    for key, stored in zip(fresh, contents, strict=True):
        parsed[key] = _parse(stored.content if stored else None, key[1], thorough)
    _parsed.keep({key: parsed[key] for key in fresh})
    revisions, problems = [], []
    for path, blob, name in wanted:
        sha256, file = parsed[blob, name, thorough]
        if files[path][1] == "120000":
            why = "is a symbolic link, which the portal does not follow"
            file = UnreadableError("unreadable", why)
        if isinstance(file, UnreadableError):
            problems.append(_unreadable(path, file))
        else:
            # For thousands of files `_replace` would take three times as long.
            revisions.append(Revision._make((*file[:4], path, sha256, *file[6:])))
    return revisions, tuple(problems)


def _parse(content: bytes | None, name: str, thorough: bool) -> _Parsed:
    if content is None:
        return "", UnreadableError("unreadable", "is larger than 1 MB")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        header = scan(content)
        if header is None:
            header = judge(content, name)
        elif thorough:
            check_syntax(content)
        return sha256, header
    except UnreadableError as error:
        return sha256, error.with_traceback(
            None
        )  # kept for long: without the frames that hold the file


def _unreadable(path: str, error: UnreadableError) -> Problem:
    where = f" on line {error.line}" if error.line else ""
    fix = "correct the file, or move it elsewhere"
    if error.kind == "computed":
        fix = "write it out as plain text"
    return Problem(error.kind, f"{path} {error.reason}{where}; {fix}.", (path,))
