"""Preview environments, brought about step by step: each step looks at Railway, does one thing, and
writes it down.

`wish` says which pull requests are to have one; `step` makes the world so. An environment that the
portal did not make is never written to: ours is the one whose id we were given, or the one that
appeared under our name after we asked for it and saw that there was none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from environments.clients import railway_of
from environments.databases.address import NoDatabase, url_of
from environments.models import (
    ENDED_BADLY,
    SERVING,
    UNDER_WAY,
    Database,
    MigrationRun,
    Preview,
    PreviewState,
    PreviewVariable,
    Project,
    RailwaySync,
    databases_of,
    place_of,
    places_of,
)
from environments.models import Environment as EnvironmentRow
from environments.previews import comment as previews_comment
from environments.previews import variables as previews_variables
from environments.quota import allowance, sharing
from environments.railway import Deployment, ProjectTree, Railway, ServiceInstance
from environments.railway import Environment as Place
from environments.railway.deployment_states import FAIL, PASS, PENDING, running
from environments.schema.run.database import DatabaseError, same_database
from environments.services.expected import meant
from environments.smoke.probe import address_of
from portal import audit
from portal.jobs import OPEN, Finished, JobStatus, Outcome, Requeue, holds, wake_now
from portal.jobs.steps import patiently
from portal.outbound.http import ApiError
from portal.secrets import HiddenText, redact

ASK_AGAIN = timedelta(minutes=1)
MOST_ASKED = 3
SELDOM_SECONDS = 1800.0  # between two looks at a preview that does not move
NOTHING_HAPPENED = (
    "watch_only",
    "too_quickly",
    "unavailable",
    "refused",
    "forbidden",
    "unauthorized",
    "wrong_header",
    "rate_limited",
)
LOG_CHARS = 20_000
RAILWAY_MAKES = (
    "To have previews from the portal, switch off PR Environments in the project's settings on"
    " Railway; to keep Railway's, switch off previews under Projects."
)
BY_A_PERSON, TOO_OLD = "a person removed it", "nothing was pushed for long"
# What is done for an environment; forgotten when it has to be made anew.
FRESH: dict[str, object] = {
    "asked_at": None,
    "environment_id": "",
    "made_at": None,
    "quiet": [],
    "variables_at": None,
    "missing": [],
    "shared": [],
    "deployed": {},
    "deleted_at": None,
    "services": [],
    "address": "",
    "live_at": None,
    "log": "",
    "state": PreviewState.CREATING,
    "seen": "",
    "still_since": None,
    "adopted": False,
}


@dataclass(frozen=True)
class Wish:
    """A pull request that is open into staging; `why_not` is empty when it is to have a preview."""

    title: str
    branch: str
    head: str
    why_not: str = ""


@dataclass(frozen=True)
class Seen:
    """Railway as this step sees it.

    `place`: the preview's own environment; `other`: one of its name, not ours.
    """

    railway: Railway
    tree: ProjectTree
    staging: Place | None
    place: Place | None
    other: Place | None


def wish(project: Project, wishes: Mapping[int, Wish], *, now: datetime) -> None:
    """Writes down which previews are to exist, by pull-request number; the rest is to go.

    Wakes what changed.
    """
    rows = {row.number: row for row in Preview.objects.select_for_update().filter(project=project)}
    for number, one in wishes.items():
        row = rows.get(number)
        if row is None and not one.why_not:
            row = Preview.objects.create(
                project=project,
                number=number,
                title=one.title,
                branch=one.branch,
                head=one.head,
                head_at=now,
                created_at=now,
                wake_at=now,
            )
            message = f"{row} is wanted for “{one.title}” at {one.head[:7]}."
            wake_now(row, now=now)
            audit.record("preview.wanted", actor=None, subject=row, sentence=message, now=now)
        elif row is not None:
            _change(row, one, now)
    for number, row in rows.items():
        if number not in wishes:
            _change(row, Wish(row.title, row.branch, row.head, "the pull request is closed"), now)


def _change(row: Preview, one: Wish, now: datetime) -> None:
    """Brings a row in line with what is wished for it now."""
    stays_away = row.why_not == BY_A_PERSON and not one.why_not and one.head == row.head
    if stays_away:  # until the next push, or until it is rebuilt
        return
    values: dict[str, object] = {"title": one.title, "branch": one.branch, "why_not": one.why_not}
    values["wanted"] = not one.why_not
    if one.head != row.head:
        values |= {"head": one.head, "head_at": now, "live_at": None, "log": ""}
        if row.state in (PreviewState.LIVE, PreviewState.FAILED):
            values["state"] = PreviewState.DEPLOYING
    changed = any(getattr(row, name) != value for name, value in values.items())
    if not changed or (row.state == PreviewState.GONE and one.why_not):
        return
    if row.status not in OPEN:
        values |= FRESH | {"status": JobStatus.QUEUED, "finished_at": None, "sentence": ""}
    Preview.objects.filter(pk=row.pk).update(**values)
    wake_now(row, now=now)
    if values["wanted"] != row.wanted:
        message = (
            f"{row} is wanted again."
            if values["wanted"]
            else f"{row} is no longer wanted: {one.why_not}."
        )
        audit.record(
            "preview.wanted" if values["wanted"] else "preview.unwanted",
            actor=None,
            subject=row,
            sentence=message,
            now=now,
        )


def step(job: Preview, *, now: datetime) -> Outcome:
    """One look, and at most one thing done: on GitHub what is to be told, else on Railway what
    is to be done.
    """
    if (told := previews_comment.tell(job, now=now)) is not None:
        return told
    if job.state == PreviewState.GONE:
        return Finished(JobStatus.SUCCEEDED, f"{job} is gone: {job.why_not or 'it was removed'}.")
    with allowance.counted(job.project, now, kept=sharing.kept(now)) as wait:
        return Requeue(wait, allowance.sentence(wait)) if wait else _step(job, now)


def _step(job: Preview, now: datetime) -> Outcome:
    found = patiently(partial(_looked, job, now), pause=5)
    outcome = _patient(job, found, now)
    if previews_comment.is_due(job, now=now):
        return Requeue(0, outcome.sentence)
    return outcome


def _looked(job: Preview, now: datetime) -> Outcome:
    seen = _look(job)
    if seen.place is not None and job.environment_id != seen.place.id:
        job.keep(environment_id=seen.place.id, made_at=job.made_at or now)
    _note_movement(job, seen.tree, now)
    return _be_there(job, seen, now) if job.wanted else _be_gone(job, seen, now)


def notice(project: Project, tree: ProjectTree, *, now: datetime) -> None:
    """Wake the previews of which this reading of the project shows something new, so that none
    need look often.
    """
    for job in Preview.objects.open().filter(project=project).exclude(state=PreviewState.GONE):
        if job.seen and job.seen != _digest(job, tree):
            wake_now(job, now=now)


def _digest(job: Preview, tree: ProjectTree) -> str:
    """What of Railway decides about the preview, and what is wanted of it."""
    named = sorted(one.id for one in _environments_for(job, tree))
    mine = next(
        (environment for environment in tree.environments if environment.id == job.environment_id),
        None,
    )
    states = [
        (
            (instance.service_id, latest.id, latest.status, latest.commit, latest.stopped)
            if latest
            else (instance.service_id,)
        )
        for instance in (mine.instances if mine else ())
        for latest in (instance.latest_deployment,)
    ]
    message = repr(
        (
            job.head,
            job.wanted,
            named,
            tree.pr_environments,
            sorted(states, key=repr),
            mine is not None,
        )
    )
    return sha256(message.encode()).hexdigest()


def _note_movement(job: Preview, tree: ProjectTree, now: datetime) -> None:
    """Remember since when nothing of the preview moves."""
    digest = _digest(job, tree)
    if digest != job.seen or job.still_since is None:
        job.keep(seen=digest, still_since=now)


def _patient(job: Preview, outcome: Outcome, now: datetime) -> Outcome:
    """Wait the longer, the longer nothing moved: the project's reading wakes what does
    (`notice`).
    """
    if isinstance(outcome, Finished) or outcome.seconds <= 0:
        return outcome
    if job.state in (PreviewState.LIVE, PreviewState.BLOCKED, PreviewState.ASKING):
        return Requeue(max(outcome.seconds, SELDOM_SECONDS), outcome.sentence)
    still = (now - job.still_since).total_seconds() if job.still_since else 0.0
    return Requeue(max(outcome.seconds, min(still / 8, SELDOM_SECONDS)), outcome.sentence)


def _look(job: Preview) -> Seen:
    railway = railway_of(job.project)
    tree = railway.project(job.project.railway_project_id)
    wanted = job.project.staging_environment
    lasting = [environment for environment in tree.environments if not environment.is_ephemeral]
    name = meant(wanted, (one.name for one in lasting))
    staging = next((one for one in lasting if one.name == name), None)
    ours = next(
        (environment for environment in tree.environments if environment.id == job.environment_id),
        None,
    )
    others = [one for one in _environments_for(job, tree) if one.id != job.environment_id]
    if ours is None and not job.environment_id and job.asked_at is not None:
        # There was none of that name when we asked: what has appeared since is what we asked for.
        named = [other for other in others if other.name.lower() == job.name]
        ours = next((one for one in named if one.is_ephemeral and one.pr_number is None), None)
        others = [other for other in others if other is not ours]
    return Seen(railway, tree, staging, ours, others[0] if others else None)


def _environments_for(job: Preview, tree: ProjectTree) -> list[Place]:
    """Environments that have the preview's name, or that Railway made for the same pull request."""
    return [
        environment
        for environment in tree.environments
        if environment.name.lower() == job.name or environment.pr_number == job.number
    ]


# What is wanted


def _be_there(job: Preview, seen: Seen, now: datetime) -> Outcome:
    if seen.place is None:
        return _make(job, seen, now)
    for need in (_wait_for_services, _quiet, previews_variables.settle, _deploy, _watch, _migrate):
        if (outcome := need(job, seen, seen.place, now)) is not None:
            return outcome
    if job.state != PreviewState.LIVE:
        with transaction.atomic():
            mine = Preview.objects.filter(pk=job.pk, fence=job.fence, head=job.head, wanted=True)
            if not mine.update(state=PreviewState.LIVE, live_at=now, log=""):
                return Requeue(0)  # another commit was pushed while we looked
            message = f"{job} is live at {job.head[:7]}."
            audit.record(
                "preview.live",
                actor=None,
                subject=job,
                sentence=message,
                data={"sha": job.head},
                now=now,
            )
        job.state, job.live_at = PreviewState.LIVE, now
    return Requeue(60, f"Live at {job.head[:7]}.")


def _make(job: Preview, seen: Seen, now: datetime) -> Outcome:
    """Asks Railway for the environment, once, when there is none of that name and none was made
    just now.
    """
    if not seen.tree.complete:
        return Requeue(5, "Railway does not show every environment, so no preview is created.")
    if (message := _owned_by_others(job, seen)) is not None:
        job.keep(state=PreviewState.BLOCKED)
        return Requeue(30, message)
    if seen.staging is None:
        return Requeue(30, "There is no environment “staging” on Railway to copy.")
    if job.environment_id:  # it was there and somebody deleted it
        with transaction.atomic():
            job.keep(**FRESH)
            message = f"{job} was deleted outside the portal. Recreating it…"
            audit.record(
                "preview.vanished",
                actor=None,
                subject=job,
                outcome="found",
                sentence=message,
                now=now,
            )
    if job.asked_at is not None and now - job.asked_at < _patience():
        return Requeue(3, "Waiting for Railway to show the new environment…")
    wait = _pause(job, now)
    if wait > 0:
        return Requeue(wait, "Waiting: Railway allows one new environment per 30 seconds.")
    if not holds(job):
        return Requeue(0)
    job.keep(asked_at=now, state=PreviewState.CREATING)
    try:
        made = seen.railway.create_environment(
            job.project.railway_project_id, job.name, source=seen.staging.id
        )
    except ApiError as error:
        if error.kind in NOTHING_HAPPENED:
            job.keep(asked_at=None)
        raise
    with transaction.atomic():
        job.keep(environment_id=made, made_at=now)
        message = f"Environment {job} was made as a copy of staging."
        audit.record(
            "preview.made",
            actor=None,
            subject=job,
            sentence=message,
            data={"environment": made},
            now=now,
        )
    return Requeue(0, "The environment was made.")


def _owned_by_others(job: Preview, seen: Seen) -> str | None:
    """Why the portal makes no environment: others have one for this pull request, or make one
    themselves.
    """
    if seen.other is not None and seen.other.pr_number is not None:
        return (
            f"Railway made {seen.other.name} for #{job.number}. The portal does not touch it."
            f" {RAILWAY_MAKES}"
        )
    if seen.other is not None:
        message = (
            f"Somebody else created the environment {seen.other.name}. The portal does not touch it"
        )
        return f"{message}. Adopt it below, rename it, or delete it."
    if seen.tree.pr_environments:
        return (
            "Railway makes environments of pull requests itself, so the portal makes none."
            f" {RAILWAY_MAKES}"
        )
    return None


def _pause(job: Preview, now: datetime) -> float:
    """Seconds until Railway will make another environment, as far as we know who asked last."""
    pause = timedelta(seconds=settings.PREVIEW_PAUSE_SECONDS)
    asked = Preview.objects.filter(project=job.project, asked_at__gt=now - pause).exclude(pk=job.pk)
    latest = asked.order_by("-asked_at").values_list("asked_at", flat=True).first()
    return 0.0 if latest is None else max(0.0, (latest + pause - now).total_seconds()) + 1


def _wait_for_services(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    here = {instance.service_id for instance in place.instances}
    expected = {
        instance.service_id: instance.service_name
        for instance in (seen.staging.instances if seen.staging else ())
    }
    missing = sorted(name for service, name in expected.items() if service not in here)
    if not missing and place.readable:
        applying = job.variables_at is None and seen.railway.being_changed(place.id)
        return Requeue(2, "Railway is still copying staging.") if applying else None
    message = f"Railway does not show {', '.join(missing) or 'every service'} in {job} yet."
    return _patiently(job, message, job.made_at or now, now)


def _quiet(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """A push to staging must not deploy staging's code here: the copies follow staging's branch."""
    for service in sorted(
        {trigger.service_id for trigger in place.triggers if trigger.service_id} - set(job.quiet)
    ):
        seen.railway.set_autodeploy(
            job.project.railway_project_id, place.id, service, enabled=False
        )
        job.keep(quiet=[*job.quiet, service])
        return Requeue(0, "Setting variables…")
    return None


def _deploy(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Has each service deployed at the pull request's head, one call per step."""
    for one in _copied(place):
        latest, asked = one.latest_deployment, job.deployed.get(one.service_id, {})
        if _is_at_head(job, one, latest):
            continue
        again = asked.get("head") == job.head
        if (
            again
            and latest is not None
            and latest.id not in asked.get("before", [])
            and _is_from(job, one, latest)
        ):
            continue  # it ended badly, which `_watch` says
        at = parse_datetime(asked["at"]) if again else None
        if at is not None and now - at < ASK_AGAIN:
            return Requeue(2, f"Railway does not show the deployment of {one.service_name} yet.")
        if again and asked["times"] >= MOST_ASKED:
            return _fail(
                job, f"Railway did not deploy {one.service_name} after {MOST_ASKED} requests.", now
            )
        if not holds(job):
            return Requeue(0)
        times = asked["times"] + 1 if again else 1
        before = [latest.id] if latest else []
        note = {"head": job.head, "at": now.isoformat(), "times": times, "before": before}
        job.keep(deployed={**job.deployed, one.service_id: note}, state=PreviewState.DEPLOYING)
        if _is_ours(job, one):
            seen.railway.deploy_commit(place.id, one.service_id, job.head)
        else:
            seen.railway.deploy_as_is(place.id, one.service_id)
        return Requeue(0, f"Deploying {one.service_name}.")
    return None


def _copied(place: Place) -> list[ServiceInstance]:
    """The services that a copy can run: what was only uploaded has no source that Railway could
    build it from.
    """
    known = (
        instance
        for instance in place.instances
        if instance.repo or instance.image or instance.latest_deployment
    )
    found = {one.service_id for one in known}
    return [
        instance
        for instance in place.instances
        if instance.service_id in found or place.branch_of(instance.service_id)
    ]


def _is_ours(job: Preview, instance: ServiceInstance) -> bool:
    """Whether the service is built from the project's repository."""
    return job.project.is_own(instance.repo)


def _is_from(job: Preview, instance: ServiceInstance, latest: Deployment) -> bool:
    return latest.commit == job.head if _is_ours(job, instance) else True


def _is_at_head(job: Preview, instance: ServiceInstance, latest: Deployment | None) -> bool:
    return (
        latest is not None and latest.status not in ENDED_BADLY and _is_from(job, instance, latest)
    )


def _watch(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Waits until every service serves; says which does not."""
    rows = [_service(instance) for instance in place.instances]
    behind = {one.service for one in databases_of(job.project)} or {"backend"}
    address = next(
        (row["address"] for row in rows if row["address"] and row["name"] not in behind),
        next((row["address"] for row in rows if row["address"]), ""),
    )
    job.keep(services=rows, address=address)
    standing = {one.service_id: _standing(one) for one in _copied(place)}
    for instance in place.instances:
        latest = instance.latest_deployment
        if latest is not None and standing[instance.service_id] == FAIL:
            if not job.log:
                job.keep(
                    log=_log(seen.railway, job.project, latest) or "Railway keeps no log of it."
                )
            message = (
                f"{instance.service_name} did not come up: {_words(instance)} at {job.head[:7]}."
            )
            return _fail(job, message, now)
    waiting = [
        instance.service_name
        for instance in place.instances
        if standing.get(instance.service_id, PASS) != PASS
    ]
    if waiting:
        job.keep(state=PreviewState.DEPLOYING)
        return Requeue(3, f"{', '.join(waiting)}: deploying {job.head[:7]}.")
    return None


def _standing(instance: ServiceInstance) -> str:
    """pass, pending or fail; a word of Railway's that is new to us may still turn into one that
    is known.
    """
    latest = instance.latest_deployment
    if latest is None or latest.status not in SERVING | UNDER_WAY | ENDED_BADLY:
        return PENDING
    state, _ = running(
        latest.status,
        stopped=latest.stopped,
        containers=latest.instances,
        scheduled=bool(instance.cron),
    )
    # It is stopped while it starts, too.
    return PENDING if state == FAIL and latest.status == "SUCCESS" and latest.stopped else state


def _words(instance: ServiceInstance) -> str:
    latest = instance.latest_deployment
    containers = set(latest.instances) if latest and latest.status in SERVING else set()
    return ", ".join(sorted(containers)).lower() or (latest.status.lower() if latest else "")


def _service(instance: ServiceInstance) -> dict[str, str]:
    latest = instance.latest_deployment
    domain = instance.domains[0].domain if instance.domains else ""
    return {
        "name": instance.service_name,
        "status": latest.status.lower() if latest else "not deployed",
        "commit": (latest.commit if latest else "") or "",
        "address": (address_of(domain, "/") or "") if domain else "",
        "log": latest.url if latest else "",
    }


def _log(railway: Railway, project: Project, deployment: Deployment) -> str:
    """The end of its build's and its own log; trouble with reading it is no trouble of the
    preview.
    """
    lines: list[str] = []
    reads: Sequence[Callable[..., Any]] = (railway.build_log, railway.deployment_log)
    for read in reads:
        try:
            lines += [line.message for line in read(deployment.id, limit=100)]
        except ApiError as error:
            lines.append(str(error))
    secrets = [
        cast(HiddenText, row.value).reveal()
        for row in PreviewVariable.objects.filter(project=project)
    ]
    return redact("\n".join(lines), secrets)[-LOG_CHARS:]


def _migrate(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Brings the preview's own databases to the head of the pull request, where the project
    wants that.
    """
    databases = databases_of(job.project) if job.project.preview_migrates else []
    if not databases:
        return None
    row = EnvironmentRow.objects.filter(
        project=job.project, railway_id=job.environment_id, gone_at=None
    ).first()
    if row is None:
        return Requeue(3, "Reading the new environment…")
    for database in databases:
        if outcome := _migrate_one(job, row, database, now):
            return outcome
    return None


def _migrate_one(
    job: Preview, row: EnvironmentRow, database: Database, now: datetime
) -> Outcome | None:
    """One database of it; None once that is at the head."""
    whose = f"{job}'s database{f' {database.called}' if database.called else ''}"
    runs = MigrationRun.objects.filter(environment=row, database=database, commit=job.head)
    run = runs.order_by("-pk").first()
    if run is None:
        if problem := _not_its_own(row, database):
            return _fail(job, problem, now)
        with transaction.atomic():
            run = MigrationRun.objects.create(
                environment=row,
                database=database,
                runner=database.runner,
                commit=job.head,
                created_at=now,
                wake_at=now,
            )
            wake_now(run, now=now)
            message = f"Migrate {whose} to {job.head[:7]}."
            audit.record("migration.requested", actor=None, subject=run, sentence=message, now=now)
    if run.is_open:
        return Requeue(2, f"{whose} is being migrated.")
    if run.status != JobStatus.SUCCEEDED:
        return _fail(job, f"{whose} was not migrated: {run.sentence}", now)
    return None


def _not_its_own(preview: EnvironmentRow, database: Database) -> str:
    """Why the preview's database must not be touched: it is another environment's, or cannot be
    told.
    """
    try:
        url = url_of(place_of(preview, database))
        long_lived = EnvironmentRow.objects.present().long_lived().filter(project=preview.project)
        for one in places_of(long_lived.select_related("project"), databases_of(preview.project)):
            if same_database(url, url_of(one)):
                message = (
                    "which the portal does not migrate for a preview. Give previews a separate "
                    "database."
                )
                return f"{preview} uses {one}, {message}"
    except (NoDatabase, DatabaseError) as error:
        return f"{preview}'s database was not migrated: {error}"
    return ""


def _patience() -> timedelta:
    """How long what was asked for, and is not shown, is waited for before it counts as never
    done.
    """
    return timedelta(seconds=settings.PREVIEW_PATIENCE_SECONDS)


def _patiently(job: Preview, message: str, since: datetime, now: datetime) -> Outcome:
    return Requeue(2, message) if now - since < _patience() else _fail(job, message, now)


def _fail(job: Preview, message: str, now: datetime) -> Outcome:
    """Says what is wrong and goes on looking, slowly: a push, a person or Railway may mend it."""
    if job.state != PreviewState.FAILED:
        with transaction.atomic():
            job.keep(state=PreviewState.FAILED)
            audit.record(
                "preview.failed",
                actor=None,
                subject=job,
                outcome="failed",
                sentence=message,
                now=now,
            )
    return Requeue(30, message)


# What is not wanted


def _be_gone(job: Preview, seen: Seen, now: datetime) -> Outcome:
    if seen.place is None:
        if not seen.tree.complete:
            return Requeue(5, "Railway does not show every environment.")
        if not job.environment_id and job.asked_at is not None and now - job.asked_at < _patience():
            return Requeue(
                5,
                "The environment was requested from Railway; the portal removes it if it appears.",
            )
        with transaction.atomic():
            job.keep(state=PreviewState.GONE, services=[], address="", live_at=None)
            message = f"{job} is gone from Railway."
            audit.record("preview.gone", actor=None, subject=job, sentence=message, now=now)
        return Requeue(0, message)
    if job.deleted_at is not None and now - job.deleted_at < ASK_AGAIN:
        return Requeue(2, "Railway is deleting the environment. Checking whether it is gone…")
    if not holds(job):
        return Requeue(0)
    job.keep(deleted_at=now, state=PreviewState.REMOVING)
    try:
        seen.railway.delete_environment(seen.place.id)
    except ApiError as error:
        if error.kind not in ("forbidden", "not_found", "unknown_outcome"):
            job.keep(deleted_at=None)
            raise
    return Requeue(1, "The environment is being deleted.")


@dataclass(frozen=True)
class Outsider:
    """An environment that looks like a preview and is not the portal's.

    `why_not`: why it cannot be adopted.
    """

    environment: EnvironmentRow
    sentence: str
    why_not: str = ""


def outsiders(project: Project) -> list[Outsider]:
    """Environments that look like previews and that the portal did not make, with whose they are.

    Three queries.
    """
    mine = (
        Preview.objects.filter(project=project).exclude(environment_id="").values("environment_id")
    )
    found = (
        EnvironmentRow.objects.present()
        .previews()
        .filter(project=project)
        .exclude(railway_id__in=mine)
    )
    railway = RailwaySync.objects.filter(project=project, pr_environments=True).exists()
    rows = {row.number: row for row in Preview.objects.filter(project=project)}
    return [Outsider(one, _whose(one, railway), _unadoptable(one, rows, railway)) for one in found]


def _whose(row: EnvironmentRow, railway: bool) -> str:
    if row.by_railway:
        does = (
            "deploys it, and deletes it when that is closed"
            if railway
            else "made it while PR Environments were on"
        )
        return f"For #{row.pull_number}: Railway {does}."
    number = f" for #{row.pull_number}" if row.pull_number else ""
    return (
        f"Named like a preview{number}. Its creator is not known; perhaps a GitHub Action of the "
        "team."
    )


def _unadoptable(one: EnvironmentRow, rows: Mapping[int, Preview], railway: bool) -> str:
    """Why a person cannot have the portal take the environment over; "" when they can."""
    if one.pull_number is None:
        return "It names no pull request, so it cannot be adopted."
    if one.by_railway and railway:
        return (
            "Railway owns it. Switch off PR Environments in the project's settings on Railway, then"
            " adopt it."
        )
    row = rows.get(one.pull_number)
    if row is None or not row.wanted:
        return f"No preview of #{one.pull_number} is wanted, so it cannot be adopted."
    if row.environment_id:
        return f"#{one.pull_number} already has a preview of the portal."
    return ""


def adopt(environment: EnvironmentRow) -> tuple[Preview | None, str]:
    """Take an environment of others over for its pull request; returns the preview, or None and why
    not.

    To be called in a transaction. From then on the portal deploys it and deletes it with the pull
    request.
    """
    row = (
        Preview.objects.select_for_update()
        .filter(project=environment.project, number=environment.pull_number or 0)
        .first()
    )
    railway = RailwaySync.objects.filter(project=environment.project, pr_environments=True).exists()
    gone = "" if environment.gone_at is None else f"{environment} is gone from Railway."
    why_not = gone or _unadoptable(environment, {row.number: row} if row else {}, railway)
    if why_not or row is None:
        return None, why_not
    now = timezone.now()
    requeue(
        row,
        now=now,
        **FRESH | {"environment_id": environment.railway_id, "made_at": now, "adopted": True},
    )
    return row, ""


def requeue(job: Preview, *, now: datetime | None = None, **values: object) -> None:
    """Has a preview looked at anew with other values, also one that had ended."""
    now = now or timezone.now()
    fresh = (
        FRESH | {"status": JobStatus.QUEUED, "finished_at": None} if job.status not in OPEN else {}
    )
    Preview.objects.filter(pk=job.pk).update(**(fresh | values))
    wake_now(job, now=now)
