"""One repository on GitHub, and how requests about it are sent."""

import re
from collections.abc import Callable, MutableMapping

from django.conf import settings

from environments.github.transport import SERVICE, Transport, recent
from portal.outbound.credentials import App
from portal.outbound.http import ApiError, Reply, Withhold, shaped
from portal.outbound.parsing import Malformed, field, text


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

    def _read[T](self, doing: str, path: str, read: Callable[[object], T], **query: str | int) -> T:
        """Return what `read` makes of the answer at `path` below the repository."""
        with shaped(SERVICE):
            return read(self.transport.get(doing, self.path + path, **query))

    def _read_page[T](
        self, doing: str, path: str, read: Callable[[object], T], **query: str | int
    ) -> list[T]:
        """Return what `read` makes of each item of one page."""
        return self._read(doing, path, lambda items: [read(item) for item in _list(items)], **query)

    def _read_all[T](
        self, doing: str, path: str, read: Callable[[object], T], key: str = "", **query: str | int
    ) -> tuple[T, ...]:
        """Return what `read` makes of each item of a paged list (under `key`, if given)."""
        with shaped(SERVICE):
            items = self.transport.pages(doing, self.path + path, key, **query)
            return tuple(read(item) for item in items)

    def _write[T](
        self,
        doing: str,
        method: str,
        path: str,
        body: dict[str, object],
        read: Callable[[object], T],
    ) -> T:
        """Send a change, once; return what `read` makes of the answer."""
        item = self.transport.write(doing, method, self.path + path, body)
        with shaped(SERVICE, write=True):
            return read(item)


def id_of(item: object) -> int:
    """Return the id of what was written or read; raise `Malformed`."""
    return field(item, "id", int)


def _list(items: object) -> list[object]:
    if not isinstance(items, list):
        raise Malformed("the list is missing")
    return items


_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+")
