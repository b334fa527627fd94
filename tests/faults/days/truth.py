"""The world as the stand-ins have it, against which pages are held."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from releases.models.releases import Release
    from tests.journeys.world import World

UNDER_WAY = ("INITIALIZING", "QUEUED", "WAITING", "BUILDING", "DEPLOYING", "NEEDS_APPROVAL")
SERVICES = ("backend", "frontend")
VERSIONS = "*/versions/*"


@dataclass(frozen=True)
class Truth:
    """What is so now; nothing here was asked of the portal, but for its own intent (`release`)."""

    world: "World"
    release: "Release | None"

    def head(self, branch: str) -> str:
        """The commit of a branch, as git knows it."""
        return str(self.world.github.heads().get(branch, ""))

    @property
    def branches(self) -> str:
        """How staging stands to main: equal, ahead, behind, diverged."""
        git, staging, main = self.world.github.git, self.head("staging"), self.head("main")
        if staging == main:
            return "equal"
        if git.is_ancestor(main, staging):
            return "ahead"
        return "behind" if git.is_ancestor(staging, main) else "diverged"

    @property
    def same_files(self) -> bool:
        """Whether both branches hold exactly the same files."""
        return not self.world.github.git.text("diff", "--name-only", "main", "staging").strip()

    def new_migrations(self, base: str, head: str) -> int:
        """How many revision files `head` adds to what `base` has."""
        git = self.world.github.git
        since = git.merge_base(base, head) or base
        added = git.text(
            "diff", "--name-only", "--diff-filter=A", f"{since}..{head}", "--", VERSIONS
        )
        return len(added.split())

    def live(self, service: str, kind: str) -> str:
        """The commit that answers requests; "" where nothing does, or there is no such service."""
        if self.world.railway.world.one("services", name=service) is None:
            return ""
        return str(self.world.railway.live_commit(service, kind) or "")

    def latest(self, service: str, kind: str) -> str:
        """Railway's word for the newest deployment."""
        row = self.world.railway.latest(service, kind)
        return str(row["status"]) if row else ""

    def moves(self, service: str, kind: str) -> bool:
        """Whether a deployment is under way."""
        return self.latest(service, kind) in UNDER_WAY

    def everywhere(self, kind: str, commit: str) -> bool:
        """Whether each service serves exactly that commit."""
        return all(self.live(service, kind) == commit for service in SERVICES)

    def revisions(self, kind: str) -> list[str]:
        """What the database itself reports."""
        return self.world.revisions(kind)

    def pull(self, number: int) -> str:
        """open, closed, merged, or "" where there is none."""
        pulls = self.world.github.state["pulls"]
        found = next((one for one in pulls if one["number"] == number), None)
        if found is None:
            return ""
        if found["state"] == "open":
            return "open"
        return "merged" if found.get("merge_commit_sha") and found.get("merged_at") else "closed"

    def holds(self, branch: str, commit: str) -> bool:
        """Whether the branch contains the commit."""
        git = self.world.github.git
        return bool(commit) and git.is_commit(commit) and git.is_ancestor(commit, self.head(branch))

    def refused_merge(self) -> str:
        """Why GitHub would refuse the release's merge now, in its words; "" where it would not."""
        from portal.sandbox.github import judging
        from portal.sandbox.github.state import Viewer, find

        number = self.release.pull_number if self.release else None
        pull = number and find(self.world.github.state["pulls"], number=number)
        if not pull or pull["state"] != "open":
            return "" if pull and pull["merged_at"] else "there is no open pull request"
        return judging.refusals(self.world.github, pull, Viewer("release-portal"))
