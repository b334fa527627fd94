"""The checklist on the release page: its rows, and what a person can do to each."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import slugify

from environments.services.liveness import Live
from environments.smoke.probe import address_of
from releases import gates
from releases.gates.context import Facts
from releases.models.checklist import ChecklistItem, Phase
from releases.models.releases import Release, ReleaseStatus

STATE = {gates.PASS: "pass", gates.PENDING: "wait", gates.FAIL: "fail", gates.ATTEST: "attest"}
ENDED = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)


@dataclass(frozen=True)
class Row:
    """One line of the checklist as it is shown. `control`: what a person can do to it now."""

    text: str
    state: str
    sentence: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    seen_at: datetime | None = None
    item: ChecklistItem | None = None
    control: str = ""  # tick, untick, attest, approve or nothing
    link: str = ""
    lapsed: bool = False
    problem: str = ""

    @property
    def pk(self) -> str:
        """The item's key; a number is safe, and said so it is not escaped again at each of its
        places.
        """
        return SafeString(self.item.pk) if self.item else ""

    @property
    def key(self) -> str:
        """Names the row in the page: its anchor."""
        return SafeString(f"item-{self.item.pk}") if self.item else "gate-" + slugify(self.text)

    @property
    def address(self) -> str:
        """Where the row's control posts to."""
        return (
            _address(self.item.pk, "untick" if self.control == "untick" else "tick")
            if self.item
            else ""
        )

    @property
    def tone(self) -> str:
        """How the sentence is coloured."""
        return self.state if self.state in ("fail", "attest") else "muted"


@functools.lru_cache(8192)
def _address(pk: int, verb: str) -> SafeString:
    """Worked out once: every poll shows the same sixty items."""
    return SafeString(reverse("releases:item-do", args=[pk, verb]))


def rows(
    facts: Facts, readiness: gates.Readiness, phase: str, *, may_tick: bool = True
) -> tuple[Row, ...]:
    """Return the checklist lines of one phase, with ticks for those who may."""
    # Of a release that ended the pages say nothing: production may be another one by now.
    pages = "" if facts.release.status in ENDED else key_page_base(facts.in_production)
    lines = readiness.before if phase == Phase.BEFORE else readiness.after
    return tuple(_row(line, facts, pages, may_tick) for line in lines)


def several(shown: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows that the person may tick together; none where there is only one."""
    tickable = tuple(row for row in shown if row.control == "tick")
    return tickable if len(tickable) > 1 else ()


def _row(line: gates.ChecklistLine, facts: Facts, pages: str, may_tick: bool) -> Row:
    item, result = line.item, line.result
    closed = item is not None and item.phase == Phase.AFTER and facts.release.is_in_preparation
    return Row(
        text=line.text,
        state="closed" if closed else STATE[result.state],
        sentence="" if closed and item and not item.gate else result.sentence,
        evidence=result.evidence,
        seen_at=result.seen_at,
        item=item,
        control=(
            ""
            if closed
            else control_of(line, facts.release)
            if may_tick or line.gate == "approved"
            else ""
        ),
        link=page_link(item.link, pages) if item else "",
        lapsed=bool(item and item.lapsed_at),
    )


def control_of(line: gates.ChecklistLine, release: Release) -> str:
    item = line.item
    if release.status in ENDED:
        return ""
    if line.gate == "approved" and not line.done:
        return "approve"
    if item is None:
        return ""
    if item.phase == Phase.BEFORE and release.merge_commit:
        return ""
    if item.is_ticked and item.ticked_candidate == release.candidate:
        return "untick"
    if not item.gate:
        return "tick"
    return "attest" if line.result.state == gates.ATTEST else ""


def ticked_row(
    item: ChecklistItem, *, who: object, note: str, at: datetime | None, problem: str = ""
) -> Row:
    """Return a row as it stands after a tick (`at` given) or untick, from what is at hand; gates
    are asked at the next look.

    `problem` is why it was refused.
    """
    message = f"{who}: “{note}”" if note else str(who)
    manual = "The portal cannot check this; a person must confirm it."
    if not item.gate:
        manual = "Not confirmed"
    return Row(
        text=item.text,
        state="pass" if at else "attest" if item.gate else "wait",
        sentence=message if at else manual,
        seen_at=at,
        item=item,
        control="untick" if at else "attest" if item.gate else "tick",
        problem=problem,
    )


def key_page_base(services: Iterable[Live]) -> str:
    """Return the domain that relative key pages lie on: production's frontend, else its first
    service with an address.
    """
    named = [
        (live.service.lower(), live.instance.domains[0])
        for live in services
        if live.instance.domains
    ]
    named.sort(
        key=lambda pair: (pair[0] != "frontend", "front" not in pair[0] and "web" not in pair[0])
    )
    return named[0][1] if named else ""


def page_link(link: str, base: str) -> str:
    """Return the address of a key page, or nothing when it has none: http on this machine, else
    https.
    """
    if not link.startswith("/"):
        return link
    return (address_of(base, link) or "") if base else ""
