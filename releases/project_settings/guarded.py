"""Projects as guarded configuration: what one person may change alone, and what follows."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Q

from environments.models import Database, EnvironmentKind, Project, SmokeTest
from environments.renaming.actions import took_over
from portal.configuration.kinds import Kind, Values, nobody_else
from portal.jobs import OPEN
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import Refused
from releases.models import RollbackApproval
from releases.models.approvals import Approval, RiskAcceptance
from releases.models.promotion import Promotion
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus
from releases.project_settings import watch_only

NOT_PROMOTED = "nothing of this project was promoted yet"
# What neither is code nor decides where credentials go (a preview has staging's), what is asked of
# a release, or who may do what.
FREE = frozenset(
    {
        "name",
        "slug",
        "deploy_minutes",
        "retention_hours",
        "statement_seconds",
        "lock_seconds",
        "preview_limit",
        "preview_days",
        "pull_comments",
    }
)


DATABASE = "database "
DATABASE_FIELDS = tuple(
    field.name
    for field in Database._meta.concrete_fields
    if not field.primary_key and not field.is_relation
)


class Projects(Kind[Project]):
    """Everything of a project but `FREE`, its databases and its smoke tests."""

    permission = "environments.change_project"
    free = FREE

    def read(self, obj: Project) -> Values:
        rows = list(Database.objects.filter(project=obj.pk))
        databases = databases_as_values(rows, {row.pk: row.name for row in rows})
        tests = SmokeTest.objects.filter(project=obj.pk)
        return super().read(obj) | {"smoke_tests": smoke_tests_as_text(tests)} | databases

    def write(self, obj: Project, values: Values, secrets: Mapping[str, str]) -> None:
        with (
            connection.cursor() as cursor
        ):  # the project and its databases are right together, or not at all
            cursor.execute("SET CONSTRAINTS project_railway_deploys_first DEFERRED")
        super().write(obj, values, secrets)
        if "smoke_tests" in values:
            _write_smoke_tests(obj, values["smoke_tests"])
        _write_databases(obj, values)
        for object_ in Database.objects.filter(project=obj).select_related("project"):
            if object_.out_of_order:
                raise Refused(f"Database {object_}: {object_.out_of_order}")

    def refuse(self, obj: Project, before: Values, values: Values, actor: User) -> None:
        named = {
            name: values.get(name, getattr(obj, name))
            for name in ("repository", "railway_project_id")
        }
        if other := claimed(obj, **named):
            raise Refused(other)

    def alone(self, obj: Project, actor: User) -> str:
        return alone_for(obj, actor)

    def applied(self, change: ConfigurationChange, obj: Project, *, now: datetime) -> str:
        if renamed := change.values.get("repository"):
            took_over(obj, renamed["from"] or "", now=now)
        if any(
            name.startswith(DATABASE) for name in change.values
        ):  # what is being prepared is read again
            Release.objects.filter(project=obj, status=ReleaseStatus.OPEN).update(collected="")
            PullRequest.objects.filter(project=obj, state="open").update(read_for="")
        if "watch_only" in change.values:
            watch_only.resume(obj, now=now)
        return lapse(obj, change, now=now)


def was_promoted(project: Project) -> bool:
    """Return whether a release of the project was ever promoted: from then on it guards a
    production.
    """
    return project.pk is not None and Promotion.objects.filter(release__project=project).exists()


def claimed(project: Project, *, repository: str, railway_project_id: str) -> str:
    """Return why `project` must not name these: another one that was promoted does.

    A new project is set up by one person.
    """
    railway = railway_project_id.strip().lower()
    for other in Project.objects.exclude(pk=project.pk):
        takes_code = other.is_own(repository.strip())
        takes_place = bool(railway) and other.railway_project_id.strip().lower() == railway
        if (takes_code or takes_place) and was_promoted(other):
            what = "repository" if takes_code else "Railway project"
            return (
                f"{other} releases this {what} already, and is in production: change that project"
                " instead."
            )
    return ""


def alone_for(project: Project | None, actor: User) -> str:
    """Return why one person is enough for what belongs to `project` (None: to every project); ""
    where a second is needed.
    """
    promoted = Promotion.objects.exists() if project is None else was_promoted(project)
    return nobody_else(actor) if promoted else NOT_PROMOTED


def lapse(project: Project | None, change: ConfigurationChange, *, now: datetime) -> str:
    """Undo what people signed before the change, for releases of `project` (None: of every
    project). Return a sentence with the number of signatures; "" for none.
    """
    ended = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)
    open_ = ~Q(release__status__in=ended) & _of("release__project", project)
    why = {
        "lapsed_at": now,
        "lapsed_why": f"configuration changed: {', '.join(change.values)}"[:300],
    }
    approvals = Approval.objects.filter(open_, lapsed_at=None).update(**why)
    accepted = RiskAcceptance.objects.filter(_of("project", project), lapsed_at=None)
    risks = accepted.update(**why)
    rollbacks = RollbackApproval.objects.filter(
        _of("rollback__release__project", project), rollback__status__in=OPEN, lapsed_at=None
    ).update(**why)
    count = approvals + risks + rollbacks
    return f"{count} signature{'s' if count != 1 else ''} lapsed." if count else ""


def _of(field: str, project: Project | None) -> Q:
    return Q() if project is None else Q(**{field: project})


def databases_as_values(rows: Iterable[Database], names: Mapping[int, str]) -> Values:
    """Return databases as a proposal names them, `database main: runner` and so on; `names`: what
    each is called now.
    """
    values: Values = {}
    for row in rows:
        name = names.get(row.pk, row.name)
        values |= {f"{DATABASE}{name}: {field}": getattr(row, field) for field in DATABASE_FIELDS}
        values[kept(name)] = True
    return values


def kept(name: str) -> str:
    """Return the name under which it is proposed that a database is there at all."""
    return f"{DATABASE}{name}: kept"


def _write_databases(project: Project, values: Mapping[str, object]) -> None:
    wanted: dict[str, Values] = {}
    for key, value in values.items():
        if key.startswith(DATABASE):
            name, _, field = key.removeprefix(DATABASE).rpartition(": ")
            wanted.setdefault(name, {})[field] = value
    for name, fields in sorted(
        wanted.items(), key=lambda line_and_values: line_and_values[1].get("kept", True)
    ):
        row = Database.objects.filter(project=project, name=name).first() or Database(
            project=project, name=name
        )
        if fields.pop("kept", True) is False:
            row.delete()
            continue
        for field, value in fields.items():
            setattr(row, field, value)
        try:
            row.full_clean()
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from None
        row.save()


def smoke_tests_as_text(rows: Iterable[SmokeTest]) -> list[str]:
    """Smoke tests as a proposal names them, one line each."""
    return sorted(_line(row) for row in rows)


def _line(test: SmokeTest) -> str:
    environments = {
        EnvironmentKind.STAGING: test.on_staging,
        EnvironmentKind.PRODUCTION: test.on_production,
    }
    where = " and ".join(name for name, is_asked in environments.items() if is_asked)
    commit = " commit" if test.expects_commit else ""
    return f"{test.service} {test.path} {test.expected_status}{commit} in {where}"


def _write_smoke_tests(project: Project, wanted: list[str]) -> None:
    kept = {_line(test): test for test in project.smoke_tests.all()}
    SmokeTest.objects.filter(
        pk__in=[test.pk for line, test in kept.items() if line not in wanted]
    ).delete()
    for line in wanted:
        if line not in kept:
            request, _, where = line.rpartition(" in ")
            service, path, status = request.removesuffix(" commit").rsplit(" ", 2)
            SmokeTest.objects.create(
                project=project,
                service=service,
                path=path,
                expected_status=int(status),
                expects_commit=request.endswith(" commit"),
                on_staging=EnvironmentKind.STAGING in where,
                on_production=EnvironmentKind.PRODUCTION in where,
            )
