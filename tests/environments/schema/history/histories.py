"""Histories made up for tests: random ones to agree upon with Alembic, long ones to measure.

`tests.faults.reading` holds many of them against Alembic's own ScriptDirectory.
"""

import os
import random
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from environments.git.repository import Mirror
from environments.schema.history.reader import read

FORMS = (
    (
        "revision = {id!r}\ndown_revision = {down!r}\nbranch_labels = {labels!r}\ndepends_on ="
        " {deps!r}\n"
    ),
    (
        "revision: str = {id!r}\ndown_revision: Union[str, Sequence[str], None] ="
        " {down!r}\nbranch_labels: Union[str, Sequence[str], None] = {labels!r}\ndepends_on: str |"
        " None = {deps!r}\n"
    ),
    (
        "depends_on = str(1)\ndepends_on = {deps!r}\nbranch_labels = {labels!r}\n"
        "down_revision = {down!r}\nrevision = {id!r}\n"
    ),
)


def source(
    id: str,
    down=None,
    *,
    labels=None,
    deps=None,
    body: str = "pass",
    back: str = "pass",
    form: int = 1,
) -> str:
    """The text of a revision file as Alembic's template writes it."""
    head = FORMS[form].format(id=id, down=down, labels=labels, deps=deps)
    return (
        f'"""Change {id}\n\nRevision ID: {id}\nRevises: {down}\nCreate Date: 2026-01-01'
        ' 00:00:00\n\n"""\nfrom typing import Sequence, Union\n\nfrom alembic import op\nimport'
        f" sqlalchemy as sa\n\n\n# revision identifiers, used by Alembic.\n{head}\n\ndef upgrade()"
        f" -> None:\n    {body}\n\n\ndef downgrade() -> None:\n    {back}\n"
    )


def repository(where: Path, *commits: Mapping[str, str | None]) -> Mirror:
    """A bare repository whose branch `main` gets these commits (path → text, None: deleted),
    tagged c0, c1
    """
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(where)], check=True)
    lines: list[bytes] = []
    for number, files in enumerate(commits):
        lines.append(
            f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + number} +0000\n"
            "data 1\nc\n".encode()
        )
        for path, text in files.items():
            data = (text or "").encode("utf-8", "surrogateescape")
            made = b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
            lines.append(b"D %s\n" % path.encode() if text is None else made)
        lines.append(f"\nreset refs/tags/c{number}\nfrom refs/heads/main\n\n".encode())
    subprocess.run(
        ["git", f"--git-dir={where}", "fast-import", "--quiet"], input=b"".join(lines), check=True
    )
    return Mirror(where)


@dataclass
class Made:
    """A made-up history: its files, and its ids in the order of their making."""

    files: dict[str, str]
    ids: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)  # what it has: merges, branches and so on


def made(seed: int) -> Made:
    """A random history: branches, merges, labels, dependencies, several directories, several
    bases.
    """
    choose = random.Random(seed)  # noqa: S311
    directories = choose.choice(
        [["db/versions"], ["db/versions", "more/versions"], ["b", "a", "db/sub dir"]]
    )
    recursive = choose.random() < 0.3
    ini = "[alembic]\nscript_location = %(here)s/db\npath_separator = :\n"
    ini += f"version_locations = {':'.join(directories)}\n"
    result = Made(
        {
            "alembic.ini": ini + f"recursive_version_locations = {str(recursive).lower()}\n",
            "db/env.py": "",
        }
    )
    heads: list[str] = []
    labels: list[str] = []
    below: dict[str, set[str]] = {}  # by down_revision and depends_on
    lineage: dict[str, set[str]] = {}  # by down_revision only
    for _ in range(choose.randint(0, 30)):
        id = f"{choose.getrandbits(48):012x}"
        kind = choose.random()
        if not heads or kind < 0.08:
            down = ()
        elif kind < 0.25 and len(heads) > 1:
            down = tuple(choose.sample(heads, choose.randint(2, min(3, len(heads)))))
            down = tuple(
                one
                for one in down
                if not any(one in below[other] for other in down if other != one)
            )
        elif kind < 0.4:
            down = (choose.choice(result.ids),)
        else:
            down = (choose.choice(heads),)
        lineage[id] = {id}.union(*(lineage[one] for one in down))
        deps: tuple[str, ...] = ()
        others = [id_ for id_ in result.ids if id_ not in lineage[id]]
        if others and choose.random() < 0.2:
            deps = tuple(choose.sample(others, min(len(others), choose.randint(1, 2))))
        named = ()
        if not down and choose.random() < 0.7:
            named = (f"branch_{len(labels)}",)
        elif choose.random() < 0.05:
            named = (f"branch_{len(labels)}", f"also_{len(labels)}")
        shown: tuple[str, ...] = deps
        if labels and not deps and choose.random() < 0.1:
            label, owner = choose.choice(labels).split("=")
            if owner not in lineage[id]:
                shown, deps = (label,), (owner,)
        has = {
            "several bases": not down and bool(result.ids),
            "merges": len(down) > 1,
            "labels": bool(named),
            "dependencies": bool(deps),
            "branches": bool(down) and down[0] not in heads,
        }
        result.kinds |= {name for name, is_so in has.items() if is_so}
        labels += [f"{name}={id}" for name in named]
        below[id] = {id}.union(*(below[one] for one in down + deps))
        heads = [head for head in heads if head not in down] + [id]
        result.ids.append(id)
        folder = choose.choice(directories) + (
            choose.choice(["", "/2026", "/z/y"]) if recursive else ""
        )
        path = f"{folder}/{id}_{choose.choice(['add', 'ändern', 'x y'])}.py"
        result.files[path] = source(
            id,
            _scalar(choose, down),
            labels=_scalar(choose, named),
            deps=_scalar(choose, shown),
            form=choose.randrange(3),
        )
    if len(directories) > 1:
        result.kinds.add("several directories")
    result.files[f"{directories[0]}/__init__.py"] = "raise SystemExit"
    result.files[f"{directories[0]}/README"] = "not a revision"
    return result


def _scalar(choose: random.Random, values: tuple[str, ...]):
    if not values:
        return choose.choice([None, None, ()])
    return (
        values[0]
        if len(values) == 1 and choose.random() < 0.7
        else choose.choice([tuple, list])(values)
    )


def disagreement(seed: int, where: Path) -> str:
    """ "" when we and Alembic agree about the history of this seed, else what about."""
    history = made(seed)
    for path, text in history.files.items():
        (where / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (where / "tree" / path).write_text(text)
    mirror = repository(where / "git", history.files)
    return agrees(mirror, "main", "alembic.ini", where / "tree", seed=seed)


def agrees(mirror: Mirror, commit: str, alembic: str, tree: Path, *, seed: int = 0) -> str:
    """ "" when we, reading `commit`, and Alembic, reading the same files in `tree`, agree, else
    what about.
    """
    ours = read(mirror, commit, alembic)
    config = tree / alembic
    here = os.getcwd()
    os.chdir(config if config.is_dir() else config.parent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = (
                ScriptDirectory(str(config))
                if config.is_dir()
                else ScriptDirectory.from_config(Config(str(config)))
            )
            return _differ(list(ours.revisions), ours, theirs, random.Random(seed))  # noqa: S311
    finally:
        os.chdir(here)


def _differ(ids: list[str], ours, theirs: ScriptDirectory, choose: random.Random) -> str:
    wrong = [problem for problem in ours.problems if problem.kind != "heads"]
    if wrong:
        return f"we see {wrong}"
    if list(ours.heads) != theirs.get_heads():
        return f"heads {ours.heads} {theirs.get_heads()}"
    if sorted(ours.effective_heads) != sorted(theirs.get_heads(consider_depends_on=True)):
        return f"effective heads {ours.effective_heads}"
    if list(ours.bases) != theirs.get_bases():
        return f"bases {ours.bases} {theirs.get_bases()}"
    for id, revision in ours.revisions.items():
        node = theirs.get_revision(id)
        if set(ours.parents[id]) != set(node._all_down_revisions) or set(revision.down) != set(
            node._versioned_down_revisions
        ):
            return f"parents of {id}"
        if (len(revision.down) > 1) != node.is_merge_point or not revision.path.endswith(
            Path(node.path).name
        ):
            return f"merge or path of {id}"
        if revision.message != node.doc.splitlines()[0]:
            return f"message of {id}"
    whole = [step.revision.revision for step in theirs._upgrade_revs("heads", ())]
    if [one.id for one in ours.linear] != whole:
        return f"order {[one.id for one in ours.linear]} {whole}"
    for _ in range(3 if ids else 0):
        current = ours.tips(ours.ancestors(choose.sample(ids, min(len(ids), choose.randint(1, 2)))))
        target = choose.choice(ids)
        mine = [one.id for one in ours.between(current, [target])]
        try:
            their = [step.revision.revision for step in theirs._upgrade_revs(target, current)]
        except CommandError as error:
            return f"from {current} to {target}: {error}"
        if mine != their:
            return f"from {current} to {target}: {mine} {their}"
    return ""
