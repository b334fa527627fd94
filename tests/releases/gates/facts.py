"""Facts about a release where all is well; tests change one thing at a time.

No database is touched.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from environments.github import MergeRules
from environments.models import (
    Database,
    Deployment,
    Environment,
    EnvironmentDatabase,
    MigrationRun,
    Project,
    Rehearsal,
    Service,
    ServiceInstance,
)
from environments.schema.plan.render import Step
from environments.schema.plan.risk import Risk
from environments.services.liveness import Live
from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.plan import Planned
from releases.gates.sql_diff import Staged
from releases.models.checklist import ChecklistItem
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CANDIDATE, BASE, MERGE = "a" * 40, "b" * 40, "c" * 40
REVISION = {
    "id": "4d1a2b3c",
    "path": "alembic/versions/4d1a2b3c.py",
    "sha256": "d" * 64,
    "message": "add",
}


def a_live(service: str = "backend", kind: str = "staging", **deployment: Any) -> Live:
    """A service that serves the candidate."""
    environment = Environment(name=kind, kind=kind, variables_at=NOW)
    instance = ServiceInstance(service=Service(name=service), environment=environment, seen_at=NOW)
    values = {
        "status": "SUCCESS",
        "commit": CANDIDATE,
        "is_latest": True,
        "is_active": True,
        "seen_at": NOW,
    }
    latest = Deployment(instance=instance, railway_id=f"{service}-{kind}", **(values | deployment))
    return Live(service, instance, latest, (latest,) if latest.is_active else ())


def a_plan(*risks: Risk, **values: Any) -> Planned:
    """The plan of the one migration, with `risks`."""
    step = Step(REVISION["id"], REVISION["path"], REVISION["sha256"], REVISION["message"])
    starts = {"production": {"start": [REVISION["id"]], "revisions": [], "problem": ""}}
    return Planned(
        **({"status": "succeeded", "steps": (step,), "risks": risks, "starts": starts} | values)
    )


def a_rehearsal(kind: str = "production", **values: Any) -> Rehearsal:
    """The rehearsal of the one migration for production, which passed an hour ago."""
    known = {
        "pk": 1,
        "status": "succeeded",
        "start": ("2a8f45e9",),
        "sentence": "Rehearsed.",
        "files": [REVISION],
        "finished_at": NOW - timedelta(hours=1),
    }
    return Rehearsal(environment=Environment(kind=kind), **(known | values))


def a_run(**values: Any) -> MigrationRun:
    """A staging run that succeeded an hour ago."""
    known = {
        "status": "succeeded",
        "finished_at": NOW - timedelta(hours=1),
        "commit": CANDIDATE,
        "created_at": NOW - timedelta(hours=1),
    }
    return MigrationRun(**(known | values))


def a_pull(**values: Any) -> PullRequest:
    """The promotion pull request, open, at the candidate, green."""
    known = {
        "number": 131,
        "state": "open",
        "base": "main",
        "head": "staging",
        "head_sha": CANDIDATE,
        "mergeable": "mergeable",
        "checks": [{"name": "python-ci", "state": "success"}],
        "checks_at": NOW,
        "seen_at": NOW,
        "url": "https://github.com/acme/inspector/pull/131",
        "merge_state": "clean",
        "merging": {"unresolved": 0, "unsigned": 0, "commits": 2, "approved": [], "asking": []},
    }
    return PullRequest(**(known | values))


def a_place(kind: str, *revisions: str, **values: Any) -> EnvironmentDatabase:
    """Where a database is in staging or production; at the release's head unless `revisions` are
    given.
    """
    known = {"revisions": list(revisions or [REVISION["id"]]), "revisions_at": NOW}
    return EnvironmentDatabase(environment=Environment(name=kind, kind=kind), **(known | values))


def a_database(pk: int = 1, project: Project | None = None, **changes: Any) -> DatabaseFacts:
    """A database that staging brought to the release's head an hour ago, with `changes` to
    `DatabaseFacts`.
    """
    known: dict[str, Any] = {
        "database": Database(
            pk=pk, project=project or Project(name="inspector"), name="main", alembic="alembic.ini"
        ),
        "migrations": (REVISION,),
        "heads": (REVISION["id"],),
        "places": {kind: a_place(kind) for kind in ("staging", "production")},
        "runs": (a_run(),),
        "staged_sql": {(REVISION["id"], REVISION["sha256"]): Staged(NOW - timedelta(hours=1))},
        "planned": a_plan(),
        "rehearsals": (a_rehearsal(),),
    }
    return DatabaseFacts(**(known | changes))


OF_DATABASE = ("runs", "planned", "rehearsals", "places")


def good_facts(
    *,
    release: dict[str, Any] | None = None,
    project: dict[str, Any] | None = None,
    runner: str = "portal",
    staged: Any = None,
    ran_at: Any = None,
    **changes: Any,
) -> Facts:
    """Facts of a release that is ready to be promoted, with `changes` to fields of `Facts` and its
    one database.

    `staged`: revision and hash → when staging ran it; `ran_at`: revision → at which commit.
    """
    owner = Project(
        name="inspector", slug="inspector", **({"required_approvals": 0} | (project or {}))
    )
    values = {
        "name": "2026.11.22-1",
        "candidate": CANDIDATE,
        "collected": CANDIDATE,
        "base": BASE,
        "pull_number": 131,
        "migrations": [REVISION],
        "heads": [REVISION["id"]],
        "candidate_at": NOW - timedelta(hours=2),
        "cut_by_id": 1,
        "behind": 0,
    }
    row = Release(project=owner, **(values | (release or {})))
    live = {
        kind: tuple(a_live(service, kind) for service in ("backend", "frontend"))
        for kind in ("staging", "production")
    }
    facts = Facts(
        now=NOW,
        release=row,
        project=owner,
        items=(ChecklistItem(release=row, text="Environments", gate="environments_coherent"),),
        staging_head=CANDIDATE,
        production_head=BASE,
        github_seen_at=NOW,
        railway_seen_at=NOW,
        promotion_pull=a_pull(),
        required_contexts=("python-ci",),
        merge_rules=MergeRules(),
        staging_rules=MergeRules(),
        environments={kind: services[0].instance.environment for kind, services in live.items()},
        live=live,
    )
    given = {name: changes.pop(name) for name in OF_DATABASE if name in changes}
    if staged is not None:
        commits = ran_at or {}
        given["staged_sql"] = {
            key: Staged(at, commits.get(key[0], "")) for key, at in staged.items()
        }
    one = a_database(
        project=owner, migrations=tuple(row.migrations), heads=tuple(row.heads), **given
    )
    one.database.runner = runner
    return replace(facts, **({"databases": (one,)} | changes))
