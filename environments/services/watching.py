"""Whether anything that a service watches changed since the commit that it serves: asked of git,
kept on its row.
"""

from collections.abc import Collection, Iterable, Mapping

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import SERVING, AtStart, Branch, Project, ServiceInstance
from environments.services.config_file import Config, read_config
from environments.services.image_start import migrates
from environments.services.liveness import Live, lives_in
from environments.services.start_command import at_start
from portal.gitignore import is_exception, takes_in
from portal.outbound.http import ApiError

KEPT = 12  # commits are remembered for each service


def watched(patterns: Collection[str], paths: Iterable[str]) -> str:
    """Return the first of `paths`, from the repository's root, that `patterns` take in as Railway
    reads them; "": none.

    Without a pattern everything is watched, and with nothing but exceptions everything else is.
    """
    if not patterns:
        return next(iter(paths), "")
    if all(is_exception(pattern) for pattern in patterns):
        patterns = ["*", *patterns]
    return next((path for path in paths if takes_in(patterns, path)), "")


def settle(project: Project, also: Iterable[str] = ()) -> None:
    """Find out, for each service built from the repository, about the heads of both branches and
    the commits `also`.

    Three queries while nothing is new. What git cannot tell now stays unknown, and is asked again.
    """
    settle_lives(project, lives_in(project), Branch.heads(project), also)


def settle_lives(
    project: Project, lives: Iterable[Live], heads: Mapping[str, str], also: Iterable[str] = ()
) -> None:
    """Do the same for services that were read just now; `heads`: by the name of the branch. No
    query while nothing is new.
    """
    wanted = list(dict.fromkeys(filter(None, [*heads.values(), *also])))
    candidate, compared = heads.get(project.staging_branch, ""), _Compared(project)
    for live in lives:
        serves = next(
            (
                deployment.commit
                for deployment in live.active
                if deployment.status in SERVING and deployment.commit
            ),
            "",
        )
        if serves and project.is_own(live.instance.repository):
            _settle(live.instance, serves, wanted, compared)
            _look_ahead(live.instance, candidate, compared)


def _settle(
    row: ServiceInstance, serves: str, wanted: Iterable[str], compared: "_Compared"
) -> None:
    known = row.unchanged
    if known.get("unconfirmed"):
        return
    if known.get("serves") != serves or known.get("by") != row.limits:
        known = {"serves": serves, "by": row.limits}
    seen = {commit for part in PARTS for commit in known.get(part, ())}
    by_part = dict[str, dict[str, str]]()
    for commit in wanted:
        if (
            commit not in seen
            and commit != serves
            and (message := _changed(row, serves, commit, compared))
        ):
            by_part.setdefault(message[0], {})[commit] = message[1]
    served = row.in_repository
    if served.get("commit") != serves or "image" not in served:
        served = {**served, **read} if (read := compared.served(row, serves)) else served
    if not by_part and served is row.in_repository:
        return
    parts = {
        part: dict(list((known.get(part, {}) | by_part.get(part, {})).items())[-KEPT:])
        for part in PARTS
    }
    row.unchanged, row.in_repository = (
        known | {name: part for name, part in parts.items() if part},
        served,
    )
    ServiceInstance.objects.filter(pk=row.pk).update(unchanged=row.unchanged, in_repository=served)


def _look_ahead(row: ServiceInstance, candidate: str, compared: "_Compared") -> None:
    """Keep what its commands will be once it is deployed at the head of staging's branch."""
    known = row.in_repository
    settled = known.get("coming") == candidate and "coming_image" in known
    if not candidate or settled or row.unchanged.get("unconfirmed"):
        return
    coming = compared.served(row, candidate)
    if coming is not None:
        kept = {f"coming_{name}": coming.get(name, "") for name in ("at_start", "image")}
        row.in_repository = known | {"coming": candidate} | kept
        row.save(update_fields=["in_repository"])


# Of commits, the first path that counts and differs: by the patterns on Railway; by what only
# Railway's own word
# *skipped* makes count (patterns in the repository, a root directory); and of services that watch
# everything.
AT, IF_SKIPPED, ALWAYS = "at", "if_skipped", "always"
PARTS = (AT, IF_SKIPPED, ALWAYS)


def _changed(
    row: ServiceInstance, serves: str, commit: str, compared: "_Compared"
) -> tuple[str, str] | None:
    """Return which part the answer belongs to, and the path; None: git cannot tell now."""
    paths = compared.paths(serves, commit)
    config = compared.config(row, commit)
    if paths is None or config is UNKNOWN:
        return None
    inside = config.watch_patterns if config else None
    if config and config.problem:
        return (AT, config.path) if row.watch_patterns else (ALWAYS, "")
    if row.watch_patterns:
        # What the repository says goes before what Railway says; a path that either takes in
        # excuses nothing.
        here = watched(row.watch_patterns, paths)
        return AT, here or (watched(inside, paths) if inside is not None else "")
    if inside:
        return IF_SKIPPED, watched(inside, paths)
    if row.root_directory:
        below = [path for path in paths if path.startswith(f"{row.root_directory}/")]
        return IF_SKIPPED, below[0] if below else ""
    return ALWAYS, ""


UNKNOWN = Config("")  # git cannot tell now


class _Compared:
    """The paths that differ between two commits, and configuration as code: each asked of git once,
    and the mirror fetched at most once.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._mirror: Mirror | None = None
        self._fetched = False
        self._absent: set[str] = set()  # commits that were not there after the fetch
        self._known: dict[tuple[str, str], list[str] | None] = {}
        self._configs: dict[tuple[str, str, str], Config | None] = {}
        self._images: dict[tuple[str, str, str, str], bool | None] = {}

    def paths(self, old: str, new: str) -> list[str] | None:
        """None: git cannot tell now."""
        if (old, new) not in self._known:
            try:
                self._known[old, new] = self._ask(old, new)
            except (GitError, ApiError):
                self._known[old, new] = None
        return self._known[old, new]

    def config(self, row: ServiceInstance, commit: str) -> Config | None:
        """Return what the repository says of the service at `commit`; `UNKNOWN` where git cannot
        tell now.
        """
        key = (commit, row.config_file, row.environment.name)
        if key not in self._configs:
            try:
                mirror = self._with(commit)
                self._configs[key] = read_config(mirror, *key) if mirror else UNKNOWN
            except (GitError, ApiError):
                self._configs[key] = UNKNOWN
        return self._configs[key]

    def served(self, row: ServiceInstance, commit: str) -> dict[str, str] | None:
        """Return what is kept of the configuration at the commit that a service serves; None: git
        cannot tell now.
        """
        config = self.config(row, commit)
        image = self._image(row, commit, config)
        if config is UNKNOWN or image is None:
            return None
        if config is None or config.problem:
            return {"commit": commit, "healthcheck": "", "at_start": "", "image": image}
        runs = at_start(config.pre_deploy_command, config.start_command)
        says = bool(config.pre_deploy_command or config.start_command) and (
            config.start_command or runs != "unknown"
        )
        kept = {"commit": commit, "healthcheck": (config.healthcheck_path or "")[:500]}
        return kept | {"at_start": str(runs) if says else "", "image": image}

    def _image(self, row: ServiceInstance, commit: str, config: Config | None) -> str | None:
        """Return whether the image, or a script that the file's start command names, upgrades a
        database: "start" or ""; None: git cannot tell now.
        """
        file = config or UNKNOWN
        key = (commit, row.root_directory, file.start_command or "", file.dockerfile or "")
        if key not in self._images:
            try:
                mirror = self._with(commit)
                self._images[key] = migrates(mirror, *key) if mirror else None
            except (GitError, ApiError):
                self._images[key] = None
        runs = self._images[key]
        return None if runs is None else str(AtStart.START) if runs else ""

    def _with(self, *commits: str) -> Mirror | None:
        """Return the mirror, if it holds these commits, fetched for them at most once."""
        mirror = self._mirror = self._mirror or mirror_of(self._project)
        if not self._absent.isdisjoint(commits):
            return None
        missing = [commit for commit in commits if not _holds(mirror, commit)]
        if missing and not self._fetched:
            self._fetched = True
            self._absent.update(missing)  # also where the fetch fails
            mirror.fetch()
            self._absent.clear()
            missing = [commit for commit in missing if not _holds(mirror, commit)]
        self._absent.update(missing)
        return None if missing else mirror

    def _ask(self, old: str, new: str) -> list[str] | None:
        mirror = self._with(old, new)
        if mirror is None:
            return None
        changed = mirror.changed_files(old, new)
        return sorted({path for _, *names in changed for path in names if path})


def _holds(mirror: Mirror, commit: str) -> bool:
    """Return whether the mirror is there and has the commit."""
    try:
        return mirror.has(commit)
    except GitError as error:
        if error.kind != "missing":
            raise
        return False
