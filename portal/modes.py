"""Sandbox or real portal: asked for before the first start, stored by it, never changed."""

from collections.abc import Mapping

# What only a portal that is meant seriously has; without any of it, somebody tries the sandbox.
CREDENTIALS = ("GITHUB_TOKEN", "GITHUB_APP_ID", "RAILWAY_API_TOKEN", "RAILWAY_TOKEN")
CONFIGURED = (
    *CREDENTIALS,
    "DATABASE_URL",
    "GITHUB_APP_INSTALLATION_ID",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_WEBHOOK_SECRET",
    "RAILWAY_WEBHOOK_SECRET",
    "RAILWAY_PROJECT_ID",
    "GITHUB_API_URL",
    "GITHUB_GIT_URL",
    "RAILWAY_API_URL",
    "SECRET_KEY",
    "FIELD_ENCRYPTION_KEYS",
)


class WrongMode(Exception):
    """The portal must not start like this; one sentence for the person at the terminal."""


def asks_for_sandbox(environ: Mapping[str, str]) -> bool:
    """Return whether the sandbox is asked for: by SANDBOX=1, or by configuring nothing at all.

    Raise `WrongMode` where SANDBOX=1 stands beside a database or a credential that is not the
    sandbox's.
    """
    set_ = [name for name in CONFIGURED if environ.get(name, "").strip()]
    wanted = environ.get("SANDBOX", "").strip().lower()
    if not wanted:
        return not set_
    if wanted not in ("1", "true", "yes", "on"):
        return False
    if clashing := [name for name in set_ if name in (*CREDENTIALS, "DATABASE_URL")]:
        names = ", ".join(clashing)
        raise WrongMode(
            f"SANDBOX is set beside {names}: the sandbox brings its own. Unset SANDBOX, or {names}."
        )
    return True


def settle(*, sandbox: bool) -> None:
    """Make this database the sandbox's or a real portal's, if nobody has yet.

    Raise `WrongMode` where it is the other already: the people of a sandbox have a known password.
    Also where this service's keys cannot read what another service of the portal stored.
    """
    from portal.models.installation import Installation
    from portal.secrets import Unreadable, check_readable

    try:
        row, _ = Installation.objects.get_or_create(single=True, defaults={"sandbox": sandbox})
        if not row.key_check:
            check_readable()
            Installation.objects.filter(pk=True, key_check="").update(key_check="readable")
    except Unreadable as fault:
        raise WrongMode(
            "This service cannot read the secrets that another service of this portal stored: set"
            " the same SECRET_KEY, or the same FIELD_ENCRYPTION_KEYS, for web and worker."
            f" ({fault})"
        ) from None
    if row.sandbox and not sandbox:
        raise WrongMode(
            "This database belongs to the sandbox, whose passwords are known: name another one in"
            " PORTAL_VAR_DIR or DATABASE_URL, or remove the sandbox with `rm -r var`."
        )
    if sandbox and not row.sandbox:
        raise WrongMode(
            "This database belongs to a real portal, so the sandbox does not start in it: set the"
            " credentials that are missing, or try the sandbox with PORTAL_VAR_DIR=DIRECTORY."
        )
