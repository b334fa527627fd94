"""Whether anything that a service watches changed since the commit that it serves: asked of git, kept on its row."""

from collections.abc import Collection, Iterable

from environments.clones.clone import mirror_of
from environments.git.repository import GitError, Mirror
from environments.models import SERVING, Branch, Deployment, Project, ServiceInstance
from portal.gitignore import is_exception, takes_in
from portal.outbound.http import ApiError

KEPT = 12  # commits are remembered for each service


def watched(patterns: Collection[str], paths: Iterable[str]) -> str:
    """The first of `paths`, from the repository's root, that `patterns` take in as Railway reads them; "": none.

    Without a pattern everything is watched, and with nothing but exceptions everything else is.
    """
    if not patterns:
        return next(iter(paths), "")
    if all(is_exception(one) for one in patterns):
        patterns = ["*", *patterns]
    return next((path for path in paths if takes_in(patterns, path)), "")


def settle(project: Project, also: Iterable[str] = ()) -> None:
    """Finds out, for each service that watches paths, about the heads of both branches and the commits `also`.

    Two queries while nothing is new. What git cannot tell now stays unknown, and is asked again.
    """
    rows = list(
        ServiceInstance.objects.long_lived()
        .filter(environment__project=project, repository__iexact=project.repository)
        .exclude(watch_patterns=[])
    )
    if not rows:
        return
    served = Deployment.objects.filter(instance__in=rows, is_active=True, status__in=SERVING).exclude(commit="")
    serves = dict(served.order_by("created_at").values_list("instance", "commit"))
    heads = Branch.objects.filter(project=project).exclude(head="").values_list("head", flat=True)
    wanted = list(dict.fromkeys([*heads, *filter(None, also)]))
    compared = _Compared(project)
    for row in rows:
        if commit := serves.get(row.pk):
            _settle(row, commit, wanted, compared)


def _settle(row: ServiceInstance, serves: str, wanted: Iterable[str], compared: "_Compared") -> None:
    known = row.unchanged
    if known.get("unconfirmed"):
        return
    if known.get("serves") != serves or known.get("patterns") != row.watch_patterns:
        known = {"serves": serves, "patterns": row.watch_patterns, "at": {}}
    new = [commit for commit in wanted if commit not in known["at"] and commit != serves]
    found = {commit: paths for commit in new if (paths := compared.paths(serves, commit)) is not None}
    if not found:
        return
    at = known["at"] | {commit: watched(row.watch_patterns, paths) for commit, paths in found.items()}
    row.unchanged = known | {"at": dict(list(at.items())[-KEPT:])}
    ServiceInstance.objects.filter(pk=row.pk).update(unchanged=row.unchanged)


class _Compared:
    """The paths that differ between two commits, each pair asked of git once and the mirror fetched at most once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._mirror: Mirror | None = None
        self._fetched = False
        self._known: dict[tuple[str, str], list[str] | None] = {}

    def paths(self, old: str, new: str) -> list[str] | None:
        """None: git cannot tell now."""
        if (old, new) not in self._known:
            try:
                self._known[old, new] = self._ask(old, new)
            except (GitError, ApiError):
                self._known[old, new] = None
        return self._known[old, new]

    def _ask(self, old: str, new: str) -> list[str] | None:
        mirror = self._mirror = self._mirror or mirror_of(self._project)
        if not (mirror.has(old) and mirror.has(new)) and not self._fetched:
            self._fetched = True
            mirror.fetch()
        if not (mirror.has(old) and mirror.has(new)):
            return None
        changed = mirror.changed_files(old, new)
        return sorted({path for _, *names in changed for path in names if path})
