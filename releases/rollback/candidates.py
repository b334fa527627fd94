"""Which deployments of a service Railway can restore, and whether they would start. Pure rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from environments.models import SERVING, UNDER_WAY
from environments.railway import Deployment

READY, SAME, MOVING, NEW, GONE, UNKNOWN = "ready", "same", "moving", "new", "gone", "unknown"


@dataclass(frozen=True)
class Restorable:
    """What a rollback would do to one service.

    `state`: ready (Railway can restore `deployment`), same (it serves that commit now), moving (a
    newer deployment is under way), new (nothing ran before), gone (its image is no longer kept) or
    unknown. `until`: about when the image goes, None where that is not known.
    """

    service: str
    service_id: str
    state: str
    sentence: str
    serves: str = ""
    deployment: str = ""
    commit: str = ""
    made_at: datetime | None = None
    until: datetime | None = None


def restorable(
    service: str,
    service_id: str,
    deployments: Sequence[Deployment],
    *,
    before: Mapping[str, str] | None,
    released: str,
    keep: timedelta | None,
) -> Restorable:
    """Judge the deployments `found` (newest first) of one service in production.

    `before`: what was noted when the promotion began, deployment and commit ({}: nothing ran, None:
    not noted).
    `released`: the release's commit in production. `keep`: how long images of replaced deployments
    are kept.
    """
    # A push that changed nothing it watches made no deployment.
    deployments = [deployment for deployment in deployments if deployment.status != "SKIPPED"]
    # What serves is not always the newest: one that failed leaves the one before it where it was.
    serving = next(
        (
            place
            for place, deployment in enumerate(deployments)
            if deployment.status in SERVING and not deployment.stopped
        ),
        None,
    )
    serves = deployments[serving].commit or "" if serving is not None else ""
    if before is None:
        before = _deduced(deployments, released)
    judged = partial(Restorable, service, service_id, serves=serves)
    if before is None:
        unlisted = "it is not among the deployments that Railway lists."
        return judged(UNKNOWN, f"What it served before is not known: {unlisted}")
    wanted = before.get("commit", "")
    if not wanted:
        return judged(NEW, "Nothing of it ran before this release, so there is nothing to restore.")
    if coming := _coming(deployments[:serving]):
        return judged(MOVING, f"{_serves(serves, wanted)}, and {coming}.", commit=wanted)
    if serving is not None and serves == wanted:
        return judged(SAME, _stays(deployments[:serving], wanted), commit=wanted)
    return _image(judged, deployments, wanted, before.get("deployment", ""), keep)


def _image(
    judged: Callable[..., Restorable],
    deployments: Sequence[Deployment],
    wanted: str,
    noted: str,
    keep: timedelta | None,
) -> Restorable:
    """Return the judgement on the image of `wanted`: the noted deployment's, else another's."""
    kept = [
        deployment
        for deployment in deployments
        if deployment.commit == wanted and deployment.can_rollback
    ]
    best = next(
        (deployment for deployment in kept if deployment.id == noted), kept[0] if kept else None
    )
    if best is None:
        message = f"Railway can no longer restore {wanted[:7]}: its image is not kept any more."
        return judged(GONE, message, commit=wanted)
    replaced = best.status_updated_at if best.status == "REMOVED" else None
    return judged(
        READY,
        f"Railway can restore {wanted[:7]}.",
        deployment=best.id,
        commit=wanted,
        made_at=best.created_at,
        until=replaced + keep if replaced and keep else None,
    )


def _coming(newer: Sequence[Deployment]) -> str:
    """Return what is on its way to take the place of what serves; "" where nothing is."""
    coming = next(
        (deployment for deployment in newer if deployment.status in UNDER_WAY - {"REMOVING"}), None
    )
    if coming is None:
        return ""
    return f"the deployment of {_what(coming)} is under way ({coming.status.lower()})"


def _what(deployment: Deployment) -> str:
    return deployment.commit[:7] if deployment.commit else "another image"


def _serves(serves: str, wanted: str) -> str:
    if not serves:
        return "Nothing serves"
    return f"Serves {serves[:7]}, as before" if serves == wanted else f"Serves {serves[:7]}"


def _stays(newer: Sequence[Deployment], wanted: str) -> str:
    """Return the answer for a service that serves what it did; `newer`: what came after that."""
    if not newer or newer[0].status == "REMOVED":
        return f"Serves {wanted[:7]}, as before."
    failed = f"The deployment of {_what(newer[0])} came to nothing ({newer[0].status.lower()})"
    return f"{failed}; {wanted[:7]} serves, as before, and can stay."


def newest_first(deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Order by the moment of their making; Railway promises no order."""
    return tuple(
        sorted(deployments, key=lambda deployment: str(deployment.created_at or ""), reverse=True)
    )


def _deduced(deployments: Sequence[Deployment], released: str) -> Mapping[str, str] | None:
    """Return what ran before the first deployment of `released`, if that can be told."""
    first = max(
        (place for place, deployment in enumerate(deployments) if deployment.commit == released),
        default=None,
    )
    if first is None:
        return None
    earlier = [
        deployment
        for deployment in deployments[first + 1 :]
        if deployment.commit and deployment.commit != released
    ]
    best = next(
        (deployment for deployment in earlier if deployment.can_rollback),
        earlier[0] if earlier else None,
    )
    return {"deployment": best.id, "commit": best.commit or ""} if best else None
