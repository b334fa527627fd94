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
    carried_now = wanted | {"count": count, "commits": commits, "releases": releases}
    Release.objects.filter(pk=release.pk, candidate=release.candidate).update(carried=carried_now)
    names = and_(str(release["name"]) for release in releases)
    among = f", {names} among them" if names else ""
    message = f"{count} commits beyond what production serves{among}."
    data = carried_now | {"commits": commits[:20]}
    audit.record_by_portal("release.carried_read", release, message, data=data, now=now)
    return Requeue(0)


def _between(
    mirror: Mirror, release: Release, served: list[str], rolled: list[Release]
) -> tuple[int, list[dict[str, str]], list[dict[str, object]]]:
    """Return how many commits lie between, the newest, and the rolled-back releases among them."""
    known = [commit for commit in served if mirror.has(commit)]
    lists = [mirror.commits(commit, release.candidate) for commit in known]
    lists += [mirror.commits(commit, release.base) for commit in known]
    commits: dict[str, Commit] = {commit.sha: commit for some in lists for commit in some}

    def is_carried(merge: str) -> bool:
        return merge in commits if known else mirror.is_ancestor(merge, release.base)

    newest = [
        {"sha": commit.sha, "title": commit.title[:200], "author": commit.author[:100]}
        for commit in list(commits.values())[:COMMITS_KEPT]
    ]
    releases: list[dict[str, object]] = [
        {"pk": earlier.pk, "name": earlier.name, "reverted": _is_reverted(earlier, commits)}
        for earlier in rolled
        if is_carried(earlier.merge_commit)
    ]
    return len(commits), newest, releases


def _is_reverted(release: Release, commits: dict[str, Commit]) -> bool:
    """Return whether one of the commits says that it takes the release's pull request back."""
    named = (release.name, f"#{release.pull_number})")
    reverts = [commit.title for commit in commits.values() if commit.title.startswith("Revert ")]
    return any(name in title for title in reverts for name in named)
