"""What a Railway token is: whose, and what it can access."""

from dataclasses import dataclass

from environments.railway.calls import REFUSALS
from environments.railway.transport import SERVICE, Transport
from portal.outbound.http import ApiError, shaped
from portal.outbound.parsing import field, get_path, text


@dataclass(frozen=True)
class TokenReport:
    """What a token is.

    `kind`: "account", "workspace", "project" or "unknown"; `sentence` is for people.
    """

    kind: str
    sentence: str
    workspaces: tuple[tuple[str, str], ...] = ()  # (id, name)
    project: tuple[str, str] | None = None  # (id, name)
    environment: tuple[str, str] | None = None  # (id, name): a project token reaches no other


def _answer(transport: Transport, name: str) -> dict[str, object] | None:
    try:
        return transport.ask(name)
    except ApiError as error:
        if error.kind in REFUSALS:
            return None
        raise


def _project_report(scope: object) -> TokenReport:
    with shaped(SERVICE):
        token = field(scope, "projectToken", dict)
        project = (field(token, "projectId", str), text(get_path(token, "project", "name")))
        environment = (
            field(token, "environmentId", str),
            text(get_path(token, "environment", "name")),
        )
    sentence = (
        f"A project token for {project[1]}, environment {environment[1]}: it sees no other"
        " environment and cannot redeploy; make a workspace token."
    )
    return TokenReport("project", sentence, (), project, environment)


def read_token(transport: Transport) -> TokenReport:
    """Return what the token is and reaches, found by asking.

    Raise `ApiError` only when there is no answer.
    """
    bearer, project = (transport.with_header("bearer"), transport.with_header("project"))
    if workspaces := _answer(bearer, "token_workspaces"):
        with shaped(SERVICE):
            reached = tuple(
                (field(item, "id", str), text(field(item, "name", str)))
                for item in field(field(workspaces, "apiToken", dict), "workspaces", list)
            )
        names = ", ".join(name for _, name in reached) or "no workspace"
        if _answer(bearer, "token_account"):
            safer = "A workspace token would be safer: it reaches only one workspace."
            return TokenReport("account", f"Account token with access to {names}. {safer}", reached)
        return TokenReport("workspace", f"Workspace token for {names}.", reached)
    if scope := _answer(project, "token_project"):
        return _project_report(scope)
    sentence = "Railway knows no such token: make a workspace token and set RAILWAY_API_TOKEN."
    return TokenReport("unknown", sentence)


def ask_whether_known(transport: Transport) -> None:
    """Ask the least that a token of this header may: one request. Raise `ApiError`."""
    transport.ask("token_project" if transport.header == "project" else "token_workspaces")
