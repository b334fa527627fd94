"""Searches each new head of staging once for leftovers of a manual process."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import Project, RunbookReading
from environments.runbook import kinds
from portal.outbound.http import ApiError

RULES = 1  # raise it when other things are found: every project is then read again
MOST = 200
NOT_THEIRS = {"node_modules", ".venv", "venv", "vendor", "site-packages", ".task_logs"}
TESTS = {"tests", "test"}
WORKFLOW, STARTUP, SCRIPT, DOCUMENT, CODE = "workflow", "startup", "script", "document", "code"
_NAMED_IN = {kinds.PREVIEWS: (WORKFLOW,), kinds.SYNC: (WORKFLOW, SCRIPT), kinds.TASK_LOG: (SCRIPT,)}
_STARTUP = re.compile(
    r"^(Dockerfile.*|.*\.Dockerfile|Procfile|railway\.(json|toml)|nixpacks\.toml"
    r"|(docker-)?compose.*\.ya?ml|(docker-?)?(entrypoint|start|prestart|boot)[^/]*)$",
    re.I,
)


@dataclass(frozen=True)
class Leftover:
    """One place: a file and a line (0: the file itself), what kind it is, and what was seen."""

    kind: str
    place: str
    path: str
    line: int
    seen: str


def settle(project: Project, heads: Mapping[str, str], *, now: datetime) -> None:
    """Read the head of staging (else of main) where it is not read yet; git's trouble waits.

    `heads`: by the name of the branch.
    """
    commit = heads.get(project.staging_branch) or heads.get(project.production_branch, "")
    known = RunbookReading.objects.filter(project=project).first()
    if not commit or (known and (known.commit, known.rules) == (commit, RULES)):
        return
    try:
        mirror = mirror_of(project)
        if not mirror.path.exists() or not mirror.has(commit):
            mirror.fetch()
        rows = leftovers(mirror, commit, project.staging_branch, project.production_branch)
    except (ApiError, GitError):
        return
    read = {"commit": commit, "rules": RULES, "found": [asdict(row) for row in rows]}
    RunbookReading.objects.update_or_create(project=project, defaults=read | {"read_at": now})


def leftovers(mirror: Mirror, commit: str, staging: str, main: str) -> list[Leftover]:
    """Return what was found at `commit`, each file once for each kind, at most `MOST`.

    Nothing of the repository is executed. Raise `GitError`.
    """
    rows: dict[tuple[str, str], Leftover] = {}
    for path, _ in mirror.tree(commit):
        for kind in _by_name(path):
            rows[kind, path] = Leftover(kind, place_of(path), path, 0, "its name")
    for command in kinds.commands(staging, main):
        for path, line in mirror.grep(commit, command.pattern):
            known = rows.get((command.kind, path))
            if _is_theirs(path) and (known is None or not known.line):
                row = Leftover(command.kind, place_of(path), path, line, command.name)
                if known is not None or _counts(row):
                    rows[command.kind, path] = row
    return sorted(
        rows.values(), key=lambda leftover: (kinds.KINDS.index(leftover.kind), leftover.path)
    )[:MOST]


def place_of(path: str) -> str:
    """Return what a file is in the life of the code: who runs what stands in it, and when."""
    name = posixpath.basename(path)
    if path.startswith((".github/", ".gitlab", ".circleci/")):
        return WORKFLOW
    if _STARTUP.match(name):
        return STARTUP
    if name.lower().endswith((".md", ".rst", ".txt", ".adoc")):
        return DOCUMENT
    if name.endswith((".sh", ".bash", ".ps1", ".mk", ".just")) or _is_tool(path):
        return SCRIPT
    return CODE


def _is_tool(path: str) -> bool:
    name = posixpath.basename(path).lower()
    tools = ("makefile", "justfile", "taskfile.yml", "package.json", "pyproject.toml", "tox.ini")
    return name in tools or bool({"scripts", "bin", "tools"} & set(path.split("/")[:-1]))


def _by_name(path: str) -> Iterable[str]:
    place = place_of(path)
    if not _is_theirs(path) or place not in (WORKFLOW, SCRIPT):
        return []
    name = posixpath.basename(path)
    named = [kind for kind, places in _NAMED_IN.items() if place in places]
    return [kind for kind in named if kinds.NAMES[kind].search(name)]


def _is_theirs(path: str) -> bool:
    """Return whether people wrote and run it here: no dependency, and no test."""
    return not (NOT_THEIRS | TESTS) & set(path.split("/")[:-1])


def _counts(leftover: Leftover) -> bool:
    """Return whether a command counts where it stands: code only calls Alembic's own function, a
    list of ignored files makes no task log, and a page about branches merges nothing.
    """
    if leftover.kind == kinds.TASK_LOG or leftover.seen == kinds.MERGE:
        return leftover.place in (SCRIPT, WORKFLOW)
    return leftover.place != CODE or leftover.seen == "alembic.command.upgrade()"
