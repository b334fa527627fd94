"""What the release page shows, read once for all its panels."""

from typing import Any

from django.db.models import Exists, F, Func, JSONField, OuterRef, QuerySet, Subquery, Value
from django.http import Http404, HttpRequest
from django.template.backends.utils import csrf_input

from environments.models import DeploymentLog, EnvironmentKind
from portal import audit
from portal.outbound.pages import commit_page
from portal.outbound.parsing import JsonObject
from portal.prepared_queries import prepared
from portal.ui.paging import with_neighbours
from releases import gates
from releases.gates import record as gates_record
from releases.gates.carried import again
from releases.gates.context import Facts, gather
from releases.gates.release_queryset import release_queryset
from releases.github_mirror import watching as mirrors
from releases.models import Downgrade, Rollback
from releases.models.checklist import Phase
from releases.models.promotion import PromotionStep
from releases.models.releases import Release
from releases.pages import checklist_rows, confirm, live_table, next_act, rollback, stages
from releases.pages import migrations as pages_migrations
from releases.pages import record as pages_record
from releases.pages import release as pages_release
from releases.pages import trouble as pages_trouble
from releases.pages.rollback_panel import RollbackPanel
from releases.task_logs import views as task_logs_views
from releases.variable_changes import compare

COMMITS_SHOWN, EVENTS_SHOWN = 50, 30
MAY = {
    "tick": "releases.tick_checklistitem",
    "promote": "releases.promote_release",
    "approve": "releases.approve_release",
    "abandon": "releases.abandon_release",
    "repair": "releases.repair_release",
    "roll_back": "releases.roll_back_release",
    "revert": "releases.roll_back_release",
    "write": "releases.cut_release",
    "log": "releases.write_tasklog",
    "migrate": "environments.migrate_environment",
    "audit": "portal.view_auditevent",
}


@prepared
def page_rows(pk: int) -> QuerySet[Any]:
    """Return the release for its page: with the newest of its commits, cut off by the database,
    and the way back.
    """
    shown = Value(f"$[0 to {COMMITS_SHOWN - 1}]")
    newest = Func(F("commits"), shown, function="jsonb_path_query_array", output_field=JSONField())
    last = Release.objects.filter(project=OuterRef("project")).merged()
    going_back = {
        "last_merged": Subquery(last.values("pk")[:1]),
        "has_rollback": Exists(Rollback.objects.filter(release=OuterRef("pk"))),
        "has_downgrade": Exists(Downgrade.objects.filter(release=OuterRef("pk"))),
    }
    rows = release_queryset().select_related(
        "project", "cut_by", "task_log__saved_by", "assessment"
    )
    rows = rows.annotate(newest_commits=newest, variable_drift=F("reconciler__drift"), **going_back)
    return with_neighbours(rows.filter(pk=pk), within="project")


def release_context(request: HttpRequest, pk: int) -> JsonObject:
    """Return everything the page shows: the ten queries of the facts, the timeline, and the way
    back.

    Raise `Http404`.
    """
    rows = page_rows(pk)
    if not rows:
        raise Http404("There is no such release.")
    (shown,) = rows
    facts = gather(shown)
    if facts.railway_seen_at is None or facts.railway_seen_at < facts.fresh_since:
        mirrors.watch(facts.project, now=facts.now)  # the gates say that it is being read
    readiness = gates.readiness_of(facts)
    # Asked once for the page: a template that asks for each row pays for each row.
    may = {name: request.user.has_perm(permission) for name, permission in MAY.items()}
    events = audit.timeline(shown, limit=EVENTS_SHOWN)
    checklists = _checklists(facts, readiness, may_tick=may["tick"])
    return {
        "release": shown,
        "project": facts.project,
        "facts": facts,
        "readiness": readiness,
        "may": may,
        **checklists,
        **_state(facts, readiness, checklists["before"]),
        **_changes(facts),
        **live_table.context(facts),
        "staging_moves": any(run.is_open for run in facts.runs),
        "can_migrate": pages_release.can_migrate_staging(facts),
        "staged_at": facts.staged_at(),
        "drift": compare.drift(shown.variable_drift),
        "task_log": task_logs_views.panel(shown),
        "events": events,
        "tried": pages_release.earlier_attempts(events),
        "csrf_input": csrf_input(request),  # made once: sixty rows hold it
    }


def _checklists(facts: Facts, readiness: gates.Readiness, *, may_tick: bool) -> JsonObject:
    """Return both checklists, and the next item that waits for a person."""
    before = checklist_rows.rows(facts, readiness, Phase.BEFORE, may_tick=may_tick)
    after = checklist_rows.rows(facts, readiness, Phase.AFTER, may_tick=may_tick)
    is_over = facts.release.status in checklist_rows.ENDED
    return {
        "before": before,
        "after": after,
        "tick_before": checklist_rows.several(before),
        "tick_after": checklist_rows.several(after),
        "before_done": sum(row.state == "pass" for row in before),
        "after_done": sum(row.state == "pass" for row in after),
        "lapsed": [row.text for row in before if row.lapsed],
        "unanswered": None if is_over else next_act.unanswered(facts),
    }


def _state(
    facts: Facts, readiness: gates.Readiness, before: tuple[checklist_rows.Row, ...]
) -> JsonObject:
    """Return where the release is on its way, what stopped it, and what people can do about
    that.
    """
    past, back = pages_record.past(facts), rollback.panel(facts, now=facts.now)
    stopped, repairs = pages_release.repairs(facts)
    panels, content = pages_migrations.context(facts), gates.content_digest(facts.release)
    return {
        "past": past,
        "rolled": past.rolled,
        "now": (
            pages_record.now(facts, past)
            or rollback.now(facts, back)
            or pages_release.now(facts, readiness)
        ),
        "stages": (*stages.stages(facts, before), *rollback.last_stage(facts, back)),
        "steps": facts.steps,
        "steps_done": sum(step.status in ("done", "skipped") for step in facts.steps),
        "stopped": stopped,
        "repairs": repairs,
        "trouble": _trouble(facts, stopped, back),
        **panels,
        "confirm": confirm.confirmation(facts, panels["migration_panels"], content),
        "asks": confirm.asks(facts, stopped),
        "approvals": pages_record.approvals(facts, content),
        "rollback_verdict": pages_migrations.rollback_verdict(facts),
        "back": back,
        **_migration_log(facts, back),
        "pulse": _pulse(facts, past, back),
    }


def _migration_log(facts: Facts, back: RollbackPanel) -> JsonObject:
    """Return the run whose log the page shows: the downgrade's where there is one, else the
    newest.
    """
    downgrade = rollback.log_run(back)
    logged = (EnvironmentKind.PRODUCTION, downgrade) if downgrade else pages_release.log_run(facts)
    return {
        "run": logged[1] if logged else None,
        "run_kind": logged[0] if logged else "",
        "run_called": pages_release.called(facts, logged[1]) if logged else "",
        "failure_report": pages_release.failure_report(facts, logged),
    }


def _changes(facts: Facts) -> JsonObject:
    """Return what the release brings to production: commits and pull requests, and where to read
    them.
    """
    shown = facts.release
    return {
        "carried": shown.carried | {"again": again(shown.carried)},
        "required_approvals": shown.record.get(
            "required_approvals", facts.project.required_approvals
        ),
        "is_read": shown.collected == shown.candidate or not shown.is_in_preparation,
        "candidate_page": commit_page(facts.project.repository, shown.candidate),
        "github_links": pages_trouble.github_links(facts),
        "pulls": gates_record.pulls(facts),
        "commits": shown.newest_commits,
        "commits_more": max(0, shown.commit_count - COMMITS_SHOWN),
    }


def _pulse(facts: Facts, past: pages_record.Past, back: RollbackPanel) -> int:
    """After how many seconds the page asks again; 0: not at all."""
    if back.is_busy or past.is_opening:
        return 2
    return pages_release.pulse_seconds(facts) or (10 if past.rolled else 0)


def _trouble(
    facts: Facts, stopped: PromotionStep | None, back: RollbackPanel
) -> pages_trouble.Trouble | None:
    """Return what the page begins with in trouble; one query where a deployment failed, else
    none.
    """
    if back.is_going_on and back.stopped is None:
        return None
    trouble = pages_trouble.trouble(facts, stopped, back.stopped)
    broken = (
        [service.broken.pk for service in trouble.services if service.broken] if trouble else []
    )
    logs = DeploymentLog.objects.in_bulk(broken, field_name="deployment_id") if broken else {}
    return pages_trouble.with_logs(trouble, logs)
