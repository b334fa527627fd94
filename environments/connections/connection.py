"""One credential as the page Connections shows it."""

from dataclasses import dataclass

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
    """One credential. `state`: pass, fail, or wait (no answer); `kind` in words; one sentence."""

    name: str
    state: str
    kind: str
    sentence: str
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    fix: str = ""
    public_key: str = ""  # what belongs under Deploy keys on GitHub
    project: str = ""  # slug of the project whose server showed the host keys below
    # (kind, key, fingerprint, “yes”: GitHub publishes it)
    offers: tuple[tuple[str, str, str, str], ...] = ()


def spelling_fault(name: str, raw: str, kind: str) -> Connection | None:
    """Return what is wrong with a token before it is ever sent: its length and its faults."""
    length, *faults = describe_token(raw)
    if not faults:
        return None
    message = f"It holds a {kind} of {length} that {', '.join(faults)}."
    return Connection(name, FAIL, kind, message, fix=f"Set {name} again without that.")
