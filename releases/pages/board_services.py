"""What services of staging and production serve, as the board shows it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from django.utils import timezone

from environments.models import (
    SERVING,
    UNDER_WAY,
    Deployment,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    ServiceInstance,
)
from environments.railway.deployment_states import FAIL, PASS, running
from environments.services.liveness import Live, live_of, serves_instead
from releases.pages.board_cards import Card, Serving
from releases.project_settings import smoke_tests


def show_live(cards: dict[int, Card], now: datetime) -> None:
    long_lived = Environment.objects.present().long_lived()
    places = EnvironmentDatabase.objects.filter(environment__in=long_lived).exclude(
        database__alembic=""
    )
    for place in places.select_related("database", "environment").order_by(
        "database__position", "database"
    ):
        cards[place.environment.project_id].databases[place.environment.kind].append(place)
    instances = list(
        ServiceInstance.objects.filter(
            environment__in=long_lived, service__gone_at=None
        ).select_related("service", "environment")
    )
    current = Deployment.objects.current_of(instances)
    grouped: dict[tuple[int, str], list[ServiceInstance]] = defaultdict(list)
    for instance in instances:
        grouped[instance.environment.project_id, instance.environment.kind].append(instance)
    for (project, kind), members in grouped.items():
        repository = cards[project].project.repository
        lives = [live_of(instance, current[instance.pk], repository) for instance in members]
        setattr(cards[project], kind, _servings(lives))
        if kind == EnvironmentKind.PRODUCTION:
            cards[project].lives = lives
        cards[project].proposals = smoke_tests.proposals([*members, *cards[project].instances])
        cards[project].instances += members


def _servings(lives: Iterable[Live]) -> tuple[Serving, ...]:
    """Return services of one environment that a release is about, those with the same commit and
    words together.
    """
    services: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for live in lives:
        if live.at_commits:
            services[_serving(live)].append(live.service)
    return tuple(Serving(tuple(names), *key) for key, names in services.items())


def _serving(live: Live) -> tuple[str, str, str]:
    """Commit, state and words for one service."""
    latest, commit, scheduled = live.latest, live.serving, bool(live.instance.cron)
    if latest is None:
        return (
            ("", "wait", "being read")
            if live.instance.seen_at is None
            else ("", "fail", "no deployment")
        )
    if latest.status in UNDER_WAY:
        return commit, "wait", f"deploying {latest.commit[:7]}"
    if latest.status == "SKIPPED" and serves_instead(live, latest.commit) == "":
        return commit, "pass", ""
    if latest.status not in SERVING:
        return commit, "fail", latest.status.lower().replace("_", " ") or "status unknown"
    state, words = running(
        latest.status, stopped=latest.stopped, containers=latest.containers, scheduled=scheduled
    )
    if state != PASS:
        return commit, "fail" if state == FAIL else "wait", words
    commit = commit or (latest.commit if scheduled else "")
    return commit, "pass" if commit else "wait", "" if commit else "not active yet"


def last_seen(serving: Serving, at: datetime) -> Serving:
    """Return what was so when it was last read: nothing of it is passed now."""
    local = timezone.localtime(at)
    words = f"last seen at {local:%H:%M} {local.tzname()}"
    return replace(serving, state="wait", words=f"{serving.words} · {words}".strip(" ·"))
