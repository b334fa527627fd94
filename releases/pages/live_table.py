"""The table “Live now” on the release page."""

from dataclasses import dataclass

from environments.models import EnvironmentKind
from environments.services.liveness import Live
from releases import gates
from releases.gates.context import Facts
from releases.gates.deployed import live_at
from releases.models.releases import Release
from releases.pages.checklist_rows import STATE

SHOWN = 12  # above this number, services in the expected state are folded


@dataclass(frozen=True)
class LiveCell:
    """A service in one environment: the commit it serves, and words when that is not as it
    should be.
    """

    state: str
    commit: str
    words: str


@dataclass(frozen=True)
class LiveRow:
    """One service in both environments; None where it does not run."""

    service: str
    staging: LiveCell | None
    production: LiveCell | None

    @property
    def cells(self) -> tuple[LiveCell | None, ...]:
        return self.staging, self.production

    @property
    def is_plain(self) -> bool:
        """Whether it is in the expected state, so that there is nothing to say about it."""
        return all(cell is None or (cell.state == "pass" and not cell.words) for cell in self.cells)


def context(facts: Facts) -> dict[str, tuple[LiveRow, ...]]:
    """Return the table for the template; of many services those that are as they should be lie
    folded.
    """
    rows = live_rows(facts)
    plain = tuple(row for row in rows if row.is_plain) if len(rows) > SHOWN else ()
    return {"live": tuple(row for row in rows if row not in plain), "live_plain": plain}


def live_rows(facts: Facts) -> tuple[LiveRow, ...]:
    """Return the table “Live now”."""
    wanted = {
        EnvironmentKind.STAGING: (
            facts.staging_head if _is_elsewhere(facts.release) else facts.release.candidate
        ),
        EnvironmentKind.PRODUCTION: facts.release.merge_commit or facts.production_head,
    }
    cells: dict[str, dict[str, LiveCell]] = {}
    for kind, commit in wanted.items():
        for live in facts.live.get(kind, ()):
            cells.setdefault(live.service, {})[kind] = _live_cell(facts, live, kind, commit)
    return tuple(
        LiveRow(name, both.get(EnvironmentKind.STAGING), both.get(EnvironmentKind.PRODUCTION))
        for name, both in sorted(cells.items())
    )


def _is_elsewhere(release: Release) -> bool:
    """Return whether staging is not to run the candidate: a hotfix never passes through it, and a
    shipped one has.
    """
    return release.is_hotfix or not release.is_in_preparation


def _live_cell(facts: Facts, live: Live, kind: str, wanted: str) -> LiveCell:
    state, words = live_at(facts, live, kind, wanted)
    plain = state == gates.PASS and live.at_commits and live.serving in ("", wanted)
    return LiveCell(STATE[state], live.serving, "" if plain else words)
