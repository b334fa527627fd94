"""What staging ran of a release's migrations, and how each database sees the release."""

from collections.abc import Mapping

from django.db.models import F, Func, JSONField

from environments.models import EnvironmentKind, MigrationRun, Project, StagedRevision
from environments.schema.plan.render import rendered_from_json
from releases.gates.databases import DatabaseFacts, databases_in, heads_of, migrations_of, places_in
from releases.gates.plan import Planned, planned_of, with_unplanned
from releases.gates.rehearsal import rehearsed_of
from releases.gates.release_queryset import ReadRelease
from releases.gates.sql_diff import Staged

_RUNS = (
    MigrationRun.objects.filter(environment__kind=EnvironmentKind.STAGING)
    .only("database_id", "status", "commit", "target", "sentence", "created_at", "finished_at")
    .order_by(F("created_at").desc())
)


def databases_of(release: ReadRelease, project: Project) -> tuple[DatabaseFacts, ...]:
    """Return the release as each database sees it. Two queries, none where there is no database."""
    databases = databases_in(release, project)
    if not databases:
        return ()
    plans, places = planned_of(release), places_in(release, databases)
    rehearsals = rehearsed_of(release.record.get("rehearsals", release.rehearsal_rows))
    runs = list(_RUNS.filter(environment__project=project)[: 10 * len(databases)])
    staged, names = _staged(release, plans), release.record.get("databases", {})
    return tuple(
        DatabaseFacts(
            database=database,
            called=names.get(str(database.pk), database.called),
            migrations=migrations_of(release, database, databases),
            heads=heads_of(release, database, databases),
            places=places[database.pk],
            runs=tuple(run for run in runs if run.database_id == database.pk)[:10],
            staged_sql=staged.get(database.pk, {}),
            planned=(
                with_unplanned(plans[database.pk], staged.get(database.pk, {}))
                if database.pk in plans
                else None
            ),
            rehearsals=tuple(row for row in rehearsals if row.database_id == database.pk),
        )
        for database in databases
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
    found: dict[int, dict[tuple[str, str], Staged]] = {}
    read = rows.order_by("pk").annotate(sent=sent).values_list(*_STAGED)
    for database, revision, sha256, at, kept, renderer, run, commit, told in read:
        executed = tuple((key, text) for key, text in told or ())
        rendered = rendered_from_json(kept) if kept else None
        ran = Staged(at, commit, run, rendered, renderer, executed)
        found.setdefault(database, {})[revision, sha256] = ran
    return found
