"""How often a preview is checked: often while something changes, seldom otherwise."""

from datetime import datetime
from hashlib import sha256

from environments.models import Preview, PreviewState, Project
from environments.previews.on_railway import environments_for
from environments.railway import ProjectTree
from portal.jobs import Finished, Outcome, Requeue, wake_now

SELDOM_SECONDS = 1800.0  # between two checks of a preview in which nothing changes


def notice(project: Project, tree: ProjectTree, *, now: datetime) -> None:
    """Wake the previews of which this reading shows something new, so that none look often."""
    for job in Preview.objects.open().filter(project=project).exclude(state=PreviewState.GONE):
        if job.seen and job.seen != _digest(job, tree):
            wake_now(job, now=now)


def _digest(job: Preview, tree: ProjectTree) -> str:
    """Return what of Railway decides about the preview, and what is wanted of it."""
    named = sorted(environment.id for environment in environments_for(job, tree))
    own = next(
        (environment for environment in tree.environments if environment.id == job.environment_id),
        None,
    )
    states: list[object] = []
    for instance in sorted(own.instances if own else (), key=lambda instance: instance.service_id):
        latest = instance.latest_deployment
        how = latest and (latest.id, latest.status, latest.commit, latest.stopped)
        states.append((instance.service_id, how))
    seen = (tree.pr_environments, states, own is not None)
    message = repr((job.head, job.wanted, named, *seen))
    return sha256(message.encode()).hexdigest()


def note_movement(job: Preview, tree: ProjectTree, now: datetime) -> None:
    """Remember since when nothing of the preview moves."""
    digest = _digest(job, tree)
    if digest != job.seen or job.still_since is None:
        job.keep(seen=digest, still_since=now)


def patient(job: Preview, outcome: Outcome, now: datetime) -> Outcome:
    """Wait the longer, the longer nothing moved: `notice` wakes what does."""
    if isinstance(outcome, Finished) or outcome.seconds <= 0:
        return outcome
    if job.state in (PreviewState.LIVE, PreviewState.BLOCKED, PreviewState.ASKING):
        return Requeue(max(outcome.seconds, SELDOM_SECONDS), outcome.sentence)
    still = (now - job.still_since).total_seconds() if job.still_since else 0.0
    return Requeue(max(outcome.seconds, min(still / 8, SELDOM_SECONDS)), outcome.sentence)
