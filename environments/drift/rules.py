"""The drift rules for branches, environments and services: pure functions over our rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from environments.drift import at_deploy
from environments.finding_kinds.deploying import BEHIND, BRANCH, PUSH, ROLLED_BACK, UPLOADED
from environments.finding_kinds.wiring import MISSING, TWICE
from environments.findings.problem import Problem
from environments.models import (
    ENDED_BADLY,
    LONG_LIVED,
    SERVING,
    Branch,
    Database,
    Environment,
    Project,
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


def read_rows(project: Project) -> Rows:
    """Return the rows as they are now. Five queries."""
    return Rows(
        list(Environment.objects.present().filter(project=project)),
        list(Service.objects.filter(project=project, gone_at=None)),
        lives_in(project),
        databases_of(project),
    )


def problems(project: Project, rows: Rows) -> list[Problem]:
    """Every problem of the two long-lived environments. Two queries.

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
        *at_deploy.problems(rows.databases, [live.instance for live in counting]),
        *_behind(project, [live for live in counting if live.role is Role.CODE], expected),
    ]


def _sharing(project: Project) -> Iterator[Problem]:
    """Projects that share a repository were made before that was refused: the last to post a
    verdict wins.
    """
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
    by_kind = {
        environment.kind: environment
        for environment in environments
        if environment.kind in LONG_LIVED
    }
    for kind, name in expected_names(project).items():
        if kind not in by_kind:
            yield Problem(MISSING, kind, _none_named(name, environments))
    present: dict[object, dict[str, Live]] = {}
    for live in lives:
        present.setdefault(live.instance.service_id, {})[live.instance.environment.kind] = live
    for service in services:
        here = present.get(service.pk, {})
        wanted = any(live.counts for live in here.values())
        image = service.belongs is None and any(live.role is Role.IMAGE for live in here.values())
        for kind in by_kind.keys() - here.keys() if wanted or image else ():
            message = f"{service.name} runs in {', '.join(sorted(here))} but not in {kind}."
            yield Problem(MISSING, f"{service.name} in {kind}", message, attestable=not wanted)


def _none_named(name: str, environments: Iterable[Environment]) -> str:
    """Return that there is no such environment, and which are nearly called so."""
    alike = sorted(
        {
            environment.name
            for environment in environments
            if environment.name.casefold() == name.casefold()
        }
    )
    if not alike:
        return f"There is no environment named {name} on Railway."
    which = ", ".join(alike)
    return (
        f"There is no environment named {name} on Railway, but {which}. Choose the right one "
        "under Projects."
    )


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
        found = [environment for environment in environments if environment.name == name]
        if len(found) > 1:
            message = f"Railway has {len(found)} environments named {name}; the oldest is meant"
            yield Problem(TWICE, name, f"{message}. Rename or delete the others.")


def _pushes(instances: Iterable[ServiceInstance]) -> Iterator[Problem]:
    for instance in instances:
        if instance.autodeploy is False:
            message = (
                f"{instance} does not deploy when {instance.branch or 'its branch'} is pushed; "
                "it should."
            )
            yield Problem(PUSH, str(instance), message)


def _branches(
    project: Project, lives: Iterable[Live], expected: dict[str, str]
) -> Iterator[Problem]:
    """Require that what is built from the project's repository follows the branch of its
    environment.
    """
    for live in lives:
        instance = live.instance
        wanted, subject = expected[instance.environment.kind], str(instance)
        if live.role is not Role.CODE or not instance.repository:
            continue  # it follows no branch, or one of its own
        if not instance.branch:
            yield Problem(
                BRANCH, subject, f"{subject} follows no branch; it should follow {wanted}."
            )
        elif instance.branch != wanted:
            message = f"{subject} follows {instance.branch}; it should follow {wanted}."
            yield Problem(BRANCH, subject, message)


def _behind(project: Project, lives: list[Live], expected: dict[str, str]) -> Iterator[Problem]:
    """Find what was pushed and Railway skipped, failed or never began to deploy, beyond the grace
    time.
    """
    grace = timedelta(seconds=settings.DEPLOY_GRACE_SECONDS)
    branches = {
        row.name: row for row in Branch.objects.filter(project=project, name__in=expected.values())
    }
    for live in lives:
        instance = live.instance
        branch = branches.get(instance.branch)
        if branch is None or instance.branch != expected[instance.environment.kind]:
            continue
        if (
            not branch.head
            or branch.head_at is None
            or branch.head_at + grace > (instance.seen_at or branch.head_at)
        ):
            continue
        made = live.latest.created_at if live.latest else None
        if made is not None and made > branch.seen_at:
            continue  # the branch may have moved since it was read: report nothing without evidence
        message = _not_live(live, branch.head)
        if message and instance.rolled_back_from == branch.head:
            back = (
                f"{instance} was rolled back on Railway: {branch.name} is still at"
                f" {branch.head[:7]}."
            )
            after = "The next release must revert or fix its changes."
            yield Problem(ROLLED_BACK, str(instance), f"{back} {after}")
        elif message:
            yield Problem(
                BEHIND,
                str(instance),
                f"{branch.name} is at {branch.head[:7]}, {instance} {message}.",
            )


def _not_live(live: Live, head: str) -> str:
    """Find what is wrong with a service whose branch is at `head`; nothing while that is on its
    way, or not known yet.
    """
    serving = [one for one in live.active if one.status in SERVING]
    if any(one.commit == head for one in serving):
        return ""
    latest, scheduled = live.latest, bool(live.instance.cron)
    if scheduled and latest is not None and latest.commit == head and latest.status in SERVING:
        return ""  # between two runs nothing serves
    stays = latest is None or latest.status == "SKIPPED" or latest in serving
    changed = serves_instead(live, head)
    if serving and stays and (changed == "" or (changed is None and may_stay(live, latest, head))):
        return ""  # nothing it watches changed, or that is being read
    serves = f"serves {next((one.commit[:7] for one in serving), '') or 'no known commit'}"
    if latest is None or latest.commit != head:
        return f"{serves}, and Railway did not start a deployment"
    if latest.status in ENDED_BADLY:
        return f"{serves}: its deployment was {latest.status.lower()}"
    return ""
