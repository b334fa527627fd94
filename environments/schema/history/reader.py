"""Which revisions a commit holds and which lie between two commits, by reading git only.

One `git cat-file --batch` per question: configuration, directories and files come from the same
process, so the new revisions between two commits cost about what `git diff` costs. Nothing that is
read is executed.
"""

import hashlib
import re
import shlex
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from environments.git.objects import Entry, Objects
from environments.git.repository import Mirror
from environments.schema.history.candidates import nothing_found
from environments.schema.history.graph import History, HistoryError, Problem, Revision, build
from environments.schema.history.location import Location, locate, locate_in
from environments.schema.history.revision_file import (
    MAX_FILE_BYTES,
    Header,
    UnreadableError,
    check_syntax,
    is_revision_file,
    judge,
    scan,
)

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


@dataclass(frozen=True)
class Change:
    """What a range of commits does to the revisions. `new` is in upgrade order.

    Heads are None when they were not asked for (`compare(…, whole=False)`).
    """

    new: tuple[Revision, ...]
    changed: tuple[Revision, ...]
    deleted: tuple[Revision, ...]
    heads_before: tuple[str, ...] | None
    heads_after: tuple[str, ...] | None
    problems: tuple[Problem, ...]


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


type _Parsed = tuple[str, Header | UnreadableError]  # with the sha256 of the file
type _Files = Mapping[str, tuple[str, str]]  # path → (blob, mode)
type _Writable = dict[str, tuple[str, str]]
_parsed: _Bounded[tuple[str, str, bool], _Parsed] = _Bounded(20_000)
_histories: _Bounded[tuple[Location, tuple[tuple[str, str], ...]], History] = _Bounded(32)


def read(mirror: Mirror, commit: str, alembic: str) -> History:
    """The whole history at `commit` (a hash, branch or tag).

    What is wrong is in `problems`, never raised.

    Raises `GitError` when the repository itself cannot be read.
    """
    sha = mirror.commit(commit)
    with mirror.objects() as objects:
        return _read(objects, sha, alembic)


def compare(mirror: Mirror, since: str, until: str, alembic: str, *, whole: bool = True) -> Change:
    """The revisions that `until` has and `since` ("" for none) has not, those it edits, those it
    drops.

    New and edited files are parsed in full; with `whole=False` no other file is looked at, which
    leaves out the heads and what is wrong with the rest of the history.
    """
    after = mirror.commit(until)
    before = mirror.commit(since) if since else ""
    with mirror.objects() as objects:
        location = locate_in(objects, after, alembic)
        earlier = locate_in(objects, before, alembic) if before else Location(alembic)
        gone, come = _differing(objects, (before, earlier), (after, location))
        was, _ = _revisions(objects, gone, thorough=False)
        now, problems = _revisions(objects, come, thorough=True)
        if location.problem:
            problems = (Problem("location", location.problem), *problems)
        if not whole:
            return _change(was, now, None, None, problems)
        first = _read(objects, before, alembic) if before else None
        last = _read(objects, after, alembic)
        if first is not None:
            mended = (_mended(problem, first, last, before) for problem in last.problems)
            last = replace(last, problems=(*mended, *_inserted(first, last)))
        return _change(was, now, first, last, problems)


def why_empty(mirror: Mirror, commit: str, history: History) -> str:
    """Return where was looked for the revisions of an empty `history`, and what lies there, as a
    sentence.
    """
    with mirror.objects() as objects:
        return nothing_found(objects, mirror.commit(commit), history.directories)


def described(revision: Revision) -> dict[str, object]:
    """What people are told of a revision file; plain values, fit to be stored."""
    return {
        "id": revision.id,
        "path": revision.path,
        "sha256": revision.sha256,
        "message": revision.message[:200],
        "joins": list(revision.down) if len(revision.down) > 1 else [],
        "depends_on": list(revision.depends_on),
        "labels": list(revision.labels),
    }


def put_back(commit: str, paths: Iterable[str]) -> str:
    """The command that brings these files back as they were at `commit`."""
    return f"git checkout {commit[:10]} -- {' '.join(shlex.quote(path) for path in paths)}"


def outside(mirror: Mirror, since: str, until: str, *alembic: str) -> tuple[str, ...]:
    """Files that look like revisions, new or edited between two commits, in no directory that any
    `alembic` leads to.

    Another Alembic directory in the same repository, of which nothing is run: not to be mistaken
    for none.
    """
    known = {
        directory
        for commit in (until, since)
        for path in alembic or ("",)
        for directory in locate(mirror, commit, path).directories
    }
    changed = [path for status, path, _ in mirror.changed_files(since, until) if status != "D"]
    likely = [one for one in changed if _LIKELY.search(one) and not _within(one, known)][
        :OUTSIDE_MOST
    ]
    blobs = dict(mirror.tree(until, likely)) if likely else {}
    texts = mirror.read(blobs.values(), limit=MAX_FILE_BYTES)
    return tuple(path for path in likely if _DECLARES.search(texts.get(blobs.get(path, ""), b"")))


OUTSIDE_MOST = 50
_LIKELY = re.compile(r"(?:^|/)versions/(?:[^/]+/)*[^/]+\.py$")
_DECLARES = re.compile(rb"^down_revision\b", re.M)


def _within(path: str, directories: Iterable[str]) -> bool:
    return any(path.startswith(f"{directory}/") or not directory for directory in directories)


def _inserted(before: History, after: History) -> tuple[Problem, ...]:
    """New revisions below ones that are shipped: databases are past their place, so nothing
    would ever run them.
    """
    if after.problems or before.problems:
        return ()
    shipped = [id for id in after.revisions if id in before.revisions]
    below = [id for id in after.ancestors(shipped) if id not in before.revisions]
    if not below:
        return ()
    first = next(one for one in after.linear if one.id in below)
    above = next(one for one in after.linear if first.id in after.parents[one.id])
    message = (
        f"{first.id} was put below {above.id}, which has run: Alembic will not run it where"
        f" {above.id} is. Put it on top: `down_revision ="
        f" {(before.effective_heads or ('',))[-1]!r}` in {first.path}, and {above.path} as it was."
    )
    return (Problem("inserted", message, (first.path, above.path)),)


def _mended(problem: Problem, before: History, after: History, since: str) -> Problem:
    """A parent that is missing now and was there before: its file is named, and how it comes
    back.
    """
    if problem.kind != "missing" or not problem.paths:
        return problem
    child = next(
        (revision for revision in after.revisions.values() if revision.path == problem.paths[0]),
        None,
    )
    gone = (
        [
            before.revisions[id].path
            for id in (*child.down, *child.depends_on)
            if id in before.revisions and id not in after.revisions
        ]
        if child
        else []
    )
    if not gone:
        return problem
    message = f"{problem.sentence} It was {', '.join(gone)}: `{put_back(since, gone)}`."
    return replace(problem, sentence=message, paths=(*problem.paths, *gone))


def _change(
    was: Iterable[Revision],
    now: Iterable[Revision],
    before: History | None,
    after: History | None,
    problems: tuple[Problem, ...],
) -> Change:
    old, new = {wa.id: wa for wa in was}, {one.id: one for one in now}
    if (
        before is not None and after is not None
    ):  # a copy of a file is not a new revision, nor a move
        known_before, known_after = before.revisions, after.revisions
    else:
        known_before, known_after = old, new
    added = [one for id, one in new.items() if id not in known_before]
    return Change(
        new=_ordered(added, after),
        changed=tuple(one for id, one in new.items() if id in old and old[id].sha256 != one.sha256),
        deleted=tuple(one for id, one in old.items() if id not in known_after),
        heads_before=before.heads if before else () if after else None,
        heads_after=after.heads if after else None,
        problems=tuple(dict.fromkeys([*problems, *(after.problems if after else ())])),
    )


def _ordered(added: list[Revision], after: History | None) -> tuple[Revision, ...]:
    """In upgrade order: Alembic's where the whole history is known and sound, else parents
    first.
    """
    if after is not None and added:
        try:
            place = {one.id: at for at, one in enumerate(after.linear)}
            return tuple(sorted(added, key=lambda one: place.get(one.id, len(place))))
        except HistoryError:
            pass
    return in_order(added)


def in_order(added: Iterable[Revision]) -> tuple[Revision, ...]:
    """Parents first, by what the files themselves say."""
    waiting, placed = {one.id: one for one in added}, list[Revision]()
    while waiting:
        free = [one for one in waiting.values() if not {*one.down, *one.depends_on} & set(waiting)]
        for one in free or list(waiting.values()):
            placed.append(waiting.pop(one.id))
    return tuple(placed)


def _read(objects: Objects, commit: str, alembic: str) -> History:
    location = locate_in(objects, commit, alembic)
    trees = _trees(objects, commit, location)
    key = (location, tuple(trees.items()))
    if (known := _histories.get(key)) is not None:
        return known
    found, problems = _revisions(objects, _files(objects, trees, location), thorough=False)
    if location.problem:
        problems = (Problem("location", location.problem), *problems)
    history = build(
        found, location.directories, problems, recursive=location.recursive, script=location.script
    )
    _histories.keep({key: history})
    return history


def _trees(objects: Objects, commit: str, location: Location) -> dict[str, str]:
    """The hash of each directory's tree; a directory that is not there holds nothing, as for
    Alembic.
    """
    found = {path: objects.get(f"{commit}:{path}", limit=0) for path in location.directories}
    return {
        path: tree.sha for path, tree in found.items() if tree is not None and tree.kind == "tree"
    }


def _files(objects: Objects, trees: Mapping[str, str], location: Location) -> _Files:
    """Every revision file, in the order in which Alembic loads them: by directory, then by name."""
    files: dict[str, tuple[str, str]] = {}
    for directory, tree in trees.items():
        _walk(objects, tree, directory, location.recursive, files)
    return files


def _differing(
    objects: Objects, before: tuple[str, Location], after: tuple[str, Location]
) -> tuple[_Files, _Files]:
    """The files of the first commit that the second has not like that, and the other way round."""
    sides = [(_trees(objects, commit, location), location) for commit, location in (before, after)]
    (old, earlier), (new, later) = sides
    gone: dict[str, tuple[str, str]] = {}
    come: dict[str, tuple[str, str]] = {}
    if (earlier.directories, earlier.recursive) == (later.directories, later.recursive):
        for directory in later.directories:
            was, now = old.get(directory, ""), new.get(directory, "")
            _walk_both(objects, was, now, directory, later.recursive, (gone, come))
        return gone, come
    first, second = _files(objects, old, earlier), _files(objects, new, later)
    gone.update((path, at) for path, at in first.items() if second.get(path) != at)
    come.update((path, at) for path, at in second.items() if first.get(path) != at)
    return gone, come


def _walk(objects: Objects, tree: str, directory: str, recursive: bool, files: _Writable) -> None:
    """Adds the revision files of `tree`, those of its directories after its own."""
    entries = objects.entries(tree)
    _add(entries, directory, files)
    if recursive:
        for name, tree in _directories(entries).items():
            _walk(objects, tree, _join(directory, name), recursive, files)


def _walk_both(
    objects: Objects,
    first: str,
    second: str,
    directory: str,
    recursive: bool,
    sides: tuple[_Writable, _Writable],
) -> None:
    """Adds, to either side, the revision files that the other tree has not alike."""
    if first == second:
        return
    entries = objects.differing(first, second)
    for found, files in zip(entries, sides, strict=True):
        _add(found, directory, files)
    if recursive:
        was, now = _directories(entries[0]), _directories(entries[1])
        for name in sorted({*was, *now}):
            inner = _join(directory, name)
            _walk_both(objects, was.get(name, ""), now.get(name, ""), inner, recursive, sides)


def _add(entries: list[Entry], directory: str, files: _Writable) -> None:
    prefix = f"{directory}/" if directory else ""
    for name, mode, sha in sorted(entries):
        if mode not in ("40000", "160000") and is_revision_file(name):
            files.setdefault(prefix + name, (sha, mode))


def _directories(entries: list[Entry]) -> dict[str, str]:
    found = sorted((entry.name, entry.sha) for entry in entries if entry.mode == "40000")
    return {name: sha for name, sha in found if not name.endswith("__pycache__")}


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _revisions(
    objects: Objects, files: _Files, *, thorough: bool
) -> tuple[list[Revision], tuple[Problem, ...]]:
    """What the files say; `thorough`: each parsed as a whole, else only where the quick scan is
    unsure.
    """
    wanted = [(path, blob, path.rpartition("/")[2]) for path, (blob, _) in files.items()]
    keys = dict.fromkeys((blob, name, thorough) for _, blob, name in wanted)
    parsed = {key: known for key in keys if (known := _parsed.get(key))}
    fresh = [key for key in keys if key not in parsed]
    contents = objects.each((blob for blob, _, _ in fresh), limit=MAX_FILE_BYTES)
    for key, found in zip(fresh, contents, strict=True):
        parsed[key] = _parse(found.content if found else None, key[1], thorough)
    _parsed.keep({key: parsed[key] for key in fresh})
    revisions, problems = [], []
    for path, blob, name in wanted:
        sha256, header = parsed[blob, name, thorough]
        if files[path][1] == "120000":
            header = UnreadableError(
                "unreadable", "is a symbolic link, which the portal does not follow"
            )
        if isinstance(header, UnreadableError):
            problems.append(_unreadable(path, header))
        else:
            revisions.append(_revision(path, sha256, header))
    return revisions, tuple(problems)


def _parse(content: bytes | None, name: str, thorough: bool) -> _Parsed:
    if content is None:
        return "", UnreadableError("unreadable", "is larger than 1 MB")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        header = scan(content)
        if header is None:
            return sha256, judge(content, name)
        if thorough:
            check_syntax(content)
        return sha256, header
    except UnreadableError as error:
        return sha256, error.with_traceback(
            None
        )  # kept for long: without the frames that hold the file


def _revision(path: str, sha256: str, header: Header) -> Revision:
    return Revision(
        header.id,
        header.down,
        header.depends_on,
        header.labels,
        path,
        sha256,
        header.message,
        header.has_downgrade,
    )


def _unreadable(path: str, error: UnreadableError) -> Problem:
    where = f" on line {error.line}" if error.line else ""
    mend = (
        "write it out as plain text"
        if error.kind == "computed"
        else "correct the file, or move it elsewhere"
    )
    return Problem(error.kind, f"{path} {error.reason}{where}; {mend}.", (path,))
