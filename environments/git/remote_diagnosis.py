"""Why a push to a remote fails, from what git and the server said, and what fixes it."""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from environments.git import host_keys

_HTTP = ("http", "https")


@dataclass(frozen=True)
class Answer:
    """What git answered: `code` None when it did not answer in time."""

    code: int | None
    out: str
    error: str


def bare(url: str) -> str:
    """Return `url` without what may be a credential: user, password, query."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
        shown = (
            parts.netloc
            if parts.scheme == "ssh" and not parts.password
            else parts.netloc.rpartition("@")[2]
        )
        return urlunsplit(parts._replace(netloc=shown, query="", fragment=""))
    except ValueError:
        return "an address that cannot be read"


def kind_of(url: str) -> str:
    if host_keys.address_of(url):
        return "ssh"
    scheme = url.partition("://")[0] if "://" in url else ""
    return "https" if scheme in _HTTP else scheme if scheme.isalpha() else "a path on this machine"


def diagnose(
    answer: Answer, url: str, name: str, address: host_keys.Address | None
) -> tuple[str, tuple[str, ...]]:
    """Return one diagnosis and the commands that fix it."""
    if answer.code is None:
        return "The server does not answer: check the network, a proxy or a firewall.", ()
    if address:
        port = "" if address.port == 22 else f"-p {address.port} "
        words = {
            "host": address.host,
            "label": address.label,
            "port": address.port,
            "try_ssh": f"ssh -T {port}{address.user}@{address.host}",
        }
        faults, unknown = _SSH_FAULTS, _SSH_UNKNOWN
    elif kind_of(url) == "https":
        host = urlsplit(url).hostname or "the server"
        words = {"host": host, "try_ssh": f"ssh -T git@{host}"}
        faults, unknown = _HTTPS_FAULTS, _HTTPS_UNKNOWN
    else:
        set_url = _OVER_SSH.format(name=name, host="github.com", repository="OWNER/NAME")
        return f"There is no repository at {bare(url)}: correct the address.", (set_url,)
    words |= {"name": name, "repository": _repository(url)}
    sentence, commands = next(
        (fault[1:] for fault in faults if _any(answer.error, *fault[0])), unknown
    )
    return sentence.format(**words), tuple(command.format(**words) for command in commands)


_Fault = tuple[tuple[str, ...], str, tuple[str, ...]]
_OVER_SSH = "git remote set-url {name} git@{host}:{repository}.git"
_BY_GH = "gh auth login --git-protocol https && gh auth setup-git"
_NO_HOST = "No host {host} is known: the address is misspelt, or there is no network."
_HTTPS_UNKNOWN: tuple[str, tuple[str, ...]] = (
    "{host} takes no password over HTTPS, and no valid token was given: push over SSH, or sign in"
    " with gh.",
    (_OVER_SSH, "{try_ssh}", _BY_GH),
)
# What git or the server says → the diagnosis, and the commands that fix it.
_HTTPS_FAULTS: tuple[_Fault, ...] = (
    (("Could not resolve host",), _NO_HOST, ("git remote -v",)),
    (
        ("Failed to connect", "Connection refused", "timed out", "Connection reset"),
        "{host} cannot be reached over HTTPS; over SSH it may be.",
        ("{try_ssh}", _OVER_SSH),
    ),
    (
        ("certificate", "SSL"),
        "The certificate of {host} is not trusted here; a proxy may stand in between.",
        ("{try_ssh}", _OVER_SSH),
    ),
    (
        ("error: 403", "Permission to", "Write access"),
        "{host} knows you and does not let you write to {repository}: another account, or a token"
        " too narrow.",
        ("gh auth status", "gh auth refresh --scopes repo", _OVER_SSH),
    ),
    (
        ("not found", "error: 404"),
        "{host} shows no repository {repository}: it is misspelt, or your credential may not see"
        " it.",
        ("gh auth status", _OVER_SSH),
    ),
)
_SSH_UNKNOWN: tuple[str, tuple[str, ...]] = (
    "{host} refused without a known reason.",
    ("GIT_TRACE=1 git ls-remote {name}", "{try_ssh}"),
)
_SSH_FAULTS: tuple[_Fault, ...] = (
    (
        ("HOST IDENTIFICATION HAS CHANGED",),
        "{host} shows another host key than before: compare it with the published one first.",
        ('ssh-keygen -R "{label}"', "{try_ssh}"),
    ),
    (
        ("Host key verification failed", "host key is known for"),
        "The host key of {host} is not known here: compare it with the published one, then accept"
        " it.",
        ("{try_ssh}",),
    ),
    (
        ("Permission denied", "Too many authentication failures"),
        "{host} knows none of your SSH keys: make one, or load it, and add it to your account.",
        (
            "ssh-add -l",
            "ssh-keygen -t ed25519",
            "gh ssh-key add ~/.ssh/id_ed25519.pub",
            "{try_ssh}",
        ),
    ),
    (("Could not resolve", "Name or service not known"), _NO_HOST, ("git remote -v",)),
    (
        (
            "Connection refused",
            "timed out",
            "No route",
            "unreachable",
            "Connection closed",
            "reset",
        ),
        "{host} cannot be reached on port {port}; HTTPS with gh may work.",
        ("{try_ssh}", "git remote set-url {name} https://{host}/{repository}.git", _BY_GH),
    ),
    (
        ("not found", "does not exist", "does not appear to be"),
        "{host} shows no repository {repository}: it is misspelt, or your key may not see it.",
        ("git remote -v", "{try_ssh}"),
    ),
    (
        ("read only", "denied to", "Write access", "not allowed"),
        "Your key may read {repository} and not write to it: ask for access, or use another key.",
        ("{try_ssh}",),
    ),
)


def _any(message: str, *signs: str) -> bool:
    return any(sign.lower() in message.lower() for sign in signs)


def _repository(url: str) -> str:
    """Return `owner/name` of an address, as far as it has one."""
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    return path.strip("/").removesuffix(".git") or "OWNER/NAME"
