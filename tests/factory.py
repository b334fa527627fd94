"""Made-up rows for tests and pictures: people with roles, a connected project, releases in any
state.
"""

import functools
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import get_hasher, make_password
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from environments.github import MergeRules
from environments.models import (
    Branch,
    Database,
    Deployment,
    Environment,
    EnvironmentDatabase,
    MigrationPlan,
    MigrationRun,
    Project,
    RailwaySync,
    Rehearsal,
    Service,
    ServiceInstance,
    StagedRevision,
    Stamp,
)
from environments.schema.downgrade.compatibility import SAFE
from environments.schema.plan.render import Rendered, Statement, Step, steps_as_json
from portal import audit
from portal.accounts import roles
from portal.sandbox.sample import KEY_PAGES
from releases.checklist import items as checklist_items
from releases.models import Downgrade, Rollback, RollbackApproval, RollbackAssessment, RollbackStep
from releases.models.promotion import Promotion, PromotionStep, StepName
from releases.models.pull_requests import GitHubSync, PullRequest
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release
from releases.models.rollback import downgrade_content, rollback_content

PASSWORD = "correct horse battery staple"
CANDIDATE, BASE, MERGE = "3f2a1c9" + "a" * 33, "b07d4e2" + "b" * 33, "c51e0d7" + "c" * 33
REVISIONS = [
    {
        "id": "3c9d56f82e10",
        "path": "backend/alembic/versions/3c9d56f82e10_settings.py",
        "sha256": "5d" * 32,
        "message": "add integration settings",
    },
    {
        "id": "4d1a2b3c4d5e",
        "path": "backend/alembic/versions/4d1a2b3c4d5e_index.py",
        "sha256": "7e" * 32,
        "message": "index events.workspace_id",
    },
]
PEOPLE = {
    "alice": "Release managers",
    "bob": "Approvers",
    "carol": "Auditors",
    "dave": "Administrators",
}


def _hashed() -> str:
    """The password's hash by the hasher that is set now: another would not know it again."""
    return _hashed_by(get_hasher().algorithm)


@functools.cache
def _hashed_by(hasher: str) -> str:
    """Worked out once: it is slow on purpose."""
    return make_password(PASSWORD, hasher=hasher)


def make_people() -> dict[str, User]:
    """alice, bob, carol and dave with their roles; all may sign in with `PASSWORD`.

    In four queries, for a thousand tests begin with it.
    """
    groups = {group.name: group for group in Group.objects.filter(name__in=PEOPLE.values())}
    if len(groups) < len(PEOPLE):
        roles.ensure()
        return make_people()
    known = {user.username: user for user in User.objects.filter(username__in=PEOPLE)}
    new = User.objects.bulk_create(
        User(username=name, password=_hashed(), is_staff=True, is_superuser=name == "dave")
        for name in PEOPLE
        if name not in known
    )
    User.groups.through.objects.bulk_create(
        User.groups.through(user=user, group=groups[PEOPLE[user.username]]) for user in new
    )
    known |= {user.username: user for user in new}
    return {name: known[name] for name in PEOPLE}


def make_project(
    name: str = "inspector",
    *,
    services: tuple[str, ...] = ("backend", "frontend"),
    staging: str = CANDIDATE,
    production: str = BASE,
    now: datetime | None = None,
    alembic: str = "backend/alembic.ini",
    **settings: Any,
) -> Project:
    """A project in step with the world: both environments live at the heads of their branches."""
    now = now or timezone.now()
    known = {"repository": f"acme/{name}", "railway_project_id": f"rp-{name}"}
    known["required_approvals"] = 0  # most tests are about something else
    project = Project.objects.create(name=name, slug=name, **(known | settings))
    database = Database.objects.create(project=project, alembic=alembic) if alembic else None
    # These jobs are asleep: nobody runs them in these tests.
    asleep = {"wake_at": now + timedelta(days=365), "synced_at": now}
    GitHubSync.objects.create(project=project, **asleep)
    RailwaySync.objects.create(project=project, **asleep)
    rows = [
        Service(project=project, name=service, railway_id=f"{name}-{service}")
        for service in services
    ]
    Service.objects.bulk_create(rows)
    for kind, commit in (("staging", staging), ("production", production)):
        branch = project.staging_branch if kind == "staging" else project.production_branch
        Branch.objects.create(
            project=project,
            name=branch,
            head=commit,
            required_contexts=["python-ci"],
            merge_rules=MergeRules().as_json(),
            seen_at=now,
        )
        environment = Environment.objects.create(
            project=project,
            name=kind,
            kind=kind,
            railway_id=f"{name}-{kind}",
            seen_at=now,
            variables_at=now,
        )
        if database:
            at = [REVISIONS[-1]["id"] if kind == "staging" else "2a8f45e9b1c0"]
            EnvironmentDatabase.objects.create(
                environment=environment, database=database, revisions=at, revisions_at=now
            )
        for row in rows:
            instance = ServiceInstance.objects.create(
                service=row,
                environment=environment,
                railway_id=f"{name}-{kind}-{row.name}"[:64],
                repository=project.repository,
                branch=branch,
                seen_at=now,
                domains=[f"{row.name}-{kind}.up.railway.app"],
            )
            deploy(instance, commit, now=now)
    checklist_items.ensure_for(project, pages=KEY_PAGES)
    return project


def deploy(
    instance: ServiceInstance, commit: str, *, status: str = "SUCCESS", now: datetime
) -> Deployment:
    """The newest deployment of `instance`, which serves unless it failed."""
    Deployment.objects.filter(instance=instance).update(is_latest=False)
    serves = status in ("SUCCESS", "SLEEPING")
    if serves:
        Deployment.objects.filter(instance=instance).update(is_active=False)
    number = Deployment.objects.count()
    return Deployment.objects.create(
        instance=instance,
        railway_id=f"d-{instance.pk}-{number}",
        status=status,
        commit=commit,
        is_latest=True,
        is_active=serves,
        created_at=now,
        seen_at=now,
    )


def make_release(
    project: Project,
    *,
    by: User | None = None,
    ready: bool = False,
    now: datetime | None = None,
    **values: Any,
) -> Release:
    """A collected release with checklist and open promotion pull request; `ready`: staging
    migrated, all ticked.
    """
    now = now or timezone.now()
    count = Release.objects.filter(project=project).count() + 1
    known = {
        "name": f"2026.11.22-{count}",
        "candidate": CANDIDATE,
        "collected": CANDIDATE,
        "base": BASE,
        "cut_by": by,
        "pull_number": 131,
        "migrations": REVISIONS,
        "heads": [REVISIONS[-1]["id"]],
        "commit_count": 11,
        "behind": 0,
        "cut_at": now - timedelta(hours=2),
        "candidate_at": now - timedelta(hours=2),
        "commits": [
            {"sha": f"{n:040x}", "title": f"Change number {n}", "author": "Dana"} for n in range(11)
        ],
    }
    release = Release.objects.create(project=project, **(known | values))
    # Nothing answers here, so nothing is asked of staging: that item has tests of its own.
    items = [one for one in checklist_items.copy_to(release) if one.gate != "staging_smoked"]
    release.items.filter(gate="staging_smoked").delete()
    if project.databases.exists():
        make_plan_row(release, now=now)
        make_rehearsal(release, now=now)
    ReleaseReconciler.objects.create(release=release, wake_at=now + timedelta(days=365))
    pulls = []
    for number, title in (
        (128, "Integration settings"),
        (127, "Faster signal list"),
        (126, "Clearer empty states"),
    ):
        pulls.append(
            _pull(
                project,
                number,
                title,
                state="merged",
                base="staging",
                head=f"topic-{number}",
                now=now,
            )
        )
    _pull(
        project, 131, f"Release {release.name}", state="open", base="main", head="staging", now=now
    )
    release.pull_requests.set(pulls)
    _record("release.cut", by, release, f"{release.name} created at {release.candidate[:7]}.")
    if ready:
        make_run(project, now=now)
        for item in items:
            if item.phase == "before" and not item.gate:
                type(item).objects.filter(pk=item.pk).update(
                    ticked_by=by,
                    ticked_at=now,
                    ticked_candidate=release.candidate,
                    note="checked with Dana",
                )
                _record("checklist.ticked", by, release, f"{item.text}: “checked with Dana”")
    return release


def make_plan_row(release: Release, *, now: datetime | None = None, **values: Any) -> MigrationPlan:
    """The plan of the release's migrations, without SQL and risks unless `steps` and `risks` are
    given.
    """
    done = Rendered((Statement("select 1"),))
    steps = [
        Step(
            migration["id"],
            migration["path"],
            migration["sha256"],
            migration["message"],
            False,
            done,
            done,
        )
        for migration in release.migrations
    ]
    database = release.project.databases.first()
    places = database.places.filter(environment__kind__in=["staging", "production"])
    starts = {
        kind: {
            "start": at,
            "revisions": [
                migration["id"] for migration in release.migrations if at != release.heads
            ],
            "problem": "",
            "digest": "9a" * 32,
            "also": [],
        }
        for kind, at in places.values_list("environment__kind", "revisions")
    }
    known = {
        "status": "succeeded",
        "steps": steps_as_json(steps),
        "starts": starts,
        "digest": "8b" * 32,
        "renderer": "Alembic 1.20.1, SQLAlchemy 2.0.50",
        "wake_at": now or timezone.now(),
    }
    return MigrationPlan.objects.update_or_create(
        project=release.project,
        database=database,
        commit=release.candidate,
        base=release.base,
        defaults=known | values,
    )[0]


def make_rehearsal(
    release: Release, *, now: datetime | None = None, kind: str = "production", **values: Any
) -> Rehearsal:
    """A rehearsal of the release's migrations that passed a moment ago."""
    now = now or timezone.now()
    known = {
        "status": "succeeded",
        "start": ["2a8f45e9b1c0"],
        "target": release.heads,
        "files": release.migrations,
        "sentence": (
            f"{len(release.migrations)} migrations rehearsed from 2a8f45e9b1c0 on PostgreSQL 18.6."
        ),
        "server": "18.6",
        "scratch": "18.6",
        "left": [],
        "drift": [],
        "created_at": now,
        "finished_at": now,
        "phases": [
            ["server", 0.6],
            ["read", 0.2],
            ["load", 0.1],
            ["first", 0.9],
            ["back", 0.8],
            ["again", 0.9],
            ["compare", 1.1],
        ],
    }
    environment = Environment.objects.get(project=release.project, kind=kind)
    known["database"] = release.project.databases.first()
    return Rehearsal.objects.create(
        environment=environment, commit=release.candidate, **(known | values)
    )


def make_stamp(project: Project, *, by: Any, kind: str = "staging", **values: Any) -> Stamp:
    """A proof that waits for somebody to propose what it found."""
    known = {
        "commit": CANDIDATE,
        "branch": "staging",
        "schema": "5" * 64,
        "equal": [[REVISIONS[-1]["id"]]],
        "tried": 3,
        "sentence": f"The schema is exactly that of {REVISIONS[-1]['id']}.",
        "wake_at": timezone.now() + timedelta(days=365),
    }
    environment = Environment.objects.get(project=project, kind=kind)
    known["database"] = project.databases.first()
    return Stamp.objects.create(environment=environment, requested_by=by, **(known | values))


def make_run(
    project: Project, *, kind: str = "staging", now: datetime | None = None, **values: Any
) -> MigrationRun:
    """A run that brought the environment's database to the release's heads, an hour ago."""
    now = now or timezone.now()
    known = {
        "status": "succeeded",
        "commit": CANDIDATE,
        "target": [REVISIONS[-1]["id"]],
        "planned": REVISIONS,
        "applied": [[revision["id"], 1.2] for revision in REVISIONS],
        "before": ["2a8f45e9b1c0"],
        "after": [REVISIONS[-1]["id"]],
        "created_at": now - timedelta(hours=1),
        "started_at": now - timedelta(hours=1),
        "finished_at": now - timedelta(minutes=58),
        "log": "INFO Running upgrade 2a8f45e9b1c0 -> 3c9d56f82e10\n" * 20,
        "log_bytes": 1000,
        "sentence": "2 revisions applied.",
        "wake_at": now + timedelta(days=365),
    }
    environment = Environment.objects.get(project=project, kind=kind)
    known["database"] = project.databases.first()
    run = MigrationRun.objects.create(environment=environment, **(known | values))
    if kind == "staging" and run.status == "succeeded":
        staged = (
            StagedRevision(
                project=project,
                database=run.database,
                revision=revision["id"],
                sha256=revision["sha256"],
                run=run,
                at=run.finished_at,
            )
            for revision in REVISIONS
        )
        StagedRevision.objects.bulk_create(staged, ignore_conflicts=True)
    return run


def make_promotion(
    release: Release, *, by: User | None = None, at: str = "deploy", failed: bool = False
) -> Promotion:
    """A promotion that has come to the step `at`, which is under way or has failed."""
    now = timezone.now()
    Release.objects.filter(pk=release.pk).update(
        status="promoting", merge_commit=MERGE if at != "merge" else ""
    )
    promotion = Promotion.objects.create(
        release=release,
        started_by=by,
        status="failed" if failed else "waiting",
        wake_at=now + timedelta(days=365),
        sentence="In production, backend is not live.",
        created_at=now - timedelta(minutes=4),
        gates=[
            {"item": item.pk, "text": item.text, "state": "pass", "sentence": "As it should be."}
            for item in release.items.all()
            if item.phase == "before"
        ],
    )
    passed = True
    for position, name in enumerate(one for one in StepName if one != StepName.BACK_MERGE):
        current = name == at
        passed = passed and not current
        message = {
            "merge": "Pull request #131 merged as c51e0d7.",
            "deploy": "backend is deploying c51e0d7 (building)",
        }
        PromotionStep.objects.create(
            promotion=promotion,
            position=position,
            name=name,
            database=release.project.databases.first() if name == "migrate" else None,
            status=(
                "done" if passed else "pending" if not current else "failed" if failed else "active"
            ),
            started_at=now - timedelta(minutes=4) if passed or current else None,
            finished_at=now - timedelta(minutes=3) if passed or (current and failed) else None,
            sentence=message.get(name, "") if passed or current else "",
            world=(
                "The merge is done. Production partly runs the release."
                if current and failed
                else ""
            ),
            evidence=[{"label": "#131", "said": MERGE}] if name == "merge" and passed else [],
        )
    _record(
        "release.promoted",
        by,
        release,
        f"Promotion of {release.name} at {release.candidate[:7]} started.",
    )
    return promotion


def make_advice(release: Release, **values: Any) -> RollbackAssessment:
    """What the assessment found a minute ago: both services can go back, one variable and two
    revisions with them.
    """
    now = timezone.now()
    unknown = [
        "Sealed, so that a change cannot be seen: SIGNING_KEY.",
        "References, whose target may move: API_URL.",
    ]
    production = ServiceInstance.objects.filter(
        environment__project=release.project, environment__kind="production"
    )
    serves = dict(
        Deployment.objects.filter(is_active=True, status="SUCCESS").values_list(
            "instance", "commit"
        )
    )
    services = [
        {
            "service": one.service.name,
            "service_id": one.service.railway_id,
            "state": "ready",
            "sentence": f"Railway can restore {BASE[:7]}.",
            "serves": serves.get(one.pk, MERGE),
            "deployment": f"{one.pk:08d}-4f1a-4bd1",
            "commit": BASE,
            "made_at": (now - timedelta(days=2)).isoformat(),
            "until": (now + timedelta(hours=20)).isoformat(),
            "at_start": one.get_at_start_display(),
            "at_start_known": False,
            "variables": [["FEATURE_FLAGS", "changed"], ["NEW_LIMIT", "added"]],
            "variables_unknown": unknown,
        }
        for one in production.select_related("service")
    ]
    last = release.migrations[-1]
    back = {
        "file": last,
        "target": release.migrations[0]["id"],
        "start": [last["id"]],
        "database": "inspector_production",
        "commit": release.merge_commit,
        "unsure": "",
        "sql": "ALTER TABLE events DROP COLUMN severity;",
        "losses": [
            {"table": "events", "column": "severity", "rows": 41822, "exact": True, "sentence": ""},
            {"table": "integrations", "column": "", "rows": 7, "exact": True, "sentence": ""},
        ],
    }
    known = {
        "verdict": SAFE,
        "services": services,
        "in_effect": [migration["id"] for migration in release.migrations],
        "reasons": [
            "The earlier code works with the new schema: nothing it uses is dropped, renamed or "
            "narrowed."
        ],
        "steps": [
            "Roll back every service of the release to its earlier deployment.",
            (
                "If the old image runs Alembic when it starts, take that command out of its start"
                " first."
            ),
        ],
        "revisions": [last["id"]],
        "downgrade": back,
        "computed_at": now - timedelta(minutes=1),
        "wake_at": now + timedelta(days=365),
        "status": "waiting",
    }
    assessment = RollbackAssessment(release=release, **(known | values))
    assessment.content = rollback_content(assessment.verdict, assessment.targets)
    assessment.save()
    return assessment


def make_rollback(
    release: Release,
    *,
    by: User,
    at: str = "approve",
    failed: bool = False,
    approved_by: User | None = None,
) -> Rollback:
    """A rollback that has come to the first step named `at` ("": it is done), which waits or has
    failed.
    """
    now, assessment = timezone.now(), release.assessment
    status = "succeeded" if not at else "failed" if failed else "waiting"
    message = {
        "approve": "Waits for the approval of 1 other person.",
        "restore": "Railway can no longer restore it.",
    }
    job = Rollback.objects.create(
        release=release,
        requested_by=by,
        reason="Checkout answers 500 since the release",
        verdict=assessment.verdict,
        targets=assessment.targets,
        content=assessment.content,
        status=status,
        created_at=now - timedelta(minutes=5),
        sentence=message.get(at, "backend and frontend went back to the earlier deployment."),
        wake_at=now + timedelta(days=365),
        finished_at=now - timedelta(minutes=3) if not at else None,
    )
    names = [
        ("approve", ""),
        *(("restore", target["service"]) for target in job.targets),
        ("live", ""),
        ("smoke", ""),
    ]
    passed = True
    for position, (name, service) in enumerate(names):
        current = passed and name == at
        passed = passed and not current
        RollbackStep.objects.create(
            rollback=job,
            position=position,
            name=name,
            service=service,
            status=(
                "done" if passed else "pending" if not current else "failed" if failed else "active"
            ),
            started_at=now - timedelta(minutes=4) if passed or current else None,
            finished_at=now - timedelta(minutes=3) if passed or (current and failed) else None,
            sentence=(
                message.get(name, "As it should be.")
                if current
                else "As it should be."
                if passed
                else ""
            ),
            world=(
                f"{service} serves c51e0d7. No request was sent to Railway."
                if current and failed
                else ""
            ),
            evidence=(
                [{"label": "deployment", "said": "b7e4-restored"}] if passed and service else []
            ),
        )
    if approved_by:
        RollbackApproval.objects.create(
            rollback=job, user=approved_by, content=job.content, comment="logs agree"
        )
    return job


def make_downgrade(release: Release, *, by: User, **values: Any) -> Downgrade:
    """A wish for the downgrade that the assessment names, rehearsed a moment ago; nobody has
    approved it yet.
    """
    known = release.assessment.downgrade
    rehearsal = make_rehearsal(
        release,
        direction="downgrade",
        start=known["start"],
        target=[known["target"]],
        files=[known["file"]],
    )
    type(rehearsal).objects.filter(pk=rehearsal.pk).update(commit=known["commit"])
    kept = {
        name: known[name] for name in ("commit", "database", "start", "target", "file", "losses")
    }
    return Downgrade.objects.create(
        release=release,
        environment=rehearsal.environment,
        rehearsal=rehearsal,
        requested_by=by,
        content=downgrade_content(known),
        reason="The rename breaks the old code",
        **(kept | values),
    )


def _pull(
    project: Project, number: int, title: str, *, now: datetime, **values: Any
) -> PullRequest:
    checks = [{"name": "python-ci", "state": "success", "url": ""}]
    known = {
        "title": title,
        "author": "dana",
        "head_sha": CANDIDATE,
        "mergeable": "mergeable",
        "checks": checks,
        "checks_at": now,
        "merge_state": "clean",
        "merging": {"unresolved": 0, "unsigned": 0, "commits": 1},
        "url": f"https://github.com/{project.repository}/pull/{number}",
        "seen_at": now,
    }
    return PullRequest.objects.update_or_create(
        project=project, number=number, defaults=known | values
    )[0]


def _record(action: str, actor: User | None, subject: Any, sentence: str) -> None:
    with transaction.atomic():
        audit.record(action, actor=actor, subject=subject, sentence=sentence)
