"""The bare mirror clone of each project's repository, under VAR_DIR."""

from typing import cast
from urllib.parse import urlsplit

from django.conf import settings

from environments.clients import git_token_of
from environments.git import addresses, host_keys, ssh
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.models import DeployKey, Project
from portal.secrets import HiddenText, Unreadable


def mirror_of(project: Project) -> Mirror:
    """Return the project's mirror; `fetch` it before relying on it.

    Raise `ApiError` for an unusable token, `GitError` for a deploy key that cannot be decrypted.
    """
    key = deploy_key_of(project)
    url = git_address(project, over_ssh=key is not None)
    path = settings.VAR_DIR / "mirrors" / f"{project.pk}.git"
    if key is not None and host_keys.address_of(url):
        private = cast(HiddenText, key.private_key).reveal()
        return Mirror(path, url, access=ssh.Access(private, key.host_keys, key.fingerprint))
    # Bound to the configured host: an address that leads elsewhere is read without it.
    return Mirror(path, url, token=git_token_of(project), token_for=settings.GITHUB_GIT_URL)


def deploy_key_of(project: Project) -> DeployKey | None:
    """Return the project's deploy key, if one is in use; raise `GitError` when it was encrypted
    with a key that is gone.

    One query. A row without a fingerprint waits for a second person.
    """
    try:
        return DeployKey.objects.filter(project=project).exclude(fingerprint="").first()
    except Unreadable as error:
        raise GitError(str(error), "key") from None


def git_address(project: Project, *, over_ssh: bool) -> str:
    """Return where git reads the repository: the address that was set, else GitHub's usual one of
    either kind.

    Raise `GitError` for a set address that git must not be given: a path, an option, another
    protocol.
    """
    if project.git_url:
        if fault := addresses.fault_of(project.git_url):
            raise GitError(f"The git address of {project} is refused: {fault}", "address")
        return project.git_url
    if over_ssh:
        return f"ssh://git@{urlsplit(settings.GITHUB_GIT_URL).hostname}/{project.read_as}.git"
    return f"{settings.GITHUB_GIT_URL}/{project.read_as}.git"
