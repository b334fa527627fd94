"""What a project's deploy key is, and whether the server lets it in."""

from environments.connections.connection import FAIL, MAKE_KEY, PASS, WAIT, Connection
from environments.git import host_keys, keys
from environments.git.calls import GitError
from environments.git_mirrors.clone import deploy_key_of, git_address, mirror_of
from environments.models import DeployKey, Project


def of_deploy_key(project: Project) -> Connection | None:
    """Return what a project's deploy key is and whether it is let in; None where git does not go
    over SSH.
    """
    name = f"Deploy key of {project.name}"
    try:
        key = deploy_key_of(project)
    except GitError as error:
        return Connection(name, FAIL, "not readable", str(error), fix=MAKE_KEY)
    try:
        url = git_address(project, over_ssh=key is not None)
    except GitError as error:
        fix = "Change the git address under Projects."
        return Connection(name, FAIL, "not used", str(error), fix=fix)
    address = host_keys.address_of(url)
    if key is None:
        if address is None:
            return None
        message = f"{project.name} is read over SSH from {address.label}, and no deploy key is set."
        return Connection(name, FAIL, "not set", message, fix=MAKE_KEY)
    kind = f"{key.kind} key, {key.fingerprint}"
    if address is None:
        message = "The key is not used: the project's git address is not an SSH address."
        fix = (
            f"Clear the git address of {project.name}, or write it as"
            " ssh://git@host/owner/name.git."
        )
        return Connection(name, FAIL, kind, message, fix=fix)
    return _let_in(project, key, address, name, kind)


def _let_in(
    project: Project, key: DeployKey, address: host_keys.Address, name: str, kind: str
) -> Connection:
    """Try the key, and show the host keys where those are what stands in the way."""
    try:
        branches = mirror_of(project).reach()
    except GitError as error:
        unpinned = error.kind == "host_key" or not key.host_keys.strip()
        offers = _offered(address, key.host_keys) if unpinned else ()
        return Connection(
            name,
            FAIL if error.kind in ("key", "host_key", "missing") else WAIT,
            kind,
            str(error),
            fix=_fix(error, project, address, bool(offers)),
            public_key=key.public_key,
            project=project.slug,
            offers=offers,
        )
    pinned = ", ".join(host_key.fingerprint for host_key in host_keys.read_host_keys(key.host_keys))
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


def _fix(error: GitError, project: Project, address: host_keys.Address, offered: bool) -> str:
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


def _offered(address: host_keys.Address, pinned: str) -> tuple[tuple[str, str, str, str], ...]:
    """Return the host keys that the server shows and that are not pinned."""
    try:
        known = {key.blob for key in host_keys.read_host_keys(pinned)}
        shown = host_keys.scan(address)
    except keys.BadKey:
        return ()
    good = {key.blob for key in host_keys.read_host_keys(host_keys.published(address.host))}
    new = [host_key for host_key in shown if host_key.blob not in known]
    return tuple(
        (host_key.kind, host_key.blob, host_key.fingerprint, "yes" if host_key.blob in good else "")
        for host_key in new
    )
