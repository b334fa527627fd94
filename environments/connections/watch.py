"""The job that asks GitHub and Railway within each minute whether they still take each credential,
so that one that expired or was revoked is said at once.

One light request for each credential, and none while other requests with it are answered: a project
in which something happens costs nothing. GitHub does not count the request; of Railway's hourly
limit it takes a tenth at most.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import transaction

from environments.clients import github_of, railway_of
from environments.connections.sources import Source, sources
from environments.models import (
    ConnectionCheck,
    CredentialWatch,
    Project,
    RailwayRateLimit,
    RailwaySync,
)
from environments.quota import allowance, sharing
from environments.railway import request_counts
from portal import observed
from portal.credentials import stored
from portal.health import incidents
from portal.jobs import Outcome, Requeue, holds, wake_now
from portal.outbound.http import ApiError

LOOK_SECONDS = 40.0  # leaves 20 s of a minute to detect it twice and to send the message
AGAIN_SECONDS = 2.0  # a refusal is asked again before it is believed
SHARE_OF_RAILWAY = 0.1
REFUSED = ("unauthorized", "wrong_header", "forbidden")


@dataclass(frozen=True)
class Seen:
    """What is known of one credential: how often in a row it was refused, and when it was asked
    last, in Unix seconds.

    `is_variable`: it is an environment variable of the portal, which a restart reads again.
    """

    name: str
    service: str = ""
    is_variable: bool = False
    refusals: int = 0
    asked_at: float = 0.0

    @property
    def is_refused(self) -> bool:
        return self.refusals > 1


def watch_credentials(job: CredentialWatch, *, now: datetime) -> Outcome:
    """Ask for each credential that nobody asked with lately; say what changed."""
    before = {account: Seen(**values) for account, values in job.seen.items()}
    after: dict[str, Seen] = {}
    waits = [LOOK_SECONDS]
    changed: list[Source] = []
    for source in _in_use():
        account = _account(source)
        if account is None or account in after:
            continue
        known = before.get(account, _unasked(source))
        seen, wait = _look(source, account, known, now)
        after[account] = seen
        waits.append(wait)
        if seen.is_refused != known.is_refused:
            changed.append(source)
    if not _keep(job, after, changed, now):
        return Requeue(0)
    return Requeue(max(1.0, min(waits)), "Every credential was accepted or looked at.")


def _unasked(source: Source) -> Seen:
    return Seen(source.name, source.service, source.row is None)


def _in_use() -> Iterator[Source]:
    projects = list(Project.objects.all())
    for service in (stored.RAILWAY, stored.GITHUB):
        yield from (source for source in sources(service, projects) if source.projects)


def _account(source: Source) -> str | None:
    """Return what names the credential in rows; None for an unusable one (see Connections)."""
    try:
        if source.service == stored.GITHUB:
            return github_of(source.projects[0]).transport.account
        return request_counts.key_of(railway_of(source.projects[0]).transport.token)
    except ApiError:
        return None


def _look(source: Source, account: str, known: Seen, now: datetime) -> tuple[Seen, float]:
    """Return what is known of it now, and after how many seconds to ask next."""
    moment, pause = now.timestamp(), _pause(source, account)
    accepted = observed.accepted_at(account)
    if accepted > known.asked_at:  # somebody else asked with it
        known = replace(_unasked(source), asked_at=accepted)
    due = known.asked_at + (AGAIN_SECONDS if known.refusals == 1 else pause)
    if moment < due:
        return known, due - moment
    is_refused = _is_refused(source, now)
    refusals = known.refusals if is_refused is None else (known.refusals + 1) * is_refused
    seen = replace(_unasked(source), refusals=refusals, asked_at=moment)
    return seen, AGAIN_SECONDS if refusals == 1 else pause


def _pause(source: Source, account: str) -> float:
    if source.service == stored.GITHUB:
        return LOOK_SECONDS
    row = RailwayRateLimit.objects.filter(token=account).first()
    limit = (row and row.limit) or settings.RAILWAY_REQUESTS_PER_HOUR
    return max(LOOK_SECONDS, 3600.0 / max(1.0, limit * SHARE_OF_RAILWAY))


def _is_refused(source: Source, now: datetime) -> bool | None:
    """Return whether the service refuses it; None: it was not asked, or gave no answer."""
    project = source.projects[0]
    ask = (github_of if source.service == stored.GITHUB else railway_of)(project).ask_whether_known
    try:
        with _allowed(source, now) as is_allowed:
            if not is_allowed:
                return None
            ask()
    except ApiError as error:
        # A GitHub of one's own may have no limits, and then has no such address.
        return error.kind in REFUSED if error.kind in (*REFUSED, "not_found") else None
    return False


@contextmanager
def _allowed(source: Source, now: datetime) -> Iterator[bool]:
    """Yield whether there are requests left for it; what is asked of Railway is counted."""
    project = source.projects[0]
    if source.service == stored.GITHUB:
        yield not sharing.is_blocked(project, now)
        return
    with allowance.counted(project, now) as wait:
        yield not wait


def _keep(
    job: CredentialWatch, seen: dict[str, Seen], changed: list[Source], now: datetime
) -> bool:
    """Write it down and wake who is concerned; return whether the job was still ours."""
    with transaction.atomic():
        if not holds(job):
            return False
        rows = {account: asdict(credential) for account, credential in seen.items()}
        CredentialWatch.objects.filter(pk=job.pk).update(seen=rows)
        if changed and (check := ConnectionCheck.objects.first()):
            wake_now(check, now=now)
        projects = [project for source in changed for project in source.projects]
        RailwaySync.objects.filter(project__in=projects, wake_at__gt=now).update(wake_at=now)
        if changed or any(account not in rows for account in job.seen):  # or it was replaced
            incidents.look_soon()
    return True


def refused() -> dict[str, str]:
    """Return the credentials that are refused now, by name, each with a sentence. One query."""
    watch = CredentialWatch.objects.first()
    credentials = [Seen(**values) for values in watch.seen.values()] if watch else []
    return {
        credential.name: _sentence(credential)
        for credential in credentials
        if credential.is_refused
    }


def of_github() -> dict[str, str]:
    """Return the names of GitHub's credentials in use, by their account. One query."""
    watch = CredentialWatch.objects.first()
    rows = watch.seen if watch else {}
    credentials = {account: Seen(**values) for account, values in rows.items()}
    return {
        account: credential.name
        for account, credential in credentials.items()
        if credential.service == stored.GITHUB
    }


def _sentence(seen: Seen) -> str:
    service = "GitHub" if seen.service == stored.GITHUB else "Railway"
    fix = (
        f"Set {seen.name} to a new one and restart the portal."
        if seen.is_variable
        else "Paste a new one on the page Credentials."
    )
    return f"{service} refuses it: it has expired or was revoked. {fix}"
