"""Bad days to practise in the sandbox. Each goes wrong in the stand-ins, as it would in real life.

The portal is told nothing: it finds out from GitHub and Railway, as it would elsewhere. A new day
is one function with `@day`. `GET /_sandbox/days` lists them; `POST` of `{"day": NAME}` begins one.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from portal.sandbox import databases, sample
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.github import Refused as GitHubRefused
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Request, Response
from portal.sandbox.shapes import Shape

DUPLICATE = "Workspace of two teams"


@dataclass(frozen=True)
class Stage:
    """Where a day goes wrong: both stand-ins, and what the project looks like."""

    github: GitHubStandIn
    railway: RailwayStandIn
    shape: Shape
    alembic: str


@dataclass(frozen=True)
class Day:
    """`happens` says what goes wrong, `practise` what to do in the portal afterwards."""

    name: str
    title: str
    happens: str
    practise: str
    begin: Callable[[Stage], None]


class Impossible(Exception):
    """The day cannot begin now; the message says why in one sentence."""


DAYS: dict[str, Day] = {}


def day(title: str, happens: str, practise: str) -> Callable[[Callable[[Stage], None]], Day]:
    """Declare the decorated function as a day; its name, with hyphens, is the day's."""

    def declare(begin: Callable[[Stage], None]) -> Day:
        name = begin.__name__.replace("_", "-")
        DAYS[name] = Day(name, title, happens, practise, begin)
        return DAYS[name]

    return declare


def served(stage: Stage, request: Request) -> Response:
    """Show the list of days, or the day that the request begins; 400 with a sentence when it
    cannot.
    """
    if request.method == "POST":
        try:
            DAYS[request.json()["day"]].begin(stage)
        except (KeyError, TypeError, ValueError):
            return Response(400, {"message": "There is no such day."})
        except Impossible as reason:
            return Response(400, {"message": str(reason)})
    listed = [
        {field: getattr(each, field) for field in ("name", "title", "happens", "practise")}
        for each in DAYS.values()
    ]
    return Response(200, listed)


@day(
    "A deploy fails",
    "Railway cannot build the backend's next deployment in production.",
    "Promote a release. The promotion stops at the deploy and says what still serves. Open"
    " Railway's log from there, then retry the deploy.",
)
def failed_deploy(stage: Stage) -> None:
    """Make the next deployment of the backend to production fail."""
    stage.railway.fail_next("backend", stage.shape.environment("production"))


@day(
    "A migration fails in production",
    "Production holds two workspaces with one name; a new revision in staging makes names unique.",
    "Create a release and promote it. Staging's migration succeeds, production's fails and is"
    " rolled back. Read the cause, and choose: repair the data and retry, or cancel.",
)
def failing_migration(stage: Stage) -> None:
    """Duplicate rows in production, and on staging's branch a revision that forbids them."""
    url = stage.railway.running_variables("backend", stage.shape.environment("production"))
    with psycopg.connect(url["DATABASE_URL"], autocommit=True) as production:
        count = production.execute(
            "SELECT count(*) FROM workspaces WHERE name = %s", [DUPLICATE]
        ).fetchone()
        if count and count[0] > 1:
            raise Impossible("Production holds the two workspaces already.")
        for _ in range(2):
            production.execute("INSERT INTO workspaces (name) VALUES (%s)", [DUPLICATE])
    branch = stage.shape.branch("staging")
    head = _newest_revision(stage, branch)
    revision = sample.migration(
        f"9e{head[:10]}",
        head,
        "workspace names are unique",
        'op.create_unique_constraint("workspaces_name", "workspaces", ["name"])',
        'op.drop_constraint("workspaces_name", "workspaces")',
        directory=Path(stage.alembic).parent.joinpath("alembic").as_posix(),
    )
    commit = stage.github.push_commit(branch, dict(revision), "Workspace names are unique")
    stage.github.set_check(commit, sample.CI)


@day(
    "The candidate moves",
    "A colleague merges the oldest open pull request into staging.",
    "Do this while a release is in preparation. Its approvals become outdated; take the new"
    " commit into the release, or leave it for the next one.",
)
def moving_candidate(stage: Stage) -> None:
    """Merge the oldest open pull request into staging's branch, with a green check."""
    branch = stage.shape.branch("staging")
    waiting = sorted(
        pull["number"]
        for pull in stage.github.state["pulls"]
        if pull["state"] == "open" and pull["base"] == branch
    )
    if not waiting:
        raise Impossible(f"No pull request into {branch} is open.")
    try:
        commit = stage.github.merge_pull(waiting[0])
    except GitHubRefused as refusal:
        raise Impossible(f"GitHub refused to merge #{waiting[0]}: {refusal}") from None
    stage.github.set_check(commit, sample.CI)


@day(
    "Production answers with errors",
    "The frontend's next version answers its first page with 500; the one that serves now is fine.",
    "Promote a release. The smoke test of production fails. Read the rollback assessment, request"
    " the rollback, and have a second person approve it.",
)
def broken_release(stage: Stage) -> None:
    """Let every deployment of the frontend in production but the present one answer / with 500."""
    production = stage.shape.environment("production")
    good = stage.railway.live_commit("frontend", production)
    stage.railway.break_path("frontend", production, "/", 500, spares=good)


@day(
    "A required check fails",
    f"{sample.CI} reports a failure for the newest commit of staging.",
    "Look at a release in preparation: it cannot be promoted. “Everything is well again” ends it.",
)
def red_check(stage: Stage) -> None:
    """Make the required check of staging's newest commit fail."""
    head = stage.github.heads()[stage.shape.branch("staging")]
    stage.github.set_check(head, sample.CI, conclusion="failure")


@day(
    "Somebody pushes to main",
    "A commit lands on main without a release, and Railway deploys it to production.",
    "The board reports a change outside the portal. See who made it, and bring it back to staging.",
)
def pushed_to_main(stage: Stage) -> None:
    """Push a commit straight onto production's branch."""
    branch = stage.shape.branch("production")
    text = f"Changed in a hurry {len(stage.github.state['pulls'])}\n"
    stage.github.push_commit(branch, {"frontend/NOTE.txt": text}, "Change a note in a hurry")


@day(
    "Everything is well again",
    "The check passes, production answers, and Railway builds again.",
    "Use it to end a day that you have seen enough of.",
)
def all_well(stage: Stage) -> None:
    """End what the other days have set going, as far as it has not happened yet."""
    production = stage.shape.environment("production")
    head = stage.github.heads()[stage.shape.branch("staging")]
    stage.github.set_check(head, sample.CI)
    stage.railway.break_path("frontend", production, "/", None)
    stage.railway.forget_outcomes("backend", production)
    with psycopg.connect(
        stage.railway.running_variables("backend", production)["DATABASE_URL"], autocommit=True
    ) as database:
        database.execute("DELETE FROM workspaces WHERE name = %s", [DUPLICATE])


def _newest_revision(stage: Stage, branch: str) -> str:
    """Return Alembic's head on `branch`; raise `Impossible` when there is none or more than one."""
    with tempfile.TemporaryDirectory(prefix="sandbox-day-") as directory:
        databases.extract(stage.github.git.path, branch, Path(directory))
        config = Config(Path(directory) / stage.alembic)
        heads = ScriptDirectory.from_config(config).get_heads()
    if len(heads) != 1:
        raise Impossible(f"The branch {branch} has {len(heads)} Alembic heads; one is needed.")
    return heads[0]
