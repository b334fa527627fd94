"""The repositories and Railway projects that the portal's credentials reach."""

from dataclasses import dataclass

from django.conf import settings

from environments.github.transport import SERVICE as GITHUB
from environments.github.transport import Transport
from environments.railway import Railway, TokenReport
from environments.railway.answers import nodes
from environments.railway.transport import SERVICE as RAILWAY
from portal.credentials import stored
from portal.outbound.credentials import App
from portal.outbound.http import shaped
from portal.outbound.parsing import field, get_path, text

PAGES = 10  # of 100 each


@dataclass(frozen=True)
class Choice:
    """Something to choose: `value` is what the form sends, `name` what people read."""

    value: str
    name: str
    detail: str = ""


def repositories(search: str = "", *, scope: str = "") -> list[Choice]:
    """Return the repositories that the GitHub credential of `scope` sees, lately pushed to first,
    whose name holds `search`. Raise `ApiError`.
    """
    credential = stored.github(scope)
    transport = Transport(settings.GITHUB_API_URL, credential)
    is_app = isinstance(credential, App) or not (credential or settings.GITHUB_TOKEN)
    path, key = ("/installation/repositories", "repositories") if is_app else ("/user/repos", "")
    choices: list[Choice] = []
    for page in range(1, PAGES + 1):
        answer = transport.get("list repositories", path, per_page=100, page=page)
        with shaped(GITHUB):
            items = field({"list": get_path(answer, key) if key else answer}, "list", list)
            choices += map(_repository, items)
        if len(items) < 100:
            break
    return [choice for choice in choices if search.lower() in choice.name.lower()]


def _repository(item: object) -> Choice:
    name = text(field(item, "full_name", str), 201)
    return Choice(name, name, "private" if field(item, "private", bool) else "public")


def railway_token(token: str) -> TokenReport:
    """Return what a pasted token is and reaches. Raise `ApiError` only without an answer."""
    return Railway(token=token, kind="bearer").token_kind()


def railway_projects(search: str = "", *, scope: str = "") -> list[Choice]:
    """Return the projects that the Railway token of `scope` reaches, whose name holds `search`.

    Raise `ApiError`.
    """
    token, kind = stored.railway(scope) or (None, None)
    railway = Railway(token=token, kind=kind)
    report = railway.token_kind()
    if report.project is not None:
        return [Choice(report.project[0], report.project[1], "by a project token")]
    choices: list[Choice] = []
    with shaped(RAILWAY):
        for workspace, name in report.workspaces:
            choices += _of_workspace(railway, workspace, name)
    return [choice for choice in choices if search.lower() in choice.name.lower()]


def _of_workspace(railway: Railway, workspace: str, name: str) -> list[Choice]:
    choices: list[Choice] = []
    after: str | None = None
    for _ in range(PAGES):
        data = railway.transport.ask("projects", workspaceId=workspace, after=after)
        listed = field(data, "projects", dict)
        choices += [
            Choice(field(node, "id", str), text(field(node, "name", str)), name)
            for node in nodes(listed)
            if get_path(node, "deletedAt") is None
        ]
        if not get_path(listed, "pageInfo", "hasNextPage"):
            break
        after = text(get_path(listed, "pageInfo", "endCursor")) or None
    return choices
