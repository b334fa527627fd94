"""Whether a rollback is safe: can the old image work with the new schema? Pure; changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from environments.schema.plan.render import Step
from environments.schema.plan.risk import Risk

SAFE = "safe to roll back"
DOWNGRADE_FIRST = "downgrade first, from the newer image"
FORWARD = "roll forward only"
PENDING = "not known while production changes"


@dataclass(frozen=True)
class RollbackVerdict:
    """One of the verdicts, why, and what to do in which order."""

    verdict: str
    reasons: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Services:
    """What serves now of a release that is on its way to production, or there.

    `back`: services that Railway would restore; `stay`: those that serve what they served before,
    each with its sentence; `missing`: why some cannot be restored; `starting`: sentences on those
    that run Alembic when they start, and `starting_known` that these are all; `moving`: on what
    changes now.
    """

    back: tuple[str, ...] = ()
    stay: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()
    starting_known: bool = False
    moving: tuple[str, ...] = ()


@dataclass(frozen=True)
class Half:
    """A revision that failed and left something in the database, and what takes it away.

    `breaks`: earlier code may trip over it, or nobody knows.
    """

    revision: str
    sentence: str
    commands: tuple[str, ...] = ()
    breaks: bool = False


def assess_rollback(
    steps: Sequence[Step],
    risks: Sequence[Risk],
    *,
    services: Services | None = None,
    unplanned: Sequence[str] = (),
    half: Sequence[Half] = (),
) -> RollbackVerdict:
    """Return the verdict on taking back a release of which the database has these migrations.

    Of `half` it has a part, of `unplanned` revisions nothing is known, and unknown is not called
    safe. `services` None: nothing of the release is in production yet.
    """
    now = services or Services()
    if now.moving:
        wait = "Wait until it has ended; the assessment updates every few seconds."
        return RollbackVerdict(PENDING, now.moving, (wait,))
    ids = ", ".join([*(step.revision for step in steps), *unplanned])
    stays = tuple(effect.sentence for effect in half if not effect.breaks)
    repairs = tuple(f"In the database: {command}" for effect in half for command in effect.commands)
    half_breaks = (effect.sentence for effect in half if effect.breaks)
    breaking = (*_breaking(steps, risks, unplanned), *half_breaks, *_stops(now, ids))
    if now.missing:
        reasons = (*now.missing, *breaking, *stays)
        return RollbackVerdict(FORWARD, reasons, (*repairs, _CORRECT, _REDEPLOY))
    if not breaking:
        return _safe(now, steps, ids, stays, (*repairs, *_images(services)))
    final = (
        *_final(steps, risks),
        *(f"{revision}: its downgrade is not known." for revision in unplanned),
    )
    if final or not ids:
        return RollbackVerdict(FORWARD, (*breaking, *stays, *final), (*repairs, _CORRECT))
    back = ", then ".join(step.revision for step in reversed(steps))
    why = "because the old one does not contain these files"
    downgrade = f"Downgrade {back} with the newer image, {why}."
    todo = (*repairs, downgrade, *_images(services))
    return RollbackVerdict(DOWNGRADE_FIRST, (*breaking, *stays), todo)


def _stops(now: Services, ids: str) -> tuple[str, ...]:
    """Why the services that run Alembic when they start would not, with `ids` in the database."""
    if not ids:
        return ()
    stops = (
        f"With {ids} in the database it stops with “Can't locate revision”: the old image has"
        " no such file."
    )
    return tuple(f"{sentence} {stops}" for sentence in now.starting)


_CORRECT = "Fix the problem in a new release and promote it."
_REDEPLOY = (
    "Or redeploy the earlier commit on Railway, which builds it again, and check it like a release."
)


def _images(services: Services | None) -> tuple[str, ...]:
    """Return what people must do about the services."""
    if services is None:
        return ("Roll back every service of the release to its earlier deployment.",)
    sentences = []
    if services.back:
        alone = len(services.back) == 1
        earlier = "its earlier deployment" if alone else "their earlier deployments"
        sentences.append(f"Roll back {_listed(services.back)} to {earlier}.")
    if services.stay:
        so = "it is" if len(services.stay) == 1 else "they are"
        sentences.append(f"{_listed([name for name, _ in services.stay])} can stay as {so}.")
    return tuple(sentences) or ("No service has to be restored.",)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _safe(
    now: Services, steps: Sequence[Step], ids: str, stays: Sequence[str], images: tuple[str, ...]
) -> RollbackVerdict:
    """Return the verdict where earlier code can live with what the database has."""
    kept = tuple(sentence for _, sentence in now.stay)
    if not ids:
        message = "The database has no revision of this release."
        if stays:
            message = "No revision of this release is applied."
        return RollbackVerdict(SAFE, (message, *stays, *kept), images)
    why = "The earlier code works with the new schema:"
    why += " nothing it uses is dropped, renamed or narrowed."
    image = (*images[:-1], f"{images[-1]} The database stays at {steps[-1].revision}.")
    start = (
        "If the old image runs Alembic when it starts, it stops with “Can't locate revision”: it"
        f" has no {ids}. Take that command out of its start first."
    )
    todo = image if now.starting_known else (*image, start)
    return RollbackVerdict(SAFE, (why, *stays, *kept), todo)


def _breaking(
    steps: Sequence[Step], risks: Sequence[Risk], unplanned: Sequence[str]
) -> tuple[str, ...]:
    """Return why the old image cannot be trusted to work with the new schema."""
    sentences = [f"{risk.revision}: {risk.sentence}" for risk in risks if risk.breaks_old]
    unrendered = (step.revision for step in steps if step.upgrade.kind)
    sentences += [f"{revision}: its effect is not known without a run." for revision in unrendered]
    sentences += [f"{revision}: its effect was not analyzed." for revision in unplanned]
    return tuple(dict.fromkeys(sentences))


def _final(steps: Sequence[Step], risks: Sequence[Risk]) -> tuple[str, ...]:
    """Return why a downgrade does not bring the old state back."""
    lost = (risk.revision for risk in risks if risk.loses_data)
    closed = (step.revision for step in steps if not _goes_back(step))
    sentences = [f"{revision}: a downgrade does not restore what it removes." for revision in lost]
    sentences += [f"{revision}: its downgrade is not reliable." for revision in closed]
    return tuple(dict.fromkeys(sentences))


def _goes_back(step: Step) -> bool:
    if step.downgrade.kind:
        return False
    return bool(step.downgrade.statements) or not (step.upgrade.statements or step.upgrade.kind)
