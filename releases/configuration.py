"""Projects and environments as guarded configuration: what one person may change alone, and what follows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q

from environments.models import Project, SmokeTest
from portal.actions import Refused
from portal.configuration.kinds import Kind, Values, nobody_else
from portal.configuration.models import ConfigurationChange
from portal.jobs import OPEN
from releases.models import Approval, Promotion, ReleaseStatus, RiskAcceptance, RollbackApproval

NOT_PROMOTED = "nothing of this project was promoted yet"
# What neither runs code nor decides where a credential goes, what is asked of a release, or who may do what.
FREE = frozenset({
    "name", "slug", "deploy_minutes", "retention_hours", "statement_seconds", "lock_seconds", "pre_push",
    "previews", "preview_drafts", "preview_limit", "preview_days", "pull_comments",
})  # fmt: skip


class Projects(Kind):
    """Everything of a project but `FREE`, and its smoke tests."""

    permission = "environments.change_project"
    free = FREE

    def read(self, obj: Any) -> Values:
        return super().read(obj) | {"smoke_tests": smoke_tests_as_text(obj.smoke_tests.all())}

    def write(self, obj: Any, values: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        super().write(obj, values, secrets)
        if "smoke_tests" in values:
            _write_smoke_tests(obj, values["smoke_tests"])

    def refuse(self, obj: Any, before: Mapping[str, Any], values: Mapping[str, Any], actor: Any) -> None:
        named = {name: values.get(name, getattr(obj, name)) for name in ("repository", "railway_project_id")}
        if other := claimed(obj, **named):
            raise Refused(other)

    def alone(self, obj: Any, actor: Any) -> str:
        return NOT_PROMOTED if not was_promoted(obj) else nobody_else(actor)

    def applied(self, change: ConfigurationChange, obj: Any, *, now: datetime) -> str:
        return lapse(obj, change, now=now)


class Environments(Kind):
    """The address of an environment's database."""

    permission = "environments.change_environment"

    def columns(self, obj: Any) -> tuple[str, ...]:
        return ()

    def write(self, obj: Any, values: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        obj.database_url = secrets.get("database_url", "")
        obj.save(update_fields=["database_url"])

    def alone(self, obj: Any, actor: Any) -> str:
        return NOT_PROMOTED if not was_promoted(obj.project) else nobody_else(actor)

    def applied(self, change: ConfigurationChange, obj: Any, *, now: datetime) -> str:
        return lapse(obj.project, change, now=now)


def was_promoted(project: Project) -> bool:
    """Whether a release of the project was ever promoted: from then on it guards a production."""
    return project.pk is not None and Promotion.objects.filter(release__project=project).exists()


def claimed(project: Project, *, repository: str, railway_project_id: str) -> str:
    """Why `project` must not name these: another one that was promoted does. A new project is set up by one person."""
    same = Q(repository__iexact=repository)
    if railway_project_id:
        same |= Q(railway_project_id=railway_project_id)
    others = Project.objects.filter(same).exclude(pk=project.pk)
    for other in others:
        if was_promoted(other):
            what = "repository" if other.repository.lower() == repository.lower() else "Railway project"
            return f"{other} releases this {what} already, and is in production: change that project instead."
    return ""


def lapse(project: Project, change: ConfigurationChange, *, now: datetime) -> str:
    """What was signed before the change no longer counts; a sentence that says how much that was."""
    ended = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)
    open_ = Q(release__project=project) & ~Q(release__status__in=ended)
    why = {"lapsed_at": now, "lapsed_why": f"configuration changed: {', '.join(change.values)}"[:300]}
    approvals = Approval.objects.filter(open_, lapsed_at=None).update(**why)
    risks = RiskAcceptance.objects.filter(project=project, lapsed_at=None).update(**why)
    rollbacks = RollbackApproval.objects.filter(
        rollback__release__project=project, rollback__status__in=OPEN, lapsed_at=None
    ).update(**why)
    count = approvals + risks + rollbacks
    return f"{count} signature{'s' if count != 1 else ''} lapsed." if count else ""


def smoke_tests_as_text(rows: Any) -> list[str]:
    """Smoke tests as a proposal names them, one line each."""
    return sorted(_line(one) for one in rows)


def _line(test: SmokeTest) -> str:
    return f"{test.service} {test.path} {test.expected_status}{' commit' if test.expects_commit else ''}"


def _write_smoke_tests(project: Project, wanted: list[str]) -> None:
    kept = {_line(one): one for one in project.smoke_tests.all()}
    SmokeTest.objects.filter(pk__in=[one.pk for line, one in kept.items() if line not in wanted]).delete()
    for line in wanted:
        if line not in kept:
            words = line.removesuffix(" commit").rsplit(" ", 2)
            SmokeTest.objects.create(
                project=project, service=words[0], path=words[1], expected_status=int(words[2]),
                expects_commit=line.endswith(" commit"),
            )  # fmt: skip
