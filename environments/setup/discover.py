"""Reading a repository and a Railway project for a proposal. Nothing is written outside."""

import posixpath
from collections.abc import Callable
from typing import TypedDict

from django.conf import settings

from environments.clients import git_token_of, github_of, railway_of
from environments.connections.check_github import repository_permissions
from environments.git.repository import Mirror
from environments.github import GitHub, Rules
from environments.models import Project
from environments.railway.objects import ProjectTree
from environments.schema.history import reader
from environments.schema.history.candidates import Snapshot, candidates
from environments.setup import commands, layout
from portal.outbound.http import ApiError

Tell = Callable[[str], None]


class Found(TypedDict):
    """A proposal, as JSON. Each name of `fields` is a field of the form."""

    fields: dict[str, str]
    databases: list[dict[str, str]]
    smoke: list[dict[str, str]]
    environments: list[dict[str, str]]
    services: list[str]
    previews: list[str]
    protection: list[str]
    can: list[str]
    cannot: list[str]
    notes: list[str]


def discover(repository: str, railway_id: str, mirror: Mirror, tell: Tell) -> Found:
    """Return the proposal; `tell` is given each step in words. Raise `ApiError`, `GitError`."""
    project = Project(name=repository, repository=repository, railway_project_id=railway_id)
    tell("Reading the Railway project…")
    tree = railway_of(project).project(railway_id)
    github = github_of(project)
    default = github.default_branch()
    places = layout.places(tree, repository)
    staging, production = layout.chosen(places, default)
    project.production_branch = (production and production.branch) or default
    project.staging_branch = (staging and staging.branch) or "staging"
    branches = (project.production_branch, project.staging_branch)
    tell("Trying what the GitHub credential can do…")
    can, cannot = repository_permissions(project)
    tell("Fetching the repository…")
    mirror.fetch()
    known = mirror.head(project.staging_branch)
    commit = mirror.commit(project.staging_branch if known else project.production_branch)
    tell("Looking for migrations…")
    values = _values(project, tree, staging) if staging else {}
    databases = _databases(mirror, commit, staging, values)
    tell("Reading checks and branch protection…")
    paths = [path for path, _ in mirror.tree(commit)]
    before = commands.before_pushing(paths, lambda path: mirror.read_file(commit, path))
    return {
        "fields": {
            "name": repository.rpartition("/")[2],
            "staging_branch": project.staging_branch,
            "production_branch": project.production_branch,
            "staging_environment": staging.name if staging else "staging",
            "production_environment": production.name if production else "production",
            "checks": "\n".join(_checks(github, commit)),
            "pre_push": "\n".join(before),
            "protected_approvals": _approvals(github, project.production_branch),
        },
        "databases": databases,
        "smoke": layout.smoke_tests(production) if production else [],
        "environments": [{"name": place.name, "branch": place.branch} for place in places],
        "services": sorted({each.service_name for place in places for each in place.services}),
        "previews": layout.previews(tree),
        "protection": [_protection(github, branch) for branch in branches],
        "can": can,
        "cannot": cannot,
        "notes": _notes(repository, places, staging, production, known),
    }


def new_mirror(repository: str, name: str) -> Mirror:
    """Return a clone for one reading, apart from those of projects. Raise `ApiError`."""
    project = Project(repository=repository)
    return Mirror(
        settings.VAR_DIR / "mirrors" / f"{name}.git",
        f"{settings.GITHUB_GIT_URL}/{repository}.git",
        token=git_token_of(project),
        token_for=settings.GITHUB_GIT_URL,
    )


def _values(project: Project, tree: ProjectTree, place: layout.Place) -> dict[str, dict[str, str]]:
    """Return what the services of an environment get, read now and kept nowhere."""
    railway, values = railway_of(project), {}
    for service in tree.services:
        try:
            given = railway.variables(tree.id, place.id, service.id, unrendered=False)
        except ApiError:
            continue  # a service that is not in this environment
        values[service.name] = {name: secret.reveal() for name, secret in given.items() if secret}
    return values


def _databases(
    mirror: Mirror, commit: str, place: layout.Place | None, values: layout.Values
) -> list[dict[str, str]]:
    """Return every Alembic directory with a revision, once, by its configuration file."""
    with mirror.objects() as objects:
        seen = candidates(Snapshot(objects, commit))
    tomls = [path for path, _ in mirror.tree(commit) if path.endswith("pyproject.toml")]
    configurations = [*seen.configurations, *_with_alembic(mirror, commit, tomls), *seen.scripts]
    databases: list[dict[str, str]] = []
    covered: set[str] = set()
    for path in configurations:
        history = reader.read(mirror, commit, path)
        if not history.revisions or covered & set(history.directories):
            continue
        covered |= set(history.directories)
        name = layout.directory_name(path) if databases else "main"
        where = layout.database_of(path, place, values) if place else {}
        databases.append({"name": name, "alembic": path, **where})
    return databases


def _with_alembic(mirror: Mirror, commit: str, tomls: list[str]) -> list[str]:
    near = [path for path in tomls if len(posixpath.dirname(path).split("/")) < 4][:50]
    return [path for path in near if b"[tool.alembic]" in (mirror.read_file(commit, path) or b"")]


def _checks(github: GitHub, commit: str) -> list[str]:
    """Return checks that ran on the newest commit; none where the token may not read them."""
    ran = github.checks(commit) or ()
    return sorted({check.name for check in ran} - {settings.STATUS_CONTEXT})


def _protection(github: GitHub, branch: str) -> str:
    try:
        return _in_words(branch, github.rules(branch))
    except ApiError as error:
        return f"{branch}: {error.sentence}"


def _approvals(github: GitHub, branch: str) -> str:
    """Return how many approvals GitHub demands there now; one where it is not known."""
    try:
        demanded = github.rules(branch).approvals
    except ApiError:
        demanded = None
    return str(1 if demanded is None else demanded)


def _in_words(branch: str, rules: Rules) -> str:
    if rules.pull_request is None and rules.checks is None:
        return f"{branch}: the credential may not read its protection."
    if not rules.pull_request and not rules.checks:
        return f"{branch}: not protected."
    parts = []
    if rules.pull_request:
        parts.append(f"needs a pull request with {rules.approvals or 0} approvals")
    if rules.checks:
        parts.append(f"requires {', '.join(sorted(rules.checks))}")
    return f"{branch}: {' and '.join(parts)}."


def _notes(
    repository: str,
    places: list[layout.Place],
    staging: layout.Place | None,
    production: layout.Place | None,
    known: str | None,
) -> list[str]:
    """Return what a person should know before they accept."""
    notes = []
    if not places:
        notes.append(f"No service of this Railway project is deployed from {repository}.")
    elif staging is None or production is None:
        notes.append("Only one environment deploys this repository: the portal needs two.")
    if known is None:
        notes.append("There is no branch for staging yet: make it before the first release.")
    return notes
