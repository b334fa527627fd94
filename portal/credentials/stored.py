"""Which credential counts: the project's own, else the portal's, else the environment variables."""

from portal.models.credentials import NewGitHubApp, ServiceCredential
from portal.outbound.credentials import App
from portal.outbound.http import ApiError
from portal.secrets import HiddenText, Unreadable

Kind = ServiceCredential.Kind
GITHUB, RAILWAY = ServiceCredential.Service.GITHUB, ServiceCredential.Service.RAILWAY


def effective(service: str, scope: str = "") -> ServiceCredential | None:
    """Return the stored credential that counts for the project `scope`, without its secret; None:
    the environment variables count. One query.
    """
    rows = ServiceCredential.objects.exclude(secret="").defer("secret")
    return rows.filter(service=service, scope__in={scope, ""}).order_by("-scope").first()


def github(scope: str = "") -> str | App | None:
    """Return the stored token or App; None: what the settings say. Raise `ApiError`."""
    row = effective(GITHUB, scope)
    if row is None:
        return None
    if row.kind == Kind.APP:
        return App(row.app_id, secret_of(row), row.installation_id)
    return secret_of(row)


def railway(scope: str = "") -> tuple[str, str] | None:
    """Return the stored token and its kind ("bearer", "project"); None: what the settings say.
    Raise `ApiError`.
    """
    row = effective(RAILWAY, scope)
    if row is None:
        return None
    return secret_of(row), "project" if row.kind == Kind.PROJECT_TOKEN else "bearer"


def secret_of(row: ServiceCredential) -> str:
    """Return the secret itself. Raise `ApiError` where its key is not configured any more."""
    return _revealed(row, "secret", row.get_service_display())


def secret_of_app(row: NewGitHubApp) -> str:
    """Return the private key of an App that is not in use yet. Raise `ApiError`, as above."""
    return _revealed(row, "private_key", "GitHub")


def _revealed(row: ServiceCredential | NewGitHubApp, name: str, service: str) -> str:
    try:
        secret = getattr(row, name)
    except Unreadable as error:
        raise ApiError(service, "unauthorized", str(error)) from None
    return secret.reveal() if isinstance(secret, HiddenText) else secret
