"""What the portal posts to GitHub about a preview: one comment, edited, and a deployment."""

from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.utils.dateparse import parse_datetime

from environments.clients import github_of
from environments.github import GitHub, comments
from environments.github.comments import plain
from environments.models import Preview, PreviewState
from portal.jobs import Outcome, Requeue, holds
from portal.jobs.steps import FINAL
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject

MARKER = "<!-- release-portal: preview -->"
REST = timedelta(minutes=1)  # after GitHub refused: the environment is checked meanwhile
# What the comment says of each state, and the state of the deployment on GitHub.
SAID: dict[str, tuple[str, str]] = {
    PreviewState.CREATING: ("is being created", "in_progress"),
    PreviewState.ASKING: ("waits for variables", "pending"),
    PreviewState.DEPLOYING: ("is being deployed", "in_progress"),
    PreviewState.LIVE: ("is live", "success"),
    PreviewState.FAILED: ("failed", "failure"),
    PreviewState.BLOCKED: ("is blocked", "failure"),
    PreviewState.REMOVING: ("is being removed", "inactive"),
    PreviewState.GONE: ("was removed", "inactive"),
}


def is_due(job: Preview, *, now: datetime) -> bool:
    """Return whether GitHub has not been told how the preview is, and did not refuse just now."""
    refused_at = parse_datetime(job.told.get("refused_at") or "")
    resting = refused_at is not None and now - refused_at < REST
    return not resting and _is_unsaid(job)


def tried_again(job: Preview, outcome: Outcome) -> Outcome:
    """Return `outcome`, but no later than GitHub is told what passing trouble kept from it."""
    if isinstance(outcome, Requeue) and job.told.get("passing") and _is_unsaid(job):
        return Requeue(min(outcome.seconds, REST.total_seconds()), outcome.sentence)
    return outcome


def _is_unsaid(job: Preview) -> bool:
    return _comment_due(job) or _deployment_due(job)


def tell(job: Preview, *, now: datetime) -> Outcome | None:
    """Tell GitHub one thing that is due. None: nothing is, or GitHub refused a moment ago."""
    if not is_due(job, now=now):
        return None
    try:
        _comment(job) if _comment_due(job) else _announce(job)
    except ApiError as error:
        refused = {"refused_at": now.isoformat(), "passing": error.kind not in FINAL}
        job.keep(told=job.told | refused | {"problem": str(error)})
        return None
    return Requeue(0)


def text_of(job: Preview) -> str:
    """Return the comment: what the preview is like, without anything that changes by itself."""
    rows = "".join(
        f"| {plain(service['name'])} | {plain(service['status'])} | {service['address'] or '–'} |\n"
        for service in job.services
    )
    lines = [MARKER, f"**Preview {job.name}** {SAID[job.state][0]} at {job.head[:7]}."]
    if job.state == PreviewState.LIVE:
        lines.append(job.address or "No service has a public address.")
        lines.append(f"Live since {job.live_at:%Y-%m-%d %H:%M} UTC." if job.live_at else "")
    if job.state in (PreviewState.FAILED, PreviewState.BLOCKED):
        lines.append(plain(job.sentence))
    if job.state == PreviewState.ASKING:
        lines.append(f"Sealed variables are not copied: {plain(', '.join(job.missing))}.")
    if job.state in (PreviewState.REMOVING, PreviewState.GONE):
        lines.append(f"Why: {plain(job.why_not) or 'it was removed by a person'}.")
    elif rows and job.state in (PreviewState.LIVE, PreviewState.FAILED):
        lines.append(f"| Service | State | Address |\n|---|---|---|\n{rows}")
    lines.append(f"[All previews]({_page(job)})")
    return "\n\n".join(line for line in lines if line)


def _page(job: Preview) -> str:
    return f"{settings.PORTAL_URL}/previews/?project={job.project.slug}"


def _digest(job: Preview) -> str:
    return sha256(text_of(job).encode()).hexdigest()


def _comment_due(job: Preview) -> bool:
    if not job.environment_id and "comment" not in job.told and job.state != PreviewState.BLOCKED:
        return False  # nothing to speak of yet
    if job.state == PreviewState.REMOVING:
        return False  # for a moment only
    return job.told.get("digest") != _digest(job)


def _comment(job: Preview) -> None:
    """Edit our comment; look for one that we do not remember before another is written."""
    message, digest = text_of(job), _digest(job)
    github, known = github_of(job.project), job.told.get("comment")
    number = comments.put(github, job.number, MARKER, message, known, lambda: holds(job))
    if number is None:
        job.keep(told=_without(job, "comment"))
    else:
        job.keep(told=job.told | {"comment": number, "digest": digest, "problem": ""})


def _without(job: Preview, name: str) -> JsonObject:
    return {key: value for key, value in job.told.items() if key != name}


def _deployment_due(job: Preview) -> bool:
    if not job.environment_id:
        return False
    told, state = job.told.get("commit"), SAID[job.state][1]
    if told is None and state == "inactive":
        return False
    return (told, job.told.get("state")) != (job.head, state)


def _announce(job: Preview) -> None:
    """Do one step: the old deployment off, the head's made, or its state told."""
    github, commit, (words, state) = github_of(job.project), job.head, SAID[job.state]
    old, told = job.told.get("deployment"), job.told.get("commit")
    if old is not None and told != commit and job.told.get("state") != "inactive":
        superseded = "A newer commit takes its place."
        _report(job, github, old, state="inactive", description=superseded)
        job.keep(told=job.told | {"state": "inactive"})
        return
    number = old if told == commit else github.find_deployment(commit, job.name)
    if number is None:
        if not holds(job):
            return
        number = github.create_deployment(
            commit,
            environment=job.name,
            description=f"Preview of #{job.number}",
            production=False,
            transient=True,
        )
    if job.told.get("deployment") != number:
        job.keep(told=job.told | {"deployment": number, "commit": commit, "state": ""})
        return
    links = {"environment_url": job.address if state == "success" else "", "log_url": _page(job)}
    _report(job, github, number, state=state, description=words, **links)
    job.keep(told=job.told | {"commit": commit, "state": state, "problem": ""})


def _report(
    job: Preview, github: GitHub, number: int, *, state: str, description: str, **links: str
) -> None:
    """Report a deployment's state; what is asked of GitHub is written down before, so that whoever
    finds that after a crash looks before they ask again.
    """
    parts = [number, state]
    if job.told.get("asked") != parts or github.deployment_state(number) != state:
        job.keep(told=job.told | {"asked": parts})
        github.deployment_status(number, state=state, description=description, **links)
    job.told = _without(job, "asked")
