"""Reads from git which rolled-back releases a release would ship again."""

from datetime import datetime

from environments.git.reading import Commit
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from portal import audit
from portal.jobs import Outcome, Requeue
from portal.words import and_
from releases.gates.carried import serves
from releases.gates.context import facts_of
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseStatus

COMMITS_KEPT = 200


def read(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Write down all commits between what production serves and the candidate, once for each pair.

    Nothing to do where no release of the project was ever rolled back. Raise `GitError`.
    """
    if not release.is_in_preparation or release.merge_commit:
        return None
    back = Release.objects.filter(project=release.project, status=ReleaseStatus.ROLLED_BACK)
    rolled = list(back.exclude(merge_commit="").only("name", "merge_commit", "pull_number"))
    if not rolled:
        return None
    facts = facts_of(release.pk, now=now)
    wanted = {"candidate": release.candidate, "base": release.base, "serves": serves(facts)}
    if {key: release.carried.get(key) for key in wanted} == wanted:
        return None
    mirror = mirror_of(release.project)
    mirror.fetch()
    count, commits, releases = _between(mirror, release, serves(facts), rolled)
    found = wanted | {"count": count, "commits": commits, "releases": releases}
    Release.objects.filter(pk=release.pk, candidate=release.candidate).update(carried=found)
    names = and_(str(one["name"]) for one in releases)
    among = f", {names} among them" if names else ""
    message = f"{count} commits beyond what production serves{among}."
    data = found | {"commits": commits[:20]}
    audit.record(
        "release.carried_read", actor=None, subject=release, sentence=message, data=data, now=now
    )
    return Requeue(0)


def _between(
    mirror: Mirror, release: Release, served: list[str], rolled: list[Release]
) -> tuple[int, list[dict[str, str]], list[dict[str, object]]]:
    """Return how many commits lie between, the newest, and the rolled-back releases among them."""
    known = [one for one in served if mirror.has(one)]
    lists = [mirror.commits(one, release.candidate) for one in known]
    lists += [mirror.commits(one, release.base) for one in known]
    commits: dict[str, Commit] = {commit.sha: commit for some in lists for commit in some}

    def is_carried(merge: str) -> bool:
        return merge in commits if known else mirror.is_ancestor(merge, release.base)

    newest = [
        {"sha": one.sha, "title": one.title[:200], "author": one.author[:100]}
        for one in list(commits.values())[:COMMITS_KEPT]
    ]
    releases: list[dict[str, object]] = [
        {"pk": one.pk, "name": one.name, "reverted": _is_reverted(one, commits)}
        for one in rolled
        if is_carried(one.merge_commit)
    ]
    return len(commits), newest, releases


def _is_reverted(release: Release, commits: dict[str, Commit]) -> bool:
    """Return whether one of the commits says that it takes the release's pull request back."""
    named = (release.name, f"#{release.pull_number})")
    reverts = [one.title for one in commits.values() if one.title.startswith("Revert ")]
    return any(name in title for title in reverts for name in named)
