"""What the board shows: every project, with its state, in a fixed number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q, Subquery

from environments.models import Branch, Finding, Project, RailwaySync, SmokeTest
from environments.quota import pace
from portal.jobs import STOPPED
from portal.models.configuration import ConfigurationChange
from portal.outbound.parsing import JsonObject
from releases.github_mirror.relation import Relation
from releases.models.freezes import Freeze
from releases.models.promotion import Promotion
from releases.models.pull_requests import GitHubSync, PullRequest
from releases.models.releases import ACTIVE, Release, ReleaseStatus
from releases.pages.board_cards import Card, CardStatus
from releases.pages.board_services import last_seen, show_live
from releases.pages.waiting import to_confirm, waiting_for
from releases.project_settings import smoke_tests
from releases.rollback.rolled_back import into_production, rolled_back, with_reverts


def board_context(user: User, *, now: datetime) -> JsonObject:
    """Return the cards, what waits for `user`, and how fresh the mirrors are.

    Fifteen queries whatever the counts.
    """
    cards = _cards()
    _releases(cards)
    opened = _pulls(cards)
    show_live(cards, now)
    changes = _changes(cards)
    for freeze in Freeze.objects.filter(lifted_at=None).select_related("started_by"):
        cards[freeze.project_id].freeze = freeze
    for card in cards.values():
        _sources(card, now)
        _set_status(card)
    _reverts(cards.values(), opened)
    may = _may(user)
    for card in cards.values():
        card.may_cut = may["write"]
        card.can_cut = _cuttable(card) and card.may_cut
    seen = [card.synced_at for card in cards.values() if card.synced_at]
    return {
        "cards": list(cards.values()),
        "may": may,
        "waiting": [*waiting_for(cards.values(), user), *to_confirm(changes, user)],
        "synced_at": min(seen, default=None),
        "pulse": 3 if any(map(_is_promoting, cards.values())) else 10,
    }


def _cards() -> dict[int, Card]:
    """Return a card per project, by its key, with what one query reads of it."""
    findings = Finding.objects.open().filter(project=OuterRef("pk")).order_by()
    branch = Branch.objects.filter(project=OuterRef("pk")).values("head")
    projects = Project.objects.select_related("github_sync", "railway_sync").annotate(
        tested=Exists(SmokeTest.objects.filter(project=OuterRef("pk"))),
        findings_open=Subquery(
            findings.values("project").annotate(count=Count("pk")).values("count")
        ),
        staging_head=Subquery(branch.filter(name=OuterRef("staging_branch"))[:1]),
        production_head=Subquery(branch.filter(name=OuterRef("production_branch"))[:1]),
    )
    return {
        project.pk: Card(
            project,
            project.staging_head or "",
            project.production_head or "",
            tested=project.tested,
            findings=project.findings_open or 0,
        )
        for project in projects.order_by("name")
    }


def _changes(cards: Mapping[int, Card]) -> list[ConfigurationChange]:
    """Return the changes that wait for a second person; each card gets their count."""
    waiting = ConfigurationChange.objects.filter(
        state=ConfigurationChange.State.WAITING
    ).select_related("proposed_by")
    changes = list(waiting.defer("secrets"))
    for card in cards.values():
        card.changes = sum(change.scope == card.project.slug for change in changes)
    return changes


def _may(user: User) -> dict[str, bool]:
    return {
        "freeze": user.has_perm("releases.freeze_project"),
        "revert": user.has_perm("releases.roll_back_release"),
        "write": user.has_perm("releases.cut_release"),
        "checklist": user.has_perm("releases.change_checklisttemplate"),
        "smoke": user.has_perm(smoke_tests.ADD),
    }


def _is_promoting(card: Card) -> bool:
    releases = (card.release, card.hotfix and card.hotfix.release)
    return any(release and release.status == ReleaseStatus.PROMOTING for release in releases)


def _releases(cards: dict[int, Card]) -> None:
    counted: Any = Release.objects.select_related("reconciler", "cut_by", "project").annotate(
        pull_count=Count("pull_requests")
    )
    newest = Q(pk__in=Release.objects.newest_merged().values("pk"))
    marked = counted.annotate(is_newest=ExpressionWrapper(newest, output_field=BooleanField()))
    shown = marked.filter(newest | Q(status__in=ACTIVE)).defer("commits", "notes", "record")
    for release in shown.order_by("cut_at"):
        if release.is_newest:
            _newest(cards[release.project_id], release)
        if release.status not in ACTIVE:
            continue
        # A release in preparation comes before one that is still being verified in production.
        if release.is_hotfix:
            cards[release.project_id].hotfix = CardStatus(release)
        else:
            cards[release.project_id].release = release
    _promotions(cards)


def _promotions(cards: dict[int, Card]) -> None:
    promotions = Promotion.objects.filter(release__status=ReleaseStatus.PROMOTING)
    for promotion in promotions.order_by("created_at").select_related("release"):
        card = cards[promotion.release.project_id]
        if card.release and card.release.pk == promotion.release_id:
            card.promotion = promotion
        elif card.hotfix and card.hotfix.release.pk == promotion.release_id:
            card.hotfix.promotion = promotion


def _newest(card: Card, release: Release) -> None:
    card.newest = release
    if release.status in (ReleaseStatus.DONE, ReleaseStatus.VERIFYING):
        card.shipped = release


def _pulls(cards: dict[int, Card]) -> list[PullRequest]:
    """Note those of which no hotfix is made yet; return all open pull requests straight into
    production.
    """
    read = ("project", "number", "title", "url", "head", "head_sha", "fork")
    opened = list(into_production().only(*read))
    for pull in opened:
        card = cards[pull.project_id]
        cut = {
            chosen.pull_number
            for chosen in (card.release, card.hotfix and card.hotfix.release)
            if chosen
        }
        is_ours = not pull.fork and pull.head != card.project.staging_branch
        if is_ours and pull.number not in cut:
            card.pulls.append(pull)
    return opened


def _reverts(cards: Iterable[Card], opened: Sequence[PullRequest]) -> None:
    """Have the cards of what was rolled back tell the revert. One query, or none."""
    rolled_back = [card for card in cards if card.rolled]
    reverts = with_reverts([card.rolled for card in rolled_back if card.rolled], opened)
    for card, rolled in zip(rolled_back, reverts, strict=True):
        card.rolled = rolled


def _sources(card: Card, now: datetime) -> None:
    """Say which source could not be read, and how old the older of both readings is."""
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
    _staleness(card, syncs["GitHub"], syncs["Railway"], now)


def _staleness(
    card: Card, github: GitHubSync | None, railway: RailwaySync | None, now: datetime
) -> None:
    """Say whether the card is of now; what Railway has not told lately is shown as last seen."""
    old = pace.stale_since(github, now) if github else now
    seen_at = railway.synced_at if railway else None
    unseen = not (railway and seen_at and seen_at >= pace.stale_since(railway, now))
    card.stale = not (
        card.synced_at and github and github.synced_at and github.synced_at >= old and not unseen
    )
    if unseen and seen_at:
        card.staging, card.production = (
            tuple(last_seen(serving, seen_at) for serving in lane)
            for lane in (card.staging, card.production)
        )


def _set_status(card: Card) -> None:
    """Set the card's pill and sentence, and those of the hotfix on it."""
    if card.hotfix:
        hotfix = card.hotfix
        hotfix.state, words, hotfix.sentence = _release_status(hotfix.release, hotfix.promotion)
        hotfix.words = words.removeprefix(
            f"{hotfix.release.name} "
        )  # its name stands beside the pill
    sync = getattr(card.project, "github_sync", None)
    heads = card.staging_head, card.production_head
    card.relation = Relation.of(sync.relation if sync else {}, *heads)
    card.rolled = rolled_back(card.newest, card.lives, card.production_head)
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
    card.state, card.words, card.sentence = _release_status(card.release, card.promotion)


def _release_status(release: Release, promotion: Promotion | None) -> tuple[str, str, str]:
    """Return state, words of the pill, and sentence."""
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
