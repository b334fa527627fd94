"""What the GitHub credential can do in the repositories of the projects."""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from django.conf import settings

from environments.clients import github_of
from environments.connections.connection import (
    FAIL,
    MAKE_GITHUB,
    PASS,
    REFUSED,
    WAIT,
    Connection,
    spelling_fault,
)
from environments.connections.sources import Source
from environments.github import GitHub
from environments.models import Project
from portal.credentials import stored
from portal.credentials.stored import Kind
from portal.models.credentials import ServiceCredential
from portal.outbound.credentials import Installation, github_token_kind
from portal.outbound.http import ApiError

# What is read to find out, the permission's name in GitHub, and whether the portal works without
# it.
_Read = tuple[str, str, str, bool]


def _reads(project: Project) -> list[_Read]:
    staging, main = quote(project.staging_branch), quote(project.production_branch)
    return [
        ("read branches", f"/git/ref/heads/{staging}", "Contents: read", True),
        ("list pull requests", "/pulls", "Pull requests: read", True),
        ("read commit statuses", f"/commits/{staging}/status", "Commit statuses: read", True),
        ("read check runs", f"/commits/{staging}/check-runs", "Checks: read", False),
        ("read runs of Actions", "/actions/runs", "Actions: read", False),
        ("read deployments", "/deployments", "Deployments: read", False),
        ("read webhooks", "/hooks", "Webhooks: read", False),
        ("read branch protection", f"/branches/{main}/protection", "Administration: read", False),
    ]


# What an App must be granted, and the scopes that give a classic token the same.
_GRANTS = {
    "contents": ("Contents", "merge, and move staging forward"),
    "pull_requests": ("Pull requests", "open the promotion"),
    "statuses": ("Commit statuses", "post the verdict"),
    "deployments": ("Deployments", "announce deployments"),
    "repository_hooks": ("Webhooks", "be told at once"),
    "workflows": ("Workflows", "ship changes of .github/workflows"),
    "administration": ("Administration", "apply branch protection"),
}
_NEEDED = ("contents", "pull_requests", "statuses")


def of_github(source: Source) -> Connection:
    if source.row is not None:
        return _pasted_github(source, source.row)
    raw, name = settings.GITHUB_TOKEN, source.name
    if not raw and name == "GITHUB_TOKEN":
        return Connection(name, FAIL, "not set", "No GitHub credential is set.", fix=MAKE_GITHUB)
    kind = github_token_kind(raw.strip("\"' \t\r\n")) if raw else "App installation"
    if raw and (spelled := spelling_fault(name, raw, kind)):
        return spelled
    return _reach_on_github(name, kind, source.projects)


def _pasted_github(source: Source, row: ServiceCredential) -> Connection:
    """Return what a pasted token, or an App that was made here, can do."""
    try:
        token = stored.secret_of(row)
    except ApiError as error:
        return Connection(source.name, FAIL, "not readable", str(error), fix=MAKE_GITHUB)
    kind = "App installation" if row.kind == Kind.APP else github_token_kind(token)
    return _reach_on_github(source.name, kind, source.projects)


def _reach_on_github(name: str, kind: str, projects: Sequence[Project]) -> Connection:
    """Return what a credential can do in the repositories of the projects."""
    can: list[str] = []
    cannot: list[str] = []
    states = {_repository(project, kind, can, cannot) for project in projects}
    state = FAIL if FAIL in states else WAIT if WAIT in states else PASS
    message = {
        PASS: (
            f"A {kind}with every required permission."
            if projects
            else f"A {kind}; no project is connected, so it was not tried."
        ),
        FAIL: f"A {kind} with missing permissions: {next(iter(cannot), '')}",
        WAIT: f"A {kind}; GitHub did not answer every request.",
    }
    fix = MAKE_GITHUB if state == FAIL else ""
    return Connection(name, state, kind, message[state], tuple(can), tuple(cannot), fix)


def repository_permissions(project: Project) -> tuple[list[str], list[str]]:
    """Return what the GitHub credential can and cannot do in a repository; it only reads."""
    can: list[str] = []
    cannot: list[str] = []
    raw = stored.github(project.slug)
    plain = settings.GITHUB_TOKEN if raw is None else raw
    is_token = isinstance(plain, str) and bool(plain)
    kind = github_token_kind(str(plain).strip()) if is_token else "App installation"
    _repository(project, kind, can, cannot)
    return can, cannot


def _repository(project: Project, kind: str, can: list[str], cannot: list[str]) -> str:
    """Try what can be tried without writing in one repository; return its state."""
    label = project.repository
    try:
        github = github_of(project)
        scopes = github.transport.scopes(f"read the repository {label}", github.path)
    except ApiError as error:
        cannot.append(f"{label}: {error.sentence}")
        return FAIL if error.kind in REFUSED else WAIT
    auth = github.transport.auth
    states = {_try(github, read, kind, can, cannot) for read in _reads(project)}
    if isinstance(auth, Installation):
        held = auth.permissions
        states.add(_granted(label, lambda name: held.get(name) in ("write", "admin"), can, cannot))
    elif scopes is not None:
        states.add(_granted(label, lambda name: _in_scope(name, scopes), can, cannot))
    else:
        cannot.append(
            f"{label}: write permissions; GitHub shows those of a {kind} only when it writes."
        )
    return FAIL if FAIL in states else WAIT if WAIT in states else PASS


def _try(github: GitHub, read: _Read, kind: str, can: list[str], cannot: list[str]) -> str:
    doing, path, permission, needed = read
    label = f"{github.owner}/{github.name}"
    try:
        github.transport.get(doing, github.path + path, per_page=1)
    except ApiError as error:
        if error.status == 404 and "not protected" in error.detail.lower():
            can.append(f"{label}: {doing}.")
            return PASS
        if error.kind not in REFUSED:
            cannot.append(f"{label}: {doing}: {error.sentence}")
            return WAIT
        why = f"missing: {permission}"
        if doing == "read check runs" and kind == "fine-grained token":
            why = "no such permission can be granted; statuses and runs of Actions stand in"
        cannot.append(f"{label}: {doing} ({why}).")
        return FAIL if needed else PASS
    can.append(f"{label}: {doing}.")
    return PASS


def _granted(label: str, has: Callable[[str], bool], can: list[str], cannot: list[str]) -> str:
    """List the writing permissions by name; fail where one is missing that every release needs."""
    missing = [name for name in _GRANTS if not has(name)]
    can += [f"{label}: {_GRANTS[name][1]}." for name in _GRANTS if name not in missing]
    cannot += [
        f"{label}: {_GRANTS[name][1]} (missing: {_GRANTS[name][0]}: write)." for name in missing
    ]
    return FAIL if set(missing) & set(_NEEDED) else PASS


def _in_scope(name: str, scopes: Iterable[str]) -> bool:
    """Return whether a classic token's scopes hold what an App calls `name`."""
    alternatives = {
        "repository_hooks": {"repo", "admin:repo_hook", "write:repo_hook"},
        "workflows": {"workflow"},
        "statuses": {"repo", "public_repo", "repo:status"},
        "deployments": {"repo", "public_repo", "repo_deployment"},
    }
    return bool(alternatives.get(name, {"repo", "public_repo"}) & set(scopes))
