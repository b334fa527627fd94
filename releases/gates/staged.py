"""What staging ran of a release's migrations, and how each database sees the release."""

from collections.abc import Mapping
from dataclasses import replace

from django.db.models import F, Func, JSONField, QuerySet

from environments.models import EnvironmentKind, MigrationRun, StagedRevision
from environments.schema.plan.render import rendered_from_json
from portal.prepared_queries import prepared
from releases.gates.databases import DatabaseFacts, databases_in
from releases.gates.plan import Planned, planned_of, with_unplanned
from releases.gates.release_queryset import ReadRelease
from releases.gates.sql_diff import Staged

_RUNS = (
    MigrationRun.objects.filter(environment__kind=EnvironmentKind.STAGING)
    .only("database_id", "status", "commit", "target", "sentence", "created_at", "finished_at")
    .order_by(F("created_at").desc())
)


@prepared
def _newest_runs(project: int, *, limit: int) -> QuerySet[MigrationRun]:
    return _RUNS.filter(environment__project=project)[:limit]


def databases_of(release: ReadRelease) -> tuple[DatabaseFacts, ...]:
    """Return the release as each database sees it. Two queries, none where there is no database."""
    databases = databases_in(release, release)
    if not databases:
        return ()
    plans = planned_of(release)
    runs = _newest_runs(release.project_id, limit=10 * len(databases))
    staged = _staged(release, plans)
    return tuple(
        replace(
            database,
            runs=tuple(run for run in runs if run.database_id == pk)[:10],
            staged_sql=(ran := staged.get(pk, {})),
            planned=with_unplanned(plans[pk], ran) if pk in plans else None,
        )
        for database in databases
        for pk in [database.database.pk]
    )


_STAGED = (
    *("database_id", "revision", "sha256", "at", "rendered", "renderer", "run_id", "run__commit"),
    "sent",
)


def _staged(
    release: ReadRelease, plans: Mapping[int, Planned]
) -> dict[int, dict[tuple[str, str], Staged]]:
    """Return what staging ran of the release's revisions and of what production has still to run:
    of each, oldest first.
    """
    wanted = {migration["id"] for migration in release.migrations}
    wanted |= {step.revision for plan in plans.values() for step in plan.steps}
    rows = StagedRevision.objects.filter(project=release.project_id, revision__in=wanted)
    sent = Func(
        F("run__executed"), F("revision"), function="jsonb_extract_path", output_field=JSONField()
    )
    staged_by_database: dict[int, dict[tuple[str, str], Staged]] = {}
    read = rows.order_by("pk").annotate(sent=sent).values_list(*_STAGED)
    for database, revision, sha256, at, kept, renderer, run, commit, listed in read:
        executed = tuple((key, text) for key, text in listed or ())
        rendered = rendered_from_json(kept) if kept else None
        ran = Staged(at, commit, run, rendered, renderer, executed)
        staged_by_database.setdefault(database, {})[revision, sha256] = ran
    return staged_by_database
