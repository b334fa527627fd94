"""What the board shows: every project's standing in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from environments.models import (
    SERVING,
    UNDER_WAY,
    Branch,
    Deployment,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    Finding,
    Project,
    ServiceInstance,
    SmokeTest,
)
from environments.quota import pace
from environments.railway.deployment_states import FAIL, PASS, running
from environments.services.liveness import Live, live_of, serves_instead
from portal.configuration.kinds import CONFIRM
from portal.jobs import STOPPED
from portal.models.configuration import ConfigurationChange
from portal.outbound.parsing import JsonObject
from releases.conditions.registry import counts
from releases.github_mirror.relation import Relation
from releases.models import Downgrade, Rollback, RollbackStep, RollbackStepName, StepStatus
from releases.models.checklist import ChecklistItem
from releases.models.promotion import Promotion
from releases.models.pull_requests import PullRequest
from releases.models.releases import Freeze, Release, ReleaseStatus
from releases.project_settings import smoke_tests
from releases.rollback.rolled_back import RolledBack, rolled_back, with_revert


@dataclass(frozen=True)
class Serving:
    """One commit that services of an environment serve; `state` is pass, wait or fail."""

    services: tuple[str, ...]
    commit: str
    state: str
    words: str = ""


@dataclass
class Standing:
    """A release with its promotion, and how it stands: state, the pill's words, one sentence."""

    release: Any
    promotion: Promotion | None = None
    state: str = "wait"
    words: str = ""
    sentence: str = ""


@dataclass
class Card:
    """One project on the board."""

    project: Project
    staging_head: str = ""
    production_head: str = ""
    release: Any = None  # the one in preparation or still looked at, with its `pull_count`
    newest: Release | None = None  # the last that was merged, also if it was rolled back
    shipped: Release | None = None
    lives: list[Live] = field(default_factory=list)  # of production
    rolled: RolledBack | None = None
    relation: Relation | None = None  # of both branches; None: not read yet
    promotion: Promotion | None = None
    hotfix: Standing | None = None
    pulls: list[PullRequest] = field(
        default_factory=list
    )  # open ones straight into production, not cut yet
    staging: tuple[Serving, ...] = ()
    production: tuple[Serving, ...] = ()
    instances: list[ServiceInstance] = field(default_factory=list)
    databases: dict[str, list[EnvironmentDatabase]] = field(
        default_factory=lambda: defaultdict(list)
    )
    findings: int = 0
    changes: int = 0  # of its configuration, waiting for a second person
    freeze: Freeze | None = None
    tested: bool = True  # whether a smoke test is configured
    proposals: list[tuple[str, str]] = field(
        default_factory=list
    )  # service and path that Railway checks anyway
    problems: list[str] = field(default_factory=list)
    synced_at: datetime | None = None
    stale: bool = False
    state: str = "pass"
    words: str = ""
    sentence: str = ""
    can_cut: bool = False
    may_cut: bool = False

    @property
    def level(self) -> bool:
        """Whether both branches are at the same commit."""
        return bool(self.staging_head) and self.staging_head == self.production_head

    @property
    def compared(self) -> str:
        """How staging stands to main, in words."""
        staging, main = self.project.staging_branch, self.project.production_branch
        return self.relation.words(staging, main) if self.relation else f"comparing with {main}…"

    @property
    def brings(self) -> bool:
        """Whether staging may have content that main lacks; the action asks again."""
        known = self.relation
        return not self.level and (known is None or known.brings)


def board_context(user: User, *, now: datetime) -> JsonObject:
    """The cards, what waits for `user`, and how fresh the mirrors are.

    Fifteen queries whatever the counts.
    """
    findings = Finding.objects.open().filter(project=OuterRef("pk")).order_by()
    projects = Project.objects.select_related("github_sync", "railway_sync").annotate(
        tested=Exists(SmokeTest.objects.filter(project=OuterRef("pk"))),
        findings_open=Subquery(
            findings.values("project").annotate(count=Count("pk")).values("count")
        ),
    )
    cards = {
        project.pk: Card(project, tested=project.tested, findings=project.findings_open or 0)
        for project in projects.order_by("name")
    }
    _branches(cards)
    _releases(cards)
    _pulls(cards)
    _live(cards, now)
    waiting = ConfigurationChange.objects.filter(
        state=ConfigurationChange.State.WAITING
    ).select_related("proposed_by")
    changes = list(waiting.defer("secrets"))
    for card in cards.values():
        card.changes = sum(change.scope == card.project.slug for change in changes)
    for freeze in Freeze.objects.filter(lifted_at=None).select_related("started_by"):
        cards[freeze.project_id].freeze = freeze
    for card in cards.values():
        _sources(card, now)
        _standing(card)
        card.may_cut = user.has_perm("releases.cut_release")
        card.can_cut = _cuttable(card) and card.may_cut
    seen = [card.synced_at for card in cards.values() if card.synced_at]
    running = [
        one
        for card in cards.values()
        for one in (card.release, card.hotfix and card.hotfix.release)
        if one
    ]
    may = {
        "freeze": user.has_perm("releases.freeze_project"),
        "revert": user.has_perm("releases.roll_back_release"),
        "write": user.has_perm("releases.cut_release"),
        "checklist": user.has_perm("releases.change_checklisttemplate"),
        "smoke": user.has_perm(smoke_tests.ADD),
    }
    busy = any(release.status == ReleaseStatus.PROMOTING for release in running)
    return {
        "cards": list(cards.values()),
        "may": may,
        "waiting": [*_waiting(cards.values(), user), *_to_confirm(changes, user)],
        "synced_at": min(seen, default=None),
        "pulse": 3 if busy else 10,
    }


def _branches(cards: dict[int, Card]) -> None:
    for branch in Branch.objects.all():
        card = cards[branch.project_id]
        if branch.name == card.project.staging_branch:
            card.staging_head = branch.head
        elif branch.name == card.project.production_branch:
            card.production_head = branch.head


def _releases(cards: dict[int, Card]) -> None:
    counted: Any = Release.objects.select_related("reconciler", "cut_by").annotate(
        pull_count=Count("pull_requests")
    )
    for release in counted.active().defer("commits", "notes").order_by("cut_at"):
        # The one in preparation counts more than one that is still looked at in production.
        if release.is_hotfix:
            cards[release.project_id].hotfix = Standing(release)
        else:
            cards[release.project_id].release = release
    newest = Release.objects.newest_merged().select_related("cut_by", "project")
    for release in newest.defer("commits", "notes"):
        card = cards[release.project_id]
        card.newest = release
        if release.status in (ReleaseStatus.DONE, ReleaseStatus.VERIFYING):
            card.shipped = release
    promotions = Promotion.objects.filter(release__status=ReleaseStatus.PROMOTING).order_by(
        "created_at"
    )
    for promotion in promotions.select_related("release"):
        card = cards[promotion.release.project_id]
        if card.release and card.release.pk == promotion.release_id:
            card.promotion = promotion
        elif card.hotfix and card.hotfix.release.pk == promotion.release_id:
            card.hotfix.promotion = promotion


def _pulls(cards: dict[int, Card]) -> None:
    """Open pull requests straight into production of which no hotfix is made yet."""
    for pull in PullRequest.objects.filter(
        state="open", fork=False, base=F("project__production_branch")
    ).only("project", "number", "title", "url", "head", "head_sha"):
        card = cards[pull.project_id]
        cut = {
            one.pull_number for one in (card.release, card.hotfix and card.hotfix.release) if one
        }
        if pull.head != card.project.staging_branch and pull.number not in cut:
            card.pulls.append(pull)


def _live(cards: dict[int, Card], now: datetime) -> None:
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
    current: dict[int, list[Deployment]] = defaultdict(list)
    for deployment in Deployment.objects.filter(
        Q(is_latest=True) | Q(is_active=True), instance__environment__in=long_lived
    ):
        current[deployment.instance_id].append(deployment)
    grouped: dict[tuple[int, str], list[ServiceInstance]] = defaultdict(list)
    for instance in instances:
        grouped[instance.environment.project_id, instance.environment.kind].append(instance)
    for (project, kind), members in grouped.items():
        repository = cards[project].project.repository
        lives = [live_of(one, current[one.pk], repository) for one in members]
        setattr(cards[project], kind, _servings(lives))
        if kind == EnvironmentKind.PRODUCTION:
            cards[project].lives = lives
        cards[project].proposals = smoke_tests.proposals([*members, *cards[project].instances])
        cards[project].instances += members


def _servings(lives: Iterable[Live]) -> tuple[Serving, ...]:
    """Services of one environment that a release is about, those with the same commit and words
    together.
    """
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for live in lives:
        if live.at_commits:
            found[_serving(live)].append(live.service)
    return tuple(Serving(tuple(names), *key) for key, names in found.items())


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


def _sources(card: Card, now: datetime) -> None:
    """Says which source could not be read, and how old the older of both readings is."""
    syncs = {
        "GitHub": getattr(card.project, "github_sync", None),
        "Railway": getattr(card.project, "railway_sync", None),
    }
    ages: list[datetime] = []
    for name, sync in syncs.items():
        if sync is None or (sync.synced_at is None and not sync.problem):
            card.problems.append(f"{name} has not been read yet.")
        elif sync.problem:
            card.problems.append(sync.problem)
        if sync is not None and sync.synced_at:
            ages.append(sync.synced_at)
    card.synced_at = min(ages) if len(ages) == len(syncs) else None
    github, railway = syncs["GitHub"], syncs["Railway"]
    old = pace.stale_since(github, now) if github else now
    seen_at = railway.synced_at if railway else None
    unseen = not (railway and seen_at and seen_at >= pace.stale_since(railway, now))
    card.stale = not (card.synced_at and github and github.synced_at >= old and not unseen)
    if unseen and seen_at:
        card.staging, card.production = (
            tuple(_last_seen(one, seen_at) for one in lane)
            for lane in (card.staging, card.production)
        )


def _last_seen(serving: Serving, at: datetime) -> Serving:
    """What was so when it was last read: nothing of it is passed now."""
    local = timezone.localtime(at)
    words = f"last seen at {local:%H:%M} {local.tzname()}"
    return replace(serving, state="wait", words=f"{serving.words} · {words}".strip(" ·"))


def _standing(card: Card) -> None:
    """The card's pill and sentence, and those of the hotfix on it."""
    if card.hotfix:
        hotfix = card.hotfix
        hotfix.state, words, hotfix.sentence = _release_standing(hotfix.release, hotfix.promotion)
        hotfix.words = words.removeprefix(
            f"{hotfix.release.name} "
        )  # its name stands beside the pill
    sync = getattr(card.project, "github_sync", None)
    heads = card.staging_head, card.production_head
    card.relation = Relation.of(sync.relation if sync else {}, *heads)
    card.rolled = rolled_back(card.newest, card.lives, card.production_head)
    if card.rolled:
        card.rolled = with_revert(card.rolled)
    if card.release is None:
        if card.problems and card.synced_at:
            card.state, card.words = "fail", "not readable"
        elif card.rolled:
            card.state, card.words = "attest", "rolled back"
        elif not card.staging_head or not card.production_head:
            card.state, card.words = "wait", "not read yet"
        elif card.level or (card.relation and not card.brings):
            card.state = "wait" if card.stale else "pass"
            card.words = "not read lately" if card.stale else "nothing to release"
        elif card.relation and card.relation.diverged:
            card.state, card.words = "attest", "branches diverged"
        else:
            card.state, card.words = "wait", "ready to release"
        return
    card.state, card.words, card.sentence = _release_standing(card.release, card.promotion)


def _release_standing(release: Release, promotion: Promotion | None) -> tuple[str, str, str]:
    """State, words of the pill, and sentence."""
    if promotion is not None and promotion.status in STOPPED:
        return "fail", f"{release.name} stopped", promotion.sentence
    if release.status == ReleaseStatus.PROMOTING:
        return "active", f"{release.name} promoting", promotion.sentence if promotion else ""
    words = f"{release.name} {release.get_status_display()}"
    reconciler = getattr(release, "reconciler", None)
    if release.status == ReleaseStatus.VERIFYING:
        return "wait", words, "In production; items after promotion are open"
    if (
        reconciler is None
        or not reconciler.verdict_state
        or reconciler.verdict_sha != release.candidate
    ):
        return (
            "wait",
            words,
            (reconciler.problem if reconciler else "") or "Loading commits and checks…",
        )
    state = {"success": "pass", "failure": "fail"}.get(reconciler.verdict_state, "wait")
    return state, words, reconciler.problem or reconciler.verdict_sentence


def _cuttable(card: Card) -> bool:
    ahead = bool(card.staging_head and card.production_head) and card.brings
    return ahead and (card.release is None or card.release.status == ReleaseStatus.VERIFYING)


def _waiting(cards: Iterable[Card], user: User) -> Iterable[tuple[str, int | None, str]]:
    """What waits for `user`: a sentence, the release it is about or None, and the project's
    slug.
    """
    cards = list(cards)
    ticks = _open_ticks(cards) if user.has_perm("releases.tick_checklistitem") else {}
    yield from _going_back(user)
    for card in cards:
        slug = card.project.slug
        for pull in card.pulls if card.may_cut and card.hotfix is None else ():
            yield (
                f"{card.project}: #{pull.number} targets {card.project.production_branch}: "
                "create a hotfix",
                None,
                slug,
            )
        for standing in _standings(card):
            message = _wanted(standing, ticks, card.project, user)
            if message:
                yield f"{card.project}: {message}", standing.release.pk, slug
        if card.release is None and card.can_cut:
            yield f"{card.project}: {card.project.staging_branch} is ready to release", None, slug


def _standings(card: Card) -> list[Standing]:
    """The hotfix, which is in more of a hurry, and the release; both in the same form."""
    normal = (
        Standing(card.release, card.promotion, card.state, card.words, card.sentence)
        if card.release
        else None
    )
    return [one for one in (card.hotfix, normal) if one]


def _wanted(standing: Standing, ticks: dict[int, int], project: Project, user: User) -> str:
    """What `user` can do about a release now; empty: nothing."""
    release = standing.release
    if standing.promotion and standing.promotion.status in STOPPED:
        return (
            f"promotion of {release.name} stopped"
            if user.has_perm("releases.repair_release")
            else ""
        )
    if count := ticks.get(release.pk):
        return f"{count} checklist item{'s' if count > 1 else ''} open in {release.name}"
    if _awaits_approval(standing, project, user):
        return f"{release.name} needs an approval"
    return f"{release.name} is ready to promote" if _can_promote(standing, user) else ""


def _going_back(user: User) -> Iterable[tuple[str, int | None, str]]:
    """Rollbacks and downgrades that wait for `user`, before all else: somebody is having a bad
    day.
    """
    may_sign, may_mend = (
        user.has_perm("releases.approve_release"),
        user.has_perm("releases.repair_release"),
    )
    approving = RollbackStep.objects.filter(
        rollback=OuterRef("pk"), name=RollbackStepName.APPROVE, status=StepStatus.ACTIVE
    )
    jobs = Rollback.objects.unsettled().select_related("release__project")
    for job in jobs.annotate(awaits_approval=Exists(approving)):
        release, project = job.release, job.release.project
        if job.status in STOPPED:
            if may_mend:
                yield (f"{project}: rollback of {release.name} stopped", release.pk, project.slug)
        elif may_sign and job.requested_by_id != user.pk and job.awaits_approval:
            yield (
                f"{project}: rollback of {release.name} needs an approval",
                release.pk,
                project.slug,
            )
    wishes = Downgrade.objects.filter(approved_at=None, withdrawn_at=None).select_related(
        "release__project"
    )
    for wish in wishes if may_sign else ():
        if wish.requested_by_id != user.pk:
            message = f"{wish.release.project}: downgrade of {wish.database} needs an approval"
            yield message, wish.release_id, wish.release.project.slug


def _to_confirm(
    changes: Iterable[ConfigurationChange], user: User
) -> Iterable[tuple[str, int | None, str]]:
    """Changes of configuration that `user` may confirm; without a project they lead to their
    page.
    """
    for change in changes if user.has_perm(CONFIRM) else ():
        if change.proposed_by_id != user.pk:
            names = ", ".join(name.replace("_", " ") for name in change.values)
            yield f"{change.label}: change of {names} needs a second person", None, ""


def _open_ticks(cards: Iterable[Card]) -> dict[int, int]:
    """Release → how many manual items can be ticked now."""
    shown = {
        standing.release.pk: standing.release for card in cards for standing in _standings(card)
    }
    found: dict[int, int] = defaultdict(int)
    items = ChecklistItem.objects.filter(release__in=shown, gate="").exclude(
        ticked_at__isnull=False, lapsed_at=None
    )
    for item in items.only("release_id", "phase", "condition"):
        release = shown[item.release_id]
        due = "before" if release.status == ReleaseStatus.OPEN else "after"
        if item.phase == due and counts(item.condition, release):
            found[item.release_id] += release.status != ReleaseStatus.PROMOTING
    return found


def _awaits_approval(standing: Standing, project: Project, user: User) -> bool:
    release = standing.release
    return bool(
        release.status == ReleaseStatus.OPEN
        and project.required_approvals
        and release.cut_by_id != user.pk
        and _is_about_approvals(release)
        and user.has_perm("releases.approve_release")
    )


def _is_about_approvals(release: Release) -> bool:
    """Whether the verdict on the candidate is that approvals are missing."""
    reconciler = getattr(release, "reconciler", None)
    if reconciler is None or reconciler.problem or reconciler.verdict_sha != release.candidate:
        return False
    return bool(reconciler.verdict_gate == "approved")


def _can_promote(standing: Standing, user: User) -> bool:
    ready = standing.state == "pass" and standing.release.status == ReleaseStatus.OPEN
    return ready and user.has_perm("releases.promote_release")
