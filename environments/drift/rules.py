"""The drift rules for branches, environments and services: pure functions over our rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from environments.finding_kinds.deploying import BEHIND, BRANCH, PUSH, ROLLED_BACK, UPLOADED
from environments.finding_kinds.migrating import AT_DEPLOY
from environments.finding_kinds.wiring import MISSING, TWICE
from environments.findings.problem import Problem
from environments.models import (
    ENDED_BADLY,
    LONG_LIVED,
    SERVING,
    AtStart,
    Branch,
    Database,
    Environment,
    Project,
    Runner,
    Service,
    ServiceInstance,
    databases_of,
)
from environments.services.expected import expected_branches, expected_names, meant
from environments.services.liveness import Live, lives_in, may_stay, serves_instead
from environments.services.roles import Role


@dataclass(frozen=True)
class Rows:
    """What a comparison reads once for all rules: what Railway still has, services only those of
    staging and production, and the databases that the portal migrates.
    """

    environments: list[Environment]
    services: list[Service]
    lives: list[Live]
    databases: list[Database]
    branches: dict[str, Branch]


def read_rows(project: Project) -> Rows:
    """Return the rows as they are now. Six queries."""
    return Rows(
        list(Environment.objects.present().filter(project=project)),
        list(Service.objects.filter(project=project, gone_at=None)),
        lives_in(project),
        databases_of(project),
        {row.name: row for row in Branch.objects.filter(project=project)},
    )


def problems(project: Project, rows: Rows) -> list[Problem]:
    """Every problem of the two long-lived environments. One query.

    Of services that a release does not wait for only what a person should know is told.
    """
    expected = expected_branches(project)
    counting = [live for live in rows.lives if live.counts]
    return [
        *_missing(project, rows.environments, rows.services, rows.lives),
        *_twice(project, rows.environments),
        *_sharing(project),
        *_uploaded(project, rows.lives),
        *_branches(project, counting, expected),
        *_pushes([live.instance for live in counting if live.role is Role.CODE]),
        *_at_deploy(rows.databases, [live.instance for live in counting]),
        *_behind(rows.branches, [live for live in counting if live.role is Role.CODE], expected),
    ]


def _sharing(project: Project) -> Iterator[Problem]:
    """Projects of one repository, made before that was refused: the last verdict wins."""
    others = Project.objects.filter(repository__iexact=project.repository).exclude(pk=project.pk)
    if names := ", ".join(others.values_list("name", flat=True)):
        message = (
            f"{project} and {names} release {project.repository}: they overwrite each other's"
            " verdict on a commit."
        )
        fix = "Make one project of them, with a database for each Alembic directory."
        yield Problem(
            TWICE, f"repository {project.repository}", f"{message} {fix}", attestable=True
        )


def _missing(
    project: Project,
    environments: Iterable[Environment],
    services: Iterable[Service],
    lives: Iterable[Live],
) -> Iterator[Problem]:
    """Environments that are not there, and services of a release that are in one of them only.

    Of an image a person may say that it is right so: a database's helper has no business in both.
    """
    kinds = {environment.kind for environment in environments}.intersection(LONG_LIVED)
    for kind, name in expected_names(project).items():
        if kind not in kinds:
            yield Problem(MISSING, kind, _none_named(name, environments))
    present: dict[object, dict[str, Live]] = {}
    for live in lives:
        present.setdefault(live.instance.service_id, {})[live.instance.environment.kind] = live
    for service in services:
        here = present.get(service.pk, {})
        wanted = any(live.counts for live in here.values())
        image = service.belongs is None and any(live.role is Role.IMAGE for live in here.values())
        for kind in kinds - here.keys() if wanted or image else ():
            message = f"{service.name} runs in {', '.join(sorted(here))} but not in {kind}."
            yield Problem(MISSING, f"{service.name} in {kind}", message, attestable=not wanted)


def _none_named(name: str, environments: Iterable[Environment]) -> str:
    """Return that there is no such environment, and which are nearly called so."""
    message = f"There is no environment named {name} on Railway"
    names = sorted({environment.name for environment in environments})
    if alike := ", ".join(
        candidate for candidate in names if candidate.casefold() == name.casefold()
    ):
        return f"{message}, but {alike}. Choose the right one under Projects."
    return f"{message}."


def _uploaded(project: Project, lives: Iterable[Live]) -> Iterator[Problem]:
    """Nothing says what an uploaded service runs, so nobody can say that a release is in it."""
    for live in lives:
        if live.role is Role.UPLOADED and live.instance.service.belongs is not False:
            message = (
                f"{live.instance} was uploaded by Railway's CLI without a commit, so its code is "
                "not known"
            )
            do = (
                f"Connect it to {project.repository} on Railway, or exclude it from the release "
                "under Environments."
            )
            yield Problem(UPLOADED, str(live.instance), f"{message}. {do}")


def _twice(project: Project, environments: Iterable[Environment]) -> Iterator[Problem]:
    for wanted in expected_names(project).values():
        name = meant(wanted, (environment.name for environment in environments)) or wanted
        namesakes = [environment for environment in environments if environment.name == name]
        if len(namesakes) > 1:
            message = f"Railway has {len(namesakes)} environments named {name}; the oldest is meant"
            yield Problem(TWICE, name, f"{message}. Rename or delete the others.")


def _pushes(instances: Iterable[ServiceInstance]) -> Iterator[Problem]:
    for instance in instances:
        if instance.autodeploy is False:
            pushed = f"{instance.branch or 'its branch'} is pushed"
            message = f"{instance} does not deploy when {pushed}; it should."
            yield Problem(PUSH, str(instance), message)


def _branches(
    project: Project, lives: Iterable[Live], expected: dict[str, str]
) -> Iterator[Problem]:
    """Require that the repository's services follow the branch of their environment."""
    for live in lives:
        instance = live.instance
        wanted, subject = expected[instance.environment.kind], str(instance)
        if live.role is not Role.CODE or not instance.repository:
            continue  # it follows no branch, or one of its own
        if instance.branch != wanted:
            follows = f"{subject} follows {instance.branch or 'no branch'}"
            yield Problem(BRANCH, subject, f"{follows}; it should follow {wanted}.")


def _behind(
    branches: dict[str, Branch], lives: list[Live], expected: dict[str, str]
) -> Iterator[Problem]:
    """Find what was pushed and, beyond the grace time, skipped, failed or never deployed."""
    grace = timedelta(seconds=settings.DEPLOY_GRACE_SECONDS)
    for live in lives:
        instance = live.instance
        branch = branches.get(instance.branch)
        if branch is None or instance.branch != expected[instance.environment.kind]:
            continue
        pushed = branch.head_at if branch.head else None
        if pushed is None or pushed + grace > (instance.seen_at or pushed):
            continue
        made = live.latest.created_at if live.latest else None
        if made is not None and made > branch.seen_at:
            continue  # the branch may have moved since it was read: report nothing without evidence
        message = _not_live(live, branch.head)
        at = f"at {branch.head[:7]}"
        if message and instance.rolled_back_from == branch.head:
            back = f"{instance} was rolled back on Railway: {branch.name} is still {at}."
            after = "The next release must revert or fix its changes."
            yield Problem(ROLLED_BACK, str(instance), f"{back} {after}")
        elif message:
            behind = f"{branch.name} is {at}, {instance} {message}."
            yield Problem(BEHIND, str(instance), behind)


def _not_live(live: Live, head: str) -> str:
    """Return what is wrong with a service; nothing while `head` is on its way or not known."""
    serving = [deployment for deployment in live.active if deployment.status in SERVING]
    if any(deployment.commit == head for deployment in serving):
        return ""
    latest, scheduled = live.latest, bool(live.instance.cron)
    if scheduled and latest is not None and latest.commit == head and latest.status in SERVING:
        return ""  # between two runs nothing serves
    stays = latest is None or latest.status == "SKIPPED" or latest in serving
    changed = serves_instead(live, head)
    if serving and stays and (changed == "" or (changed is None and may_stay(live, latest, head))):
        return ""  # nothing it watches changed, or that is being read
    serves = (
        f"serves {next((deployment.commit[:7] for deployment in serving), '') or 'no known commit'}"
    )
    if latest is None or latest.commit != head:
        return f"{serves}, and Railway did not start a deployment"
    if latest.status in ENDED_BADLY:
        return f"{serves}: its deployment was {latest.status.lower()}"
    return ""


_WHEN = {AtStart.PRE_DEPLOY: "before each deployment", AtStart.START: "at each start"}


def _at_deploy(
    databases: list[Database], instances: Iterable[ServiceInstance]
) -> Iterator[Problem]:
    """Return the services of a release that run Alembic by themselves, unless the portal knows
    that Railway migrates their database.

    A command may only look (`alembic check`), and it is not kept, so a person may sign for it.
    """
    for instance in instances:
        name = instance.service.name
        # Of a service that no database names, nobody knows which of them it migrates.
        theirs = [database for database in databases if database.service == name] or databases
        when = _WHEN.get(instance.will_run_alembic)
        if when is None or (
            theirs and all(database.runner == Runner.VERIFY for database in theirs)
        ):
            continue
        changes = "its database changes without the portal's plan, approval and lock."
        what = f"{instance} runs Alembic by its own command, {when}: {changes}"
        do = (
            "Remove Alembic from the command, or let the portal verify what Railway migrates: under"
            f" Project settings, set “Migrations are run by” to “{Runner.VERIFY.label}”."
        )
        yield Problem(AT_DEPLOY, str(instance), f"{what} {do}", attestable=True)
