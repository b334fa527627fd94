"""The way back, known before it is needed: can the old image live with the new schema? Pure; does nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from environments.schema.plan import Step
from environments.schema.risk import Risk

SAFE, DOWNGRADE_FIRST, FORWARD = "image rollback safe", "downgrade first, from the newer image", "fix forward"


@dataclass(frozen=True)
class WayBack:
    """One of the three verdicts, why, and what to do in which order."""

    verdict: str
    reasons: tuple[str, ...]
    steps: tuple[str, ...]


def advise(
    steps: Sequence[Step],
    risks: Sequence[Risk],
    *,
    starting: Sequence[str] = (),
    starting_known: bool = False,
    missing: Sequence[str] = (),
    unplanned: Sequence[str] = (),
) -> WayBack:
    """The verdict on taking back a release of which the database has these migrations. Unknown is not called safe.

    `starting`: sentences on services that run Alembic when they start; `starting_known`: there are no others.
    `missing`: why some service cannot be restored. `unplanned`: revisions of which nothing is known.
    """
    ids = ", ".join([*(step.revision for step in steps), *unplanned])
    breaking = _breaking(steps, risks, unplanned)
    if ids and starting:
        stops = f"With {ids} in the database it stops with “Can't locate revision”: the old image has no such file."
        breaking = (*breaking, *(f"{one} {stops}" for one in starting))
    if missing:
        again = "Or deploy the earlier commit anew on Railway, which builds it again, and look at it as at a release."
        return WayBack(FORWARD, (*missing, *breaking), (_CORRECT, again))
    if not ids:
        return WayBack(SAFE, ("The database has nothing of this release.",), (_IMAGE,))
    if not breaking:
        reasons = ("What runs now can work with the new schema: nothing it uses is dropped, renamed or narrowed.",)
        image = f"{_IMAGE} The database stays at {steps[-1].revision}."
        start = (
            f"If the old image runs Alembic when it starts, it stops with “Can't locate revision”: it has no {ids}. "
            "Take that command out of its start first."
        )
        return WayBack(SAFE, reasons, (image,) if starting_known else (image, start))
    final = (*_final(steps, risks), *(f"{one}: its downgrade is not known." for one in unplanned))
    if final:
        return WayBack(FORWARD, (*breaking, *final), (_CORRECT,))
    back = ", then ".join(step.revision for step in reversed(steps))
    downgrade = f"Undo {back} with the newer image, for the old one does not have these files."
    return WayBack(DOWNGRADE_FIRST, breaking, (downgrade, _IMAGE))


_IMAGE = "Roll back every service of the release to its earlier deployment."
_CORRECT = "Write the correction as a new release and promote that."


def _breaking(steps: Sequence[Step], risks: Sequence[Risk], unplanned: Sequence[str]) -> tuple[str, ...]:
    """Why the old image cannot be trusted to work with the new schema."""
    found = [f"{one.revision}: {one.sentence}" for one in risks if one.breaks_old]
    unknown = [f"{step.revision}: what it does is not known without a run." for step in steps if step.upgrade.kind]
    unknown += [f"{one}: it was not worked out what it does." for one in unplanned]
    return tuple(dict.fromkeys([*found, *unknown]))


def _final(steps: Sequence[Step], risks: Sequence[Risk]) -> tuple[str, ...]:
    """Why a downgrade does not bring the old state back."""
    lost = [f"{one.revision}: what it removes does not come back with a downgrade." for one in risks if one.loses_data]
    closed = [f"{step.revision}: its downgrade cannot be relied on." for step in steps if not _goes_back(step)]
    return tuple(dict.fromkeys([*lost, *closed]))


def _goes_back(step: Step) -> bool:
    if step.downgrade.kind:
        return False
    return bool(step.downgrade.statements) or not (step.upgrade.statements or step.upgrade.kind)
