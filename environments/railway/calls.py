"""How calls to Railway are sent."""

from django.conf import settings

from environments.railway.transport import Transport
from portal.outbound.credentials import Secret
from portal.outbound.http import Withhold


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
