"""Whether a service serves a commit, and whether it must."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from environments.models import Deployment, Project, ServiceInstance
from environments.railway.deployment_states import (
    BROKEN,
    FAIL,
    PASS,
    PENDING,
    SERVING,
    UNDER_WAY,
    running,
)
from environments.services.roles import Role, belongs, role_of


@dataclass(frozen=True)
class Live:
    """A service in one environment, with its newest deployment and those that serve.

    `counts`: a release waits for it. Only a service of the role *code* is held to the release's
    commit.
    """

    service: str
    instance: ServiceInstance
    latest: Deployment | None
    active: tuple[Deployment, ...]
    role: Role = Role.CODE
    counts: bool = True

    @property
    def serving(self) -> str:
        """The commit that answers requests; "" where none is known."""
        return next(
            (deployment.commit for deployment in self.active if deployment.status in SERVING), ""
        )

    @property
    def at_commits(self) -> bool:
        """Whether the release's commit must be deployed on it."""
        return self.counts and self.role is Role.CODE

    def is_broken_at(self, commit: str) -> bool:
        """Return whether the newest deployment is of `commit` and came to nothing."""
        return (
            self.latest is not None
            and self.latest.commit == commit
            and self.latest.status in BROKEN
        )


def live_of(instance: ServiceInstance, deployments: Iterable[Deployment], repository: str) -> Live:
    """Return a service with its current deployments; `repository` is the project's."""
    rows = list(deployments)
    latest = next((row for row in rows if row.is_latest), None)
    role = role_of(instance, latest, repository)
    active = tuple(row for row in rows if row.is_active)
    return Live(
        instance.service.name,
        instance,
        latest,
        active,
        role,
        belongs(instance.service.belongs, role),
    )


def lives_of(instances: Sequence[ServiceInstance], repository: str) -> list[Live]:
    """Return each service with its current deployments; `repository` is the project's. One query.

    The instances must come with their services.
    """
    current = Deployment.objects.current_of(instances)
    return [live_of(instance, current[instance.pk], repository) for instance in instances]


def lives_in(project: Project) -> list[Live]:
    """Return the services of staging and production. Two queries."""
    rows = ServiceInstance.objects.long_lived().filter(environment__project=project)
    instances = list(rows.select_related("service", "environment"))
    for instance in instances:
        instance.service.project = instance.environment.project = project
    return lives_of(instances, project.repository)


def unread(live: Live, since: datetime) -> bool:
    """Return whether nothing was seen of it since then."""
    return live.instance.seen_at is None or live.instance.seen_at < since


def liveness(live: Live, commit: str, *, since: datetime) -> tuple[str, str]:
    """Return state and words for one service: does it serve exactly `commit`, seen `since` then,
    and nothing else to come?

    What watches only some paths serves as well what came before, while none of them changed. What
    is not built from the project's repository is judged by itself.
    """
    latest = live.latest
    if live.instance.seen_at is None:
        return PENDING, "is being read"
    if unread(live, since):
        return PENDING, "could not be read lately"
    if live.role is not Role.CODE:
        return _by_itself(live)
    if latest is None:
        return FAIL, "has no deployment"
    if (untouched := _untouched(live, commit)) is not None:
        return untouched
    if latest.commit != commit:
        return _at_another(live, latest, commit)
    return _at(live, latest, commit)


def _at(live: Live, latest: Deployment, commit: str) -> tuple[str, str]:
    """Return the newest deployment is of the wanted commit."""
    scheduled = bool(live.instance.cron)
    if scheduled and latest.status in UNDER_WAY and live.serving == commit:
        return PASS, f"runs {commit[:7]} just now, as scheduled"
    state, words = running(
        latest.status,
        stopped=latest.stopped,
        containers=latest.containers,
        scheduled=scheduled,
        what=f"at {commit[:7]}",
    )
    if state == PASS and not latest.is_active and not scheduled:
        return PENDING, f"has deployed {commit[:7]}, but Railway does not list it as active yet"
    return state, words


def _running(live: Live, deployment: Deployment, what: str) -> tuple[str, str]:
    scheduled = bool(live.instance.cron)
    return running(
        deployment.status,
        stopped=deployment.stopped,
        containers=deployment.containers,
        scheduled=scheduled,
        what=what,
    )


def _at_another(live: Live, latest: Deployment, commit: str) -> tuple[str, str]:
    if latest.status in UNDER_WAY:
        return PENDING, f"is deploying {latest.commit[:7] or 'an unknown commit'}"
    if not latest.commit and latest.status in SERVING:
        return (
            FAIL,
            (
                f"serves what was uploaded by Railway's CLI, without a commit: deploy {commit[:7]}"
                " on it"
            ),
        )
    path = serves_instead(live, commit)
    although = f", although {path} changed, which it watches" if path else ""
    return FAIL, f"serves {live.serving[:7] or 'no known commit'}, not {commit[:7]}{although}"


def _untouched(live: Live, commit: str) -> tuple[str, str] | None:
    """Return the answer for a service that rightly stays at an earlier commit, or may do so; None
    where that is no question.

    A deployment of the wanted commit that failed is one that Railway meant to make. One that was
    skipped changes nothing for a service that serves the wanted commit already.
    """
    serving = next((deployment for deployment in live.active if deployment.status in SERVING), None)
    latest = live.latest
    if (
        latest is None
        or serving is None
        or (latest.status != "SKIPPED" and latest.railway_id != serving.railway_id)
    ):
        return None
    if serving.commit == commit and latest.commit != commit:
        return _running(live, serving, f"at {commit[:7]}")
    if serving.commit in ("", commit):
        return None
    changed = serves_instead(live, commit)
    if changed is None:
        if not may_stay(live, latest, commit):
            return None
        return (
            PENDING,
            f"serves {serving.commit[:7]}; whether anything it watches changed since is being read",
        )
    if changed:
        return None
    state, words = _running(live, serving, f"at {serving.commit[:7]}")
    return state, (
        f"serves {serving.commit[:7]}; nothing it watches changed since" if state == PASS else words
    )


def may_stay(live: Live, latest: Deployment | None, commit: str) -> bool:
    """Return whether an answer about the paths it watches is still to come."""
    if live.instance.watch_patterns:
        return True
    known = live.instance.unchanged
    skipped = latest is not None and latest.status == "SKIPPED" and latest.commit == commit
    return skipped and not (_is_about(live) and commit in known.get("always", ()))


def _is_about(live: Live) -> bool:
    """Return whether what git was asked is about what the service serves and watches now."""
    known = live.instance.unchanged
    return known.get("serves") == live.serving and known.get("by") == live.instance.limits


def serves_instead(live: Live, commit: str) -> str | None:
    """Return a path that the service watches and that changed from what it serves to `commit`.

    "": none did. None: it is not known (yet), or the service watches everything. Patterns that
    stand in the repository, and a root directory without any, count only where Railway itself
    skipped the commit: nothing says for certain that it does so.
    """
    if not _is_about(live):
        return None
    known, latest = live.instance.unchanged, live.latest
    if latest is not None and latest.status == "SKIPPED" and latest.commit == commit:
        return (known.get("at", {}) | known.get("if_skipped", {})).get(commit)
    return known.get("at", {}).get(commit)


def _by_itself(live: Live) -> tuple[str, str]:
    """Return a service that no commit of the project can be held against."""
    latest, instance = live.latest, live.instance
    if latest is None:
        return FAIL, "has no deployment"
    what = {
        Role.IMAGE: f"with {instance.image}",
        Role.ELSEWHERE: f"at {latest.commit[:7] or 'an unknown commit'} of {instance.repository}",
    }.get(live.role, "")
    state, words = _running(live, latest, what)
    if live.role is Role.UPLOADED and state == PASS:
        message = (
            "was uploaded by Railway's CLI, without a commit: connect it to a repository on Railway"
        )
        return (
            FAIL if live.counts else PASS
        ), f"{message}, or say that it does not belong to the release"
    return state, words
