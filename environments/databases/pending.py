"""Which migrations of a commit staging and production have still to run, and which staging ran."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from django.db.models import QuerySet

from environments.models import (
    LONG_LIVED,
    Database,
    EnvironmentDatabase,
    EnvironmentKind,
    MigrationPlan,
    MigrationRun,
    StagedRevision,
)
from environments.schema.history.graph import History
from environments.schema.history.revision import HistoryError
from environments.schema.history.status import PROVE
from environments.schema.plan.render import Step, digest_of, steps_as_json, steps_from_json
from portal.outbound.parsing import JsonObject

PLANS = 20  # how many plans are searched for a revision


def read(database: Database, history: History) -> dict[str, JsonObject]:
    """Return for each of both: where its database is (`start`, None: not read) and the `revisions`
    to run, in order.

    One query. A database from which no way leads to the heads has a `problem` and no revisions.
    """
    reports: dict[str, JsonObject] = {}
    for place in _places(database).select_related("environment"):
        environment = place.environment
        made: JsonObject = {"start": place.revisions, "revisions": [], "problem": ""}
        if place.revisions is None:
            made["problem"] = (
                place.revisions_problem or f"{environment}'s database has not been read yet."
            )
        else:
            try:
                steps = history.between(place.revisions, history.effective_heads)
                made["revisions"] = [step.id for step in steps]
            except HistoryError as error:
                strange = not set(place.revisions) <= history.revisions.keys()
                made["problem"] = f"{environment}: {error}{f' {PROVE}' if strange else ''}"
        reports[str(environment.kind)] = made
    return reports


def hashed(
    starts: Mapping[str, JsonObject], steps: Sequence[Step], *, shown: Collection[str]
) -> dict[str, JsonObject]:
    """Return `starts` with the digest of what each is to run (files and SQL), and the steps that
    are not `shown` elsewhere.
    """
    by_id = {step.revision: step for step in steps}
    hashes = {}
    for kind, start in starts.items():
        revisions = [by_id[id] for id in start["revisions"] if id in by_id]
        also = steps_as_json([step for step in revisions if step.revision not in shown])
        hashes[kind] = start | {"digest": digest_of(revisions), "also": also}
    return hashes


def reported(database: Database) -> list[str]:
    """Return what staging's and production's databases report; [] where one was not read.

    One query.
    """
    reports = list(_places(database).values_list("revisions", flat=True))
    known = [revisions for revisions in reports if revisions is not None]
    return sorted({id for revisions in known for id in revisions}) if known == reports else []


def _places(database: Database) -> QuerySet[EnvironmentDatabase]:
    return EnvironmentDatabase.objects.filter(
        database=database, environment__kind__in=LONG_LIVED, environment__gone_at=None
    )


def moved(plan: MigrationPlan, heads: Collection[str]) -> bool:
    """Return whether a database is elsewhere than the plan says, and not at the commit's heads.

    One query.
    """
    read = _places(plan.database).filter(revisions__isnull=False)
    rows = read.values_list("environment__kind", "revisions")
    return any(is_elsewhere(plan.starts, kind, at or (), heads) for kind, at in rows)


def is_elsewhere(
    starts: JsonObject, kind: str, at: Collection[str], heads: Collection[str]
) -> bool:
    """Return whether the plan's `starts` say another revision than `at`, which is not where it
    leads to anyway.
    """
    known = starts.get(kind, {}).get("start")
    return sorted(at) != sorted(heads) and (known is None or sorted(known) != sorted(at))


def planned_steps(job: MigrationRun) -> dict[str, tuple[Step, list[JsonObject]]]:
    """Return what the newest plans say of each revision of the run: its step and its risks.

    A plan that is being computed again still has what it knew of these files. One query.
    """
    files = {(planned["id"], planned["sha256"]) for planned in job.planned}
    plans = MigrationPlan.objects.filter(database=job.database).exclude(steps=[])
    steps: dict[str, tuple[Step, list[JsonObject]]] = {}
    for plan in plans.order_by("-pk").only("steps", "risks")[:PLANS]:
        for step in steps_from_json(plan.steps):
            if (step.revision, step.sha256) in files:
                risks = [risk for risk in plan.risks if risk["revision"] == step.revision]
                steps.setdefault(step.revision, (step, risks))
    return steps


def keep_rendered(plan: MigrationPlan) -> None:
    """Give what staging ran at the plan's commit the SQL that was planned for it.

    One query when it has it.
    """
    stored = [*plan.steps, *plan.starts.get(EnvironmentKind.STAGING, {}).get("also", ())]
    planned = [step["revision"] for step in stored]
    bare = StagedRevision.objects.filter(database=plan.database_id, rendered__isnull=True)
    waiting = list(bare.filter(run__commit=plan.commit, revision__in=planned))
    if not waiting:
        return
    steps = {(step.revision, step.sha256): step for step in steps_from_json(stored)}
    for row in waiting:
        if step := steps.get((row.revision, row.sha256)):
            rendered = asdict(step.upgrade)
            bare.filter(pk=row.pk).update(rendered=rendered, renderer=plan.renderer)
