"""What each credential is, what it can do here, what it cannot, and how to mend it.

Never a letter of a token.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings

from environments.clients import github_of, railway_of
from environments.clones.clone import deploy_key_of, git_address, mirror_of
from environments.connections.sources import Source, sources
from environments.git import ssh
from environments.git.calls import GitError
from environments.github import GitHub
from environments.models import DeployKey, Project
from environments.railway import Railway, TokenReport
from portal import isolation
from portal.credentials import stored
from portal.credentials.stored import Kind
from portal.models.credentials import ServiceCredential
from portal.outbound.credentials import Installation, github_token_kind
from portal.outbound.http import ApiError
from portal.secrets import describe_token

PASS, FAIL, WAIT = "pass", "fail", "wait"
REFUSED = ("unauthorized", "wrong_header", "forbidden", "not_found", "refused")
MAKE_RAILWAY = (
    "Make a token for the project's workspace in Railway (Account, Tokens) and set"
    " RAILWAY_API_TOKEN."
)
MAKE_KEY = (
    "Set one under Configuration, Deploy keys: paste a private key, or have the portal make one."
)
MAKE_ISOLATION = "Run the portal on Linux 6.12 or newer with Landlock, as docs/security.md says."
MAKE_GITHUB = "Install a GitHub App with these permissions, or make a token with them, and set it."


@dataclass(frozen=True)
class Connection:
    """One credential: `state` (pass, fail, wait: no answer), its kind in words, one sentence,
    and the lists.
    """

    name: str
    state: str
    kind: str
    sentence: str
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    mend: str = ""
    public_key: str = ""  # what belongs under Deploy keys on GitHub
    project: str = ""  # slug of the project whose server showed the host keys below
    offers: tuple[
        tuple[str, str, str, str], ...
    ] = ()  # (kind, key, fingerprint, “yes”: GitHub publishes it)


def diagnose() -> list[Connection]:
    """Looks at every credential of the settings with the projects it is for. Only reads."""
    projects = list(Project.objects.all())
    keys = [found for project in projects if (found := _deploy_key(project))]
    railways = [_railway(one) for one in sources(stored.RAILWAY, projects)]
    githubs = [_github(one) for one in sources(stored.GITHUB, projects)]
    return [*railways, *githubs, *keys, _isolation()]


def _isolation() -> Connection:
    """Whether code of repositories runs isolated on this machine."""
    name, kind = "Isolation of repository code", "Landlock and seccomp"
    if why := isolation.why_not():
        message = (
            "This machine cannot isolate repository code, so no file of a pull request is executed."
        )
        cannot = (
            "Plan what a pull request computes: only its literal op.… calls are read.",
            "Keep migrations that run from the portal's own files.",
        )
        return Connection(name, FAIL, kind, f"{message} {why}", cannot=cannot, mend=MAKE_ISOLATION)
    message = (
        "Migrations, commands and packages see only their own files and one database, and "
        "nothing of the portal."
    )
    return Connection(name, PASS, kind, message)


# Railway


def _railway(source: Source) -> Connection:
    if source.row is not None:
        return _pasted_railway(source, source.row)
    use_legacy = not settings.RAILWAY_API_TOKEN and bool(settings.RAILWAY_TOKEN)
    name = "RAILWAY_TOKEN" if use_legacy else "RAILWAY_API_TOKEN"
    raw = settings.RAILWAY_TOKEN if use_legacy else settings.RAILWAY_API_TOKEN
    if not raw:
        return Connection(name, FAIL, "not set", "No Railway token is set.", mend=MAKE_RAILWAY)
    if spelled := _spelling(name, raw, "token"):
        return spelled
    try:
        report = Railway().token_kind()
    except ApiError as error:
        return Connection(
            name, WAIT, "token", f"The kind of token could not be determined: {error}"
        )
    kind = {"unknown": "token that Railway does not know"}.get(report.kind, f"{report.kind} token")
    if report.kind == "unknown":
        message = (
            "Unauthorized: Railway does not know this token. It was deleted, or copied "
            "incompletely."
        )
        return Connection(name, FAIL, kind, message, mend=MAKE_RAILWAY)
    if (report.kind == "project") != use_legacy:
        other = "RAILWAY_API_TOKEN" if use_legacy else "RAILWAY_TOKEN"
        message = f"Wrong setting: a {kind} does not work in {name}."
        return Connection(name, FAIL, kind, message, mend=f"Move it to {other} and clear {name}.")
    return _reach(name, kind, report, source.projects)


def _pasted_railway(source: Source, row: ServiceCredential) -> Connection:
    """What a pasted token is and reaches; its kind was found out when it was pasted."""
    try:
        token, header = stored.secret_of(row), "project" if row.kind == Kind.PROJECT_TOKEN else ""
        report = Railway(token=token, kind=header or "bearer").token_kind()
    except ApiError as error:
        state = FAIL if error.kind in REFUSED else WAIT
        message = f"The kind of token could not be determined: {error}"
        return Connection(source.name, state, "token", message)
    if report.kind == "unknown":
        message = "Railway knows no such token any more: paste another one."
        return Connection(source.name, FAIL, "token", message, mend=MAKE_RAILWAY)
    return _reach(source.name, f"{report.kind} token", report, source.projects)


def _reach(name: str, kind: str, report: TokenReport, projects: Sequence[Project]) -> Connection:
    """What a good token reaches of the projects."""
    can, cannot, state = [], [], PASS
    for project in projects:
        try:
            tree = railway_of(project).project(project.railway_project_id)
        except ApiError as error:
            if error.kind in REFUSED:
                state = FAIL
                message = (
                    "no such project for this token: its id is wrong, or it is in another workspace"
                )
                cannot.append(
                    f"{project.name}: {message} ({project.railway_project_id or 'no id is set'})."
                )
            else:
                state = WAIT if state == PASS else state
                cannot.append(f"{project.name}: {error}")
            continue
        seen = ", ".join(
            environment.name for environment in tree.environments if environment.can_access
        )
        can.append(
            f"{project.name}: read {len(tree.services)} services in {seen or 'no environment'}."
        )
        cannot += [
            f"{project.name}: look into {environment.name}."
            for environment in tree.environments
            if not environment.can_access
        ]
    if report.kind == "project":
        cannot.append(
            "See other environments than its own, deploy again, or make and delete environments."
        )
    else:
        can.append("Deploy, follow another branch, and read variables that are not sealed.")
    cannot.append("Read the value of a sealed variable: nobody can.")
    cannot += _stray_settings(projects) if name.startswith("RAILWAY_") else []
    mend = MAKE_RAILWAY if state == FAIL or report.kind == "project" else ""
    return Connection(name, state, kind, report.sentence, tuple(can), tuple(cannot), mend)


def _stray_settings(projects: Sequence[Project]) -> list[str]:
    """What is set and has no effect."""
    message = []
    if settings.RAILWAY_API_TOKEN and settings.RAILWAY_TOKEN:
        message.append("RAILWAY_TOKEN is also set but not used: RAILWAY_API_TOKEN comes first.")
    known = {project.railway_project_id for project in projects}
    if settings.RAILWAY_PROJECT_ID and known and settings.RAILWAY_PROJECT_ID not in known:
        message.append("RAILWAY_PROJECT_ID names no project that is connected here.")
    return message


def _spelling(name: str, raw: str, kind: str) -> Connection | None:
    """What is wrong with a token before it is ever sent: its length and its faults."""
    length, *faults = describe_token(raw)
    if not faults:
        return None
    message = f"It holds a {kind} of {length} that {', '.join(faults)}."
    return Connection(name, FAIL, kind, message, mend=f"Set {name} again without that.")


# Git over SSH


def _deploy_key(project: Project) -> Connection | None:
    """What a project's deploy key is and whether it is let in; None where git does not go over
    SSH.
    """
    name = f"Deploy key of {project.name}"
    try:
        key = deploy_key_of(project)
    except GitError as error:
        return Connection(name, FAIL, "not readable", str(error), mend=MAKE_KEY)
    try:
        url = git_address(project, over_ssh=key is not None)
    except GitError as error:
        return Connection(
            name, FAIL, "not used", str(error), mend="Change the git address under Projects."
        )
    address = ssh.address_of(url)
    if key is None:
        message = (
            f"{project.name} is read over SSH from {address.label}, and no deploy key is set."
            if address
            else ""
        )
        return Connection(name, FAIL, "not set", message, mend=MAKE_KEY) if address else None
    kind = f"{key.kind} key, {key.fingerprint}"
    if address is None:
        message = "The key is not used: the project's git address is not an SSH address."
        mend = (
            f"Clear the git address of {project.name}, or write it as"
            " ssh://git@host/owner/name.git."
        )
        return Connection(name, FAIL, kind, message, mend=mend)
    return _let_in(project, key, address, name, kind)


def _let_in(
    project: Project, key: DeployKey, address: ssh.Address, name: str, kind: str
) -> Connection:
    """Tries the key, and shows the host keys where those are what stands in the way."""
    try:
        branches = mirror_of(project).reach()
    except GitError as error:
        unpinned = error.kind == "host_key" or not key.host_keys.strip()
        offers = _offered(address, key.host_keys) if unpinned else ()
        state = FAIL if error.kind in ("key", "host_key", "missing") else WAIT
        mend = _mend_key(error, project, address, bool(offers))
        return Connection(
            name,
            state,
            kind,
            str(error),
            mend=mend,
            public_key=key.public_key,
            project=project.slug,
            offers=offers,
        )
    pinned = ", ".join(one.fingerprint for one in ssh.read_host_keys(key.host_keys))
    return Connection(
        name,
        PASS,
        kind,
        f"{address.label} accepts it and shows a pinned host key ({pinned}).",
        can=(f"{project.repository}: read {branches} branches over SSH.",),
        cannot=(
            "Show the private key: only the public key is shown.",
            "Write: the portal never does; a read-only key is enough.",
        ),
        public_key=key.public_key,
    )


def _mend_key(error: GitError, project: Project, address: ssh.Address, offered: bool) -> str:
    if offered:
        return (
            f"Compare the fingerprints below with what {address.host}'s operator publishes, then"
            " pin them."
        )
    if error.kind in ("key", "missing"):
        return (
            f"Add the public half to {project.repository} on GitHub (Settings, Deploy keys), or"
            " replace the key."
        )
    return ""


def _offered(address: ssh.Address, pinned: str) -> tuple[tuple[str, str, str, str], ...]:
    """The host keys that the server shows and that are not pinned."""
    try:
        known = {key.blob for key in ssh.read_host_keys(pinned)}
        shown = ssh.scan(address)
    except ssh.BadKey:
        return ()
    good = {key.blob for key in ssh.read_host_keys(ssh.published(address.host))}
    new = [one for one in shown if one.blob not in known]
    return tuple(
        (one.kind, one.blob, one.fingerprint, "yes" if one.blob in good else "") for one in new
    )


# GitHub

# What is read to find out, the permission's name in GitHub, and whether the portal works without
# it.
_Read = tuple[str, str, str, bool]


def _reads(project: Project) -> list[_Read]:
    staging, main = quote(project.staging_branch), quote(project.production_branch)
    return [
        ("read branches", f"/git/ref/heads/{staging}", "Contents: read", True),
        ("list pull requests", "/pulls?per_page=1", "Pull requests: read", True),
        (
            "read commit statuses",
            f"/commits/{staging}/status?per_page=1",
            "Commit statuses: read",
            True,
        ),
        ("read check runs", f"/commits/{staging}/check-runs?per_page=1", "Checks: read", False),
        ("read runs of Actions", "/actions/runs?per_page=1", "Actions: read", False),
        ("read deployments", "/deployments?per_page=1", "Deployments: read", False),
        ("read webhooks", "/hooks?per_page=1", "Webhooks: read", False),
        ("read branch protection", f"/branches/{main}/protection", "Administration: read", False),
    ]


# What an App must be granted, and the scopes that give a classic token the same.
_GRANTS = {
    "contents": ("Contents", "merge, and move staging forward"),
    "pull_requests": ("Pull requests", "open the promotion"),
    "statuses": ("Commit statuses", "post the verdict"),
    "deployments": ("Deployments", "announce deployments"),
    "repository_hooks": ("Webhooks", "be told at once"),
    "workflows": ("Workflows", "ship changes of .github/workflows"),
    "administration": ("Administration", "apply branch protection"),
}
_NEEDED = ("contents", "pull_requests", "statuses")


def _github(source: Source) -> Connection:
    if source.row is not None:
        return _pasted_github(source, source.row)
    raw = settings.GITHUB_TOKEN
    app = (
        settings.GITHUB_APP_ID,
        settings.GITHUB_APP_PRIVATE_KEY,
        settings.GITHUB_APP_INSTALLATION_ID,
    )
    name = "GITHUB_TOKEN" if raw or not any(app) else "GITHUB_APP_ID"
    if not raw and not any(app):
        return Connection(name, FAIL, "not set", "No GitHub credential is set.", mend=MAKE_GITHUB)
    kind = github_token_kind(raw.strip("\"' \t\r\n")) if raw else "App installation"
    if raw and (spelled := _spelling(name, raw, kind)):
        return spelled
    return _reach_on_github(name, kind, source.projects)


def _pasted_github(source: Source, row: ServiceCredential) -> Connection:
    """What a pasted token, or an App that was made here, can do."""
    try:
        token = stored.secret_of(row)
    except ApiError as error:
        return Connection(source.name, FAIL, "not readable", str(error), mend=MAKE_GITHUB)
    kind = "App installation" if row.kind == Kind.APP else github_token_kind(token)
    return _reach_on_github(source.name, kind, source.projects)


def _reach_on_github(name: str, kind: str, projects: Sequence[Project]) -> Connection:
    """What a credential can do in the repositories of the projects."""
    can: list[str] = []
    cannot: list[str] = []
    states = {_repository(project, kind, can, cannot) for project in projects}
    state = FAIL if FAIL in states else WAIT if WAIT in states else PASS
    message = {
        PASS: (
            f"A {kind}with every required permission."
            if projects
            else f"A {kind}; no project is connected, so it was not tried."
        ),
        FAIL: f"A {kind} with missing permissions: {next(iter(cannot), '')}",
        WAIT: f"A {kind}; GitHub did not answer every request.",
    }
    mend = MAKE_GITHUB if state == FAIL else ""
    return Connection(name, state, kind, message[state], tuple(can), tuple(cannot), mend)


def repository_permissions(project: Project) -> tuple[list[str], list[str]]:
    """Return what the GitHub credential can and cannot do in a repository; it only reads."""
    can: list[str] = []
    cannot: list[str] = []
    raw = stored.github(project.slug)
    plain = settings.GITHUB_TOKEN if raw is None else raw
    is_token = isinstance(plain, str) and bool(plain)
    kind = github_token_kind(str(plain).strip()) if is_token else "App installation"
    _repository(project, kind, can, cannot)
    return can, cannot


def _repository(project: Project, kind: str, can: list[str], cannot: list[str]) -> str:
    """Tries what can be tried without writing in one repository; returns its state."""
    label = project.repository
    try:
        github = github_of(project)
        scopes = github.transport.scopes(f"read the repository {label}", github.path)
    except ApiError as error:
        cannot.append(f"{label}: {error.sentence}")
        return FAIL if error.kind in REFUSED else WAIT
    auth = github.transport.requester.auth
    states = {_try(github, read, kind, can, cannot) for read in _reads(project)}
    if isinstance(auth, Installation):
        states.add(
            _granted(
                label, lambda name: auth.permissions.get(name) in ("write", "admin"), can, cannot
            )
        )
    elif scopes is not None:
        states.add(_granted(label, lambda name: _in_scope(name, scopes), can, cannot))
    else:
        cannot.append(
            f"{label}: write permissions; GitHub shows those of a {kind} only when it writes."
        )
    return FAIL if FAIL in states else WAIT if WAIT in states else PASS


def _try(github: GitHub, read: _Read, kind: str, can: list[str], cannot: list[str]) -> str:
    doing, path, permission, needed = read
    label = f"{github.owner}/{github.name}"
    try:
        github.transport.get(doing, f"{github.path}{path.partition('?')[0]}", **_query(path))
    except ApiError as error:
        if error.status == 404 and "not protected" in error.detail.lower():
            can.append(f"{label}: {doing}.")
            return PASS
        if error.kind not in REFUSED:
            cannot.append(f"{label}: {doing}: {error.sentence}")
            return WAIT
        known = doing == "read check runs" and kind == "fine-grained token"
        why = (
            "no such permission can be granted; statuses and runs of Actions stand in"
            if known
            else permission
        )
        cannot.append(f"{label}: {doing} ({'missing: ' if not known else ''}{why}).")
        return FAIL if needed else PASS
    can.append(f"{label}: {doing}.")
    return PASS


def _query(path: str) -> dict[str, str]:
    return {"per_page": "1"} if "per_page" in path else {}


def _granted(label: str, has: Callable[[str], bool], can: list[str], cannot: list[str]) -> str:
    """Lists the writing permissions by name; fails when one is missing without which nothing can
    be released.
    """
    missing = [name for name in _GRANTS if not has(name)]
    can += [f"{label}: {_GRANTS[name][1]}." for name in _GRANTS if name not in missing]
    cannot += [
        f"{label}: {_GRANTS[name][1]} (missing: {_GRANTS[name][0]}: write)." for name in missing
    ]
    return FAIL if set(missing) & set(_NEEDED) else PASS


def _in_scope(name: str, scopes: Iterable[str]) -> bool:
    """Whether a classic token's scopes hold what an App calls `name`."""
    alternatives = {
        "repository_hooks": {"repo", "admin:repo_hook", "write:repo_hook"},
        "workflows": {"workflow"},
        "statuses": {"repo", "public_repo", "repo:status"},
        "deployments": {"repo", "public_repo", "repo_deployment"},
    }
    return bool(alternatives.get(name, {"repo", "public_repo"}) & set(scopes))
