"""The verdict on a release as a commit status on its candidate: told when its meaning changes, and
never too often.

GitHub takes no 4-byte letters, 140 letters, and a thousand statuses of a commit and context.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from environments.github import CommitStatus, GitHub
from portal import audit
from portal.outbound.http import ApiError
from releases.commit_status import identity
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release

LETTERS = 140
# From here on the commit gets no new verdict: a last one says so, and can still be posted.
MOST = 900
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=20), timedelta(minutes=10)
PLAIN = {
    "success": "Ready.",
    "pending": "Not ready. See the portal for details.",
    "failure": "Stopped. See the portal for details.",
}
WORN_OUT = (
    f"This commit has had {MOST} verdicts, and GitHub takes no more than 1,000: push a new commit."
)


def postable(sentence: str) -> str:
    """Return `sentence` as GitHub takes it: one line without emoji, of 140 letters."""
    plain = " ".join("".join(char if ord(char) <= 0xFFFF else " " for char in sentence).split())
    return plain if len(plain) <= LETTERS else f"{plain[: LETTERS - 1]}…"


def due(job: ReleaseReconciler, release: Release, state: str, sentence: str, now: datetime) -> bool:
    """Return whether the verdict is news or was overruled, and not refused just now."""
    wanted = (release.candidate, state, postable(sentence))
    if (
        job.verdict_sha,
        job.verdict_state,
        job.verdict_sentence,
    ) == wanted and not job.verdict_problem:
        return identity.contradicted(job, release, now=now)
    again = job.verdict_retry_at is None or now >= job.verdict_retry_at
    return again or not job.verdict_problem


def tell(github: GitHub, release: Release, *, state: str, sentence: str, now: datetime) -> str:
    """Post the verdict on the candidate unless GitHub has it already; remembers it, or that it
    could not be posted.

    Return the state that stands there: `failure` on a commit that has had too many. One at a time
    for each release: a promotion that begins and the reconciler may both be about to say the same.
    Raise `ApiError` where GitHub gave no answer, or took no form of it.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"verdict on {release.pk}"],
            )
        job = ReleaseReconciler.objects.get(release=release)
        try:
            posted = identity.posted(github, release)
            state, message, count, by = _post(
                github, release, job, posted, state, postable(sentence)
            )
        except ApiError as error:
            failure = error
        else:
            known_as = identity.ours(release.project)
            _remember(job, release, state, message, count, by, now)
            identity.note_strangers(release, posted, known_as | {by}, now=now)
            return state
    _note(job, failure, now)
    raise failure


def _post(
    github: GitHub,
    release: Release,
    job: ReleaseReconciler,
    posted: Sequence[CommitStatus],
    state: str,
    message: str,
) -> tuple[str, str, int, str]:
    """Post, once in its own words and once in plain ones; give what stands on GitHub, how many do,
    and by whom.

    What somebody else posted does not stand for ours, whatever it says. `posted`: all of this name,
    newest first.
    """
    count = job.verdict_count if job.verdict_sha == release.candidate else len(posted)
    if count >= MOST:
        state, message = "failure", WORN_OUT
    known = posted[0] if posted else None
    ours = known is not None and known.creator in identity.ours(release.project)
    if known is not None and ours and (known.state, known.description) == (state, message):
        return state, message, count, known.creator
    for words in (message, PLAIN[state]):
        try:
            by = github.set_status(
                release.candidate,
                context=settings.STATUS_CONTEXT,
                state=state,
                description=words,
                target_url=f"{settings.PORTAL_URL}/releases/{release.pk}/",
            )
            return state, message, count + 1, by
        except ApiError as error:
            if error.status != 422 or words == PLAIN[state] or "maximum number" in error.detail:
                raise
    raise AssertionError("the loop returns or raises")


def _remember(
    job: ReleaseReconciler,
    release: Release,
    state: str,
    message: str,
    count: int,
    by: str,
    now: datetime,
) -> None:
    worn = WORN_OUT if count >= MOST else ""
    verdict = {
        "verdict_sha": release.candidate,
        "verdict_state": state,
        "verdict_sentence": message,
        "verdict_by": by,
    }
    news = not ReleaseReconciler.objects.filter(pk=job.pk, verdict_problem="", **verdict).exists()
    ReleaseReconciler.objects.filter(pk=job.pk).update(
        **verdict,
        verdict_at=now,
        verdict_count=count,
        verdict_tries=0,
        verdict_retry_at=None,
        verdict_problem=worn,
    )
    data = {"sha": release.candidate, "state": state, "by": by}
    if news:
        audit.record_by_portal("release.verdict", release, message, data=data, now=now)


def _note(job: ReleaseReconciler, error: ApiError, now: datetime) -> None:
    """Remember that GitHub lacks the verdict, and wait a while: longer each time."""
    pause = min(FIRST_PAUSE * 2 ** min(job.verdict_tries, 10), LONGEST_PAUSE)
    pause = max(pause, timedelta(seconds=error.retry_after or 0))
    ReleaseReconciler.objects.filter(pk=job.pk).update(
        verdict_tries=job.verdict_tries + 1,
        verdict_retry_at=now + pause,
        verdict_problem=error.sentence,
    )
