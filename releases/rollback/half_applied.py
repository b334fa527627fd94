"""Tell what a failed migration of production has left behind: the part of a revision that was
not rolled back.
"""

from collections.abc import Callable, Collection, Sequence

from environments.models import Direction, EnvironmentDatabase, MigrationRun, Runner
from environments.schema.downgrade.compatibility import Half
from environments.schema.plan.render import Rendered, Statement, Step
from environments.schema.plan.risk import Risk, assess
from environments.schema.plan.squawk import RiskError
from environments.schema.run.failure import next_commands
from portal.jobs import JobStatus
from releases.models.releases import Release

Planned = Callable[[Sequence[str]], tuple[list[Step], list[Risk], list[str]]]


def newest_run(place: EnvironmentDatabase) -> MigrationRun | None:
    """Return the newest run of a database, without its log; None where there was none."""
    runs = MigrationRun.objects.filter(environment=place.environment_id, database=place.database_id)
    return (
        runs.defer("log").select_related("environment", "database").order_by("-created_at").first()
    )


def half_of(
    run: MigrationRun, release: Release, behind: Collection[str], planned: Planned
) -> Half | None:
    """Return what stays of the revision in which `run` failed; None where nothing can stay, or it
    is in effect by now.

    `behind`: the revisions that the database has. `planned` tells the release's plan of some of
    them.
    """
    revision = run.failed_revision
    if run.is_open or run.status == JobStatus.SUCCEEDED or run.direction == Direction.DOWNGRADE:
        return None
    if (
        not revision
        or revision in behind
        or run.commit not in (release.candidate, release.merge_commit)
    ):
        return None
    table, kept = run.database.version_table, tuple(run.kept)
    found = next_commands(invalid=run.invalid_indexes, kept=kept, table=table, known=True)
    commands = tuple(one.command or one.why for one in found)
    if run.runner != Runner.PORTAL and _may_stay(revision, planned):
        message = (
            f"{revision} failed in the project's own command; what it did outside its transaction"
            " is not seen here."
        )
        return Half(
            revision, f"{message} Read its file and look at the database.", commands, breaks=True
        )
    if not found:
        return None
    count = f"{len(kept)} statement{'s' if len(kept) != 1 else ''}" if kept else "an invalid index"
    message = (
        f"{revision} failed half-way: {count} of it {'stay' if len(kept) > 1 else 'stays'} in the"
        " database."
    )
    return Half(revision, message, commands, breaks=_breaks(revision, kept, planned))


def _may_stay(revision: str, planned: Planned) -> bool:
    """Return whether the revision does anything that a transaction does not take back, or that
    nobody knows.
    """
    steps, risks, _ = planned([revision])
    if not steps or steps[0].upgrade.kind:
        return True
    outside = any(not statement.in_transaction for statement in steps[0].upgrade.statements)
    return outside or any(
        risk.code in ("transaction-control", "opaque", "calls", "unknown") for risk in risks
    )


def _breaks(revision: str, kept: Sequence[str], planned: Planned) -> bool:
    """Return whether earlier code may trip over the statements that stay."""
    steps, _, _ = planned([revision])
    path, sha256 = (steps[0].path, steps[0].sha256) if steps else ("", "")
    part = Step(
        revision, path, sha256, "", upgrade=Rendered(tuple(Statement(one, False) for one in kept))
    )
    try:
        return any(one.breaks_old for one in assess([part]))
    except RiskError:
        return True
