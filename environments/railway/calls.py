"""How calls to Railway are sent, and how their answers are read."""

from collections.abc import Callable, Mapping

from django.conf import settings

from environments.railway.transport import SERVICE, Transport
from portal.outbound import http
from portal.outbound.credentials import Secret
from portal.outbound.http import Withhold, shaped
from portal.outbound.parsing import JsonObject, Malformed, field, optional

# Errors that say "not with this token", as against "no answer".
REFUSALS = frozenset({"unauthorized", "wrong_header", "forbidden", "not_found", "refused"})


class Calls:
    """Railway with one token; `kind` “project”: a project token."""

    def __init__(
        self,
        *,
        token: str | None = None,
        api_url: str | None = None,
        kind: str | None = None,
        withhold: Withhold | None = None,
    ) -> None:
        header = None if kind is None else ("project" if kind == "project" else "bearer")
        self.transport = Transport(
            settings.RAILWAY_API_URL if api_url is None else api_url,
            token,
            header,
            withhold=withhold,
        )
        self._known: dict[tuple[str, str, str | None, bool], dict[str, Secret | None]] = {}

    def _ask[T](self, name: str, read: Callable[[JsonObject], T], **variables: object) -> T:
        """Return what `read` makes of the answer to the document `name`."""
        data = self.transport.ask(name, **variables)
        with shaped(SERVICE):
            return read(data)

    def _ask_text[T](self, text: str, read: Callable[[JsonObject], T], **variables: object) -> T:
        """Do the same for a document that was put together."""
        data = self.transport.ask_text(text, **variables)
        with shaped(SERVICE):
            return read(data)

    def _write[T](
        self,
        name: str,
        read: Callable[[JsonObject], T],
        *,
        read_seconds: float = http.READ_SECONDS,
        **variables: object,
    ) -> T:
        """Send a mutation, once; return what `read` makes of the answer."""
        data = self.transport.write(name, read_seconds=read_seconds, **variables)
        with shaped(SERVICE, write=True):
            return read(data)


def under[T](name: str, read: Callable[[JsonObject], T]) -> Callable[[JsonObject], T]:
    """Return a reader of the object that an answer has under `name`."""
    return lambda data: read(field(data, name, dict))


def done(name: str) -> Callable[[JsonObject], None]:
    """Return a reader that raises `Malformed` unless the answer says true under `name`."""

    def read(data: JsonObject) -> None:
        if not field(data, name, bool):
            raise Malformed(f"{name} is false")

    return read


def id_of(node: object) -> str:
    return field(node, "id", str)


def secrets(data: Mapping[str, object], name: str) -> dict[str, Secret | None]:
    """Return variables by name; None is a sealed one."""
    held = field(data, name, dict)
    values = {key: optional(held, key, str) for key in held}
    return {key: None if value is None else Secret(value) for key, value in values.items()}
