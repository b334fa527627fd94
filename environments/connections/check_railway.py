"""What a Railway token is, and what it reaches of the projects."""

from collections.abc import Sequence

from django.conf import settings

from environments.clients import railway_of
from environments.connections.connection import (
    FAIL,
    MAKE_RAILWAY,
    PASS,
    REFUSED,
    WAIT,
    Connection,
    spelling_fault,
)
from environments.connections.sources import Source
from environments.models import Project
from environments.railway import Railway, TokenReport
from portal.credentials import stored
from portal.credentials.stored import Kind
from portal.models.credentials import ServiceCredential
from portal.outbound.http import ApiError


def of_railway(source: Source) -> Connection:
    if source.row is not None:
        return _pasted_railway(source, source.row)
    name, use_legacy = source.name, source.name == "RAILWAY_TOKEN"
    raw = settings.RAILWAY_TOKEN if use_legacy else settings.RAILWAY_API_TOKEN
    if not raw:
        return Connection(name, FAIL, "not set", "No Railway token is set.", fix=MAKE_RAILWAY)
    if spelled := spelling_fault(name, raw, "token"):
        return spelled
    try:
        report = Railway().token_kind()
    except ApiError as error:
        return Connection(
            name, WAIT, "token", f"The kind of token could not be determined: {error}"
        )
    kind = {"unknown": "token that Railway does not know"}.get(report.kind, f"{report.kind} token")
    if report.kind == "unknown":
        message = (
            "Unauthorized: Railway does not know this token. It was deleted, or copied "
            "incompletely."
        )
        return Connection(name, FAIL, kind, message, fix=MAKE_RAILWAY)
    if (report.kind == "project") != use_legacy:
        other = "RAILWAY_API_TOKEN" if use_legacy else "RAILWAY_TOKEN"
        message = f"Wrong setting: a {kind} does not work in {name}."
        return Connection(name, FAIL, kind, message, fix=f"Move it to {other} and clear {name}.")
    return _reach(name, kind, report, source.projects)


def _pasted_railway(source: Source, row: ServiceCredential) -> Connection:
    """Return what a pasted token is and reaches; its kind was found out when it was pasted."""
    try:
        token, header = stored.secret_of(row), "project" if row.kind == Kind.PROJECT_TOKEN else ""
        report = Railway(token=token, kind=header or "bearer").token_kind()
    except ApiError as error:
        state = FAIL if error.kind in REFUSED else WAIT
        message = f"The kind of token could not be determined: {error}"
        return Connection(source.name, state, "token", message)
    if report.kind == "unknown":
        message = "Railway knows no such token any more: paste another one."
        return Connection(source.name, FAIL, "token", message, fix=MAKE_RAILWAY)
    return _reach(source.name, f"{report.kind} token", report, source.projects)


def _reach(name: str, kind: str, report: TokenReport, projects: Sequence[Project]) -> Connection:
    """Return what a good token reaches of the projects."""
    can, cannot, state = [], [], PASS
    for project in projects:
        try:
            tree = railway_of(project).project(project.railway_project_id)
        except ApiError as error:
            if error.kind in REFUSED:
                state = FAIL
                message = (
                    "no such project for this token: its id is wrong, or it is in another workspace"
                )
                cannot.append(
                    f"{project.name}: {message} ({project.railway_project_id or 'no id is set'})."
                )
            else:
                state = WAIT if state == PASS else state
                cannot.append(f"{project.name}: {error}")
            continue
        seen = ", ".join(
            environment.name for environment in tree.environments if environment.can_access
        )
        can.append(
            f"{project.name}: read {len(tree.services)} services in {seen or 'no environment'}."
        )
        cannot += [
            f"{project.name}: look into {environment.name}."
            for environment in tree.environments
            if not environment.can_access
        ]
    if report.kind == "project":
        cannot.append(
            "See other environments than its own, deploy again, or make and delete environments."
        )
    else:
        can.append("Deploy, follow another branch, and read variables that are not sealed.")
    cannot.append("Read the value of a sealed variable: nobody can.")
    cannot += _stray_settings(projects) if name.startswith("RAILWAY_") else []
    fix = MAKE_RAILWAY if state == FAIL or report.kind == "project" else ""
    return Connection(name, state, kind, report.sentence, tuple(can), tuple(cannot), fix)


def _stray_settings(projects: Sequence[Project]) -> list[str]:
    """Return what is set and has no effect."""
    message = []
    if settings.RAILWAY_API_TOKEN and settings.RAILWAY_TOKEN:
        message.append("RAILWAY_TOKEN is also set but not used: RAILWAY_API_TOKEN comes first.")
    known = {project.railway_project_id for project in projects}
    if settings.RAILWAY_PROJECT_ID and known and settings.RAILWAY_PROJECT_ID not in known:
        message.append("RAILWAY_PROJECT_ID names no project that is connected here.")
    return message
