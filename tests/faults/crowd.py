"""Many projects on one pair of stand-ins, as one GitHub and one Railway serve many customers: each
has a repository, a Railway project and databases of its own.
"""

import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.scene import lift_allowances

NAME = re.compile(r"^/(?:repos/)?acme/(inspector[\w-]*)")
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@contextmanager
def several_projects(first: Any, directory: Path, count: int) -> Iterator[list[Any]]:
    """`first`, and `count` - 1 more worlds beside it, on the servers of `first`.

    All of them with previews, and without open pull requests to begin with.
    """
    from environments.models import Project
    from releases.models.checklist import ChecklistTemplateItem

    with ExitStack() as stack:
        worlds = [first, *(_beside(first, directory, n, stack) for n in range(2, count + 1))]
        hubs = {world.github.name: world.github for world in worlds}
        first.github_server.app = lambda request: hubs[_repository(request)](request)
        first.railway_server.app = _railways([world.railway for world in worlds])
        ChecklistTemplateItem.objects.filter(gate="rehearsed").delete()
        Project.objects.update(previews=True, preview_limit=1000)
        for world in worlds:
            for pull in [one for one in world.github.state["pulls"] if one["state"] == "open"]:
                world.github.close_pull(pull["number"])
            world.railway.set_knobs(cooldown=0)
            lift_allowances(world)
        yield worlds


def _beside(first: Any, directory: Path, number: int, stack: ExitStack) -> Any:
    """One more project, like that of `first`; `stack` removes it."""
    from portal.sandbox import sample
    from portal.sandbox.github import GitHubStandIn
    from portal.sandbox.railway import RailwayStandIn
    from releases.project_settings import connect
    from tests.journeys import furnished

    name, place = f"inspector-{number}", directory / f"project-{number}"
    made = {key: furnished.create_database(key, first.shape) for key in first.databases}
    for key, (url, written) in made.items():
        stack.callback(furnished.drop_database, key, url, written)
    shutil.copytree(furnished._furnished(()) / "github", place / "github")
    (place / "railway").mkdir()
    text = (furnished._furnished(()) / "railway" / "railway.json").read_text()
    text = ID.sub(lambda found: str(uuid.uuid5(uuid.UUID(found[0]), name)), text)
    for key, (url, _) in made.items():
        text = text.replace(furnished.DATABASE.format(key), url)
    text = text.replace("acme/inspector", f"acme/{name}")
    (place / "railway" / "railway.json").write_text(text)
    github = GitHubStandIn(
        place / "github", owner="acme", name=name, clock=lambda: datetime.now(UTC)
    )
    railway = RailwayStandIn(
        place / "railway",
        repository=place / "github" / "repository.git",
        repository_name=f"acme/{name}",
        seconds_per_state=0.02,
    )
    stack.callback(railway.stop)
    stack.callback(github.hooks.stop)
    github.on_push.append(railway.pushed)
    github.url = first.github_server.url
    project = connect.connect(
        name=name,
        repository=f"acme/{name}",
        railway_project_id=railway.project_id,
        alembic=sample.ALEMBIC,
        smoke=[("backend", "/health"), ("frontend", "/")],
        pages=sample.KEY_PAGES,
        soak_minutes=0,
        required_approvals=0,
        protected_checks=["python-ci"],
    )
    return replace(
        first,
        github=github,
        railway=railway,
        databases={key: url for key, (url, _) in made.items()},
        project=project,
        repository=place / "github" / "repository.git",
    )


def _repository(request: Any) -> str:
    """Which repository GitHub is asked about; the first where it is none in particular."""
    if found := NAME.match(request.path):
        return found[1]
    asked = json.loads(request.body or b"{}") if request.path == "/graphql" else {}
    return str((asked.get("variables") or {}).get("name") or "inspector")


def _railways(all_of_them: list[Any]) -> Callable[[Any], Any]:
    """Railway as its servers answer: by the ids in a request, which are each project's own."""
    owner: dict[str, Any] = {}

    def knows(railway: Any, found: str) -> bool:
        tables = (rows for rows in railway.world.data.values() if isinstance(rows, dict))
        with railway.world.lock:
            return any(found in rows for rows in tables)

    def answer(request: Any) -> Any:
        for found in ID.findall(request.body.decode()):
            if found not in owner:
                owner[found] = next((one for one in all_of_them if knows(one, found)), None)
            if owner[found] is not None:
                return owner[found](request)
        return all_of_them[0](request)

    return answer
