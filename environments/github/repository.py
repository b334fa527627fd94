"""One repository on GitHub, and how requests about it are sent."""

import re
from collections.abc import MutableMapping

from django.conf import settings

from environments.github.arguments import shaped
from environments.github.transport import SERVICE, Transport, recent
from portal.outbound.credentials import App
from portal.outbound.http import ApiError, Reply, Withhold
from portal.outbound.parsing import field, text


class Repository:
    """One repository (`owner/name`), with the credential and address of the settings by default."""

    def __init__(
        self,
        repository: str,
        *,
        api_url: str | None = None,
        token: str | App | None = None,
        kept: MutableMapping[str, tuple[str, Reply]] = recent,
        withhold: Withhold | None = None,
    ) -> None:
        if not _REPOSITORY.fullmatch(repository) or repository.endswith(("/.", "/..")):
            sentence = f"“{text(repository, 80)}” is no repository: write it as owner/name."
            raise ApiError(SERVICE, "refused", sentence)
        self.owner, self.name = repository.split("/")
        self.path = f"/repos/{repository}"
        self.transport = Transport(
            settings.GITHUB_API_URL if api_url is None else api_url, token, kept, withhold=withhold
        )

    def _written(self, doing: str, method: str, path: str, body: dict[str, object]) -> int:
        item: object = self.transport.write(doing, method, path, body)
        with shaped(write=True):
            return field(item, "id", int)


_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+")
