"""Why a developer's clone cannot push: its remotes looked at and tried, without a question and
without a change.

It uses what the developer's own git uses (credential helpers, agent, configuration), and shows no
credential.
"""

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from environments.git import ssh

SECONDS = 15.0
_HTTP = ("http", "https")


@dataclass(frozen=True)
class Look:
    """What was found of one remote: facts in order, one diagnosis, and the exact commands that
    mend it.
    """

    name: str
    works: bool
    facts: tuple[str, ...]
    diagnosis: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Answer:
    """What git answered: `code` None when it did not answer in time."""

    code: int | None
    out: str
    error: str


class NoClone(Exception):
    """There is nothing to look at; the text is one sentence and, after a line break, the command
    that helps.
    """


def look(path: Path, *, seconds: float = SECONDS) -> list[Look]:
    """Every remote of the clone at `path`, each tried for at most `seconds`. Raises `NoClone`."""
    if not path.is_dir():
        raise NoClone(f"There is no directory {path}: name a clone with --path.")
    inside = _git(path, "rev-parse", "--git-dir", seconds=seconds)
    if inside.code != 0:
        raise NoClone(f"{path} is no git repository: go into a clone, or name one with --path.")
    names = _git(path, "remote", seconds=seconds).out.split()
    if not names:
        raise NoClone(
            "This repository has no remote, so there is nowhere to push to.\n"
            "git remote add origin git@github.com:OWNER/NAME.git"
        )
    return [_remote(path, name, seconds) for name in names]


def _remote(path: Path, name: str, seconds: float) -> Look:
    url = _git(path, "remote", "get-url", "--push", name, seconds=seconds).out.strip()
    address, kind = ssh.address_of(url), _kind(url)
    facts = [f"pushes to {bare(url)} ({kind})"]
    if kind == "https":
        facts += _about_https(path, url, seconds)
    elif address:
        facts.append(_agent())
    tried = _git(path, "ls-remote", "--heads", "--", url, seconds=seconds)
    if tried.code != 0:
        facts.append("reading: refused" if tried.code else "reading: no answer")
        diagnosis, commands = _why(tried, url, name, address)
        return Look(name, False, tuple(facts), diagnosis, commands)
    facts.append(f"reading: works, {len(tried.out.splitlines())} branches")
    pushed = _dry_push(path, url, seconds)
    if pushed is None:
        return Look(
            name,
            True,
            tuple(facts),
            "Reading works; there is no commit here yet to try a push with.",
        )
    if pushed.code != 0:
        facts.append("writing: refused")
        diagnosis, commands = _why(pushed, url, name, address)
        return Look(name, False, tuple(facts), diagnosis, commands)
    facts.append("writing: works (tried without changing anything)")
    return Look(name, True, tuple(facts), "All is well.")


def bare(url: str) -> str:
    """`url` without user, password and whatever follows a question mark, which may be
    credentials.
    """
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


def _kind(url: str) -> str:
    if ssh.address_of(url):
        return "ssh"
    scheme = url.partition("://")[0] if "://" in url else ""
    return "https" if scheme in _HTTP else scheme if scheme.isalpha() else "a path on this machine"


def _about_https(path: Path, url: str, seconds: float) -> list[str]:
    """Credentials that were written into the address, and the helpers that are asked for others."""
    facts = []
    parts = urlsplit(url)
    if parts.password is not None:
        facts.append("the address holds a user name and a password or token (not shown)")
    elif parts.username is not None:
        facts.append("the address holds a user name or token (not shown)")
    helpers = _git(path, "config", "--get-all", "credential.helper", seconds=seconds).out.split(
        "\n"
    )
    named = [
        os.path.basename(helper.split()[0].lstrip("!")) for helper in helpers if helper.strip()
    ]
    facts.append(f"credential helper: {', '.join(named) or 'none'}")
    return facts


def _agent() -> str:
    """How many keys of which kinds the agent holds."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return "ssh agent: none is running"
    try:
        done = subprocess.run(
            ["ssh-add", "-l"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "ssh agent: it does not answer"
    kinds = re.findall(r"\(([A-Z0-9-]+)\)$", done.stdout, re.MULTILINE)
    return (
        f"ssh agent: {len(kinds)}"
        f" key{'' if len(kinds) == 1 else 's'}{f' ({", ".join(kinds)})' if kinds else ''}"
    )


def _dry_push(path: Path, url: str, seconds: float) -> _Answer | None:
    """A push of what is checked out to a branch that does not exist, which is asked for and not
    made.
    """
    if _git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", seconds=seconds).code != 0:
        return None
    wanted = "HEAD:refs/heads/git-remote-check"
    return _git(
        path, "push", "--dry-run", "--no-verify", "--porcelain", "--", url, wanted, seconds=seconds
    )


# What git says → the diagnosis


def _why(
    answer: _Answer, url: str, name: str, address: ssh.Address | None
) -> tuple[str, tuple[str, ...]]:
    """One diagnosis and the commands that mend it."""
    message = answer.error
    if answer.code is None:
        return "The server does not answer: check the network, a proxy or a firewall.", ()
    if address:
        return _why_ssh(message, url, name, address)
    if _kind(url) == "https":
        return _why_https(message, url, name)
    return f"There is no repository at {bare(url)}: correct the address.", (
        _set_url(name, "OWNER/NAME", "github.com"),
    )


def _why_https(message: str, url: str, name: str) -> tuple[str, tuple[str, ...]]:
    host, repository = urlsplit(url).hostname or "the server", _repository(url)
    over_ssh = _set_url(name, repository, host)
    try_ssh = f"ssh -T git@{host}"
    if _any(message, "Could not resolve host"):
        return f"No host {host} is known: the address is misspelt, or there is no network.", (
            "git remote -v",
        )
    if _any(message, "Failed to connect", "Connection refused", "timed out", "Connection reset"):
        return f"{host} cannot be reached over HTTPS; over SSH it may be.", (try_ssh, over_ssh)
    if _any(message, "certificate", "SSL"):
        return f"The certificate of {host} is not trusted here; a proxy may stand in between.", (
            try_ssh,
            over_ssh,
        )
    if _any(message, "error: 403", "Permission to", "Write access"):
        message = (
            f"{host} knows you and does not let you write to {repository}: another account, or a"
            " token too narrow."
        )
        return message, ("gh auth status", "gh auth refresh --scopes repo", over_ssh)
    if _any(message, "not found", "error: 404"):
        message = (
            f"{host} shows no repository {repository}: it is misspelt, or your credential may not"
            " see it."
        )
        return message, ("gh auth status", over_ssh)
    return (
        (
            f"{host} takes no password over HTTPS, and no valid token was given: push over SSH, or"
            " sign in with gh."
        ),
        (over_ssh, try_ssh, "gh auth login --git-protocol https && gh auth setup-git"),
    )


def _why_ssh(
    message: str, url: str, name: str, address: ssh.Address
) -> tuple[str, tuple[str, ...]]:
    port = "" if address.port == 22 else f"-p {address.port} "
    try_ssh = f"ssh -T {port}{address.user}@{address.host}"
    if _any(message, "HOST IDENTIFICATION HAS CHANGED"):
        message = (
            f"{address.host} shows another host key than before: compare it with the published one"
            " first."
        )
        return message, (f'ssh-keygen -R "{address.label}"', try_ssh)
    if _any(message, "Host key verification failed", "host key is known for"):
        message = (
            f"The host key of {address.host} is not known here: compare it with the published one,"
            " then accept it."
        )
        return message, (try_ssh,)
    if _any(message, "Permission denied", "Too many authentication failures"):
        message = (
            f"{address.host} knows none of your SSH keys: make one, or load it, and add it to your"
            " account."
        )
        return message, (
            "ssh-add -l",
            "ssh-keygen -t ed25519",
            "gh ssh-key add ~/.ssh/id_ed25519.pub",
            try_ssh,
        )
    if _any(message, "Could not resolve", "Name or service not known"):
        return (
            f"No host {address.host} is known: the address is misspelt, or there is no network.",
            ("git remote -v",),
        )
    if _any(
        message,
        "Connection refused",
        "timed out",
        "No route",
        "unreachable",
        "Connection closed",
        "reset",
    ):
        message = (
            f"{address.host} cannot be reached on port {address.port}; HTTPS with gh may work."
        )
        return message, (
            try_ssh,
            f"git remote set-url {name} https://{address.host}/{_repository(url)}.git",
            "gh auth login --git-protocol https && gh auth setup-git",
        )
    if _any(message, "not found", "does not exist", "does not appear to be"):
        message = (
            f"{address.host} shows no repository {_repository(url)}: it is misspelt, or your key"
            " may not see it."
        )
        return message, ("git remote -v", try_ssh)
    if _any(message, "read only", "denied to", "Write access", "not allowed"):
        message = (
            f"Your key may read {_repository(url)} and not write to it: ask for access, or use"
            " another key."
        )
        return message, (try_ssh,)
    return f"{address.host} refused without a known reason.", (
        f"GIT_TRACE=1 git ls-remote {name}",
        try_ssh,
    )


def _any(message: str, *signs: str) -> bool:
    return any(sign.lower() in message.lower() for sign in signs)


def _repository(url: str) -> str:
    """`owner/name` of an address, as far as it has one."""
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    return path.strip("/").removesuffix(".git") or "OWNER/NAME"


def _set_url(name: str, repository: str, host: str) -> str:
    return f"git remote set-url {name} git@{host}:{repository}.git"


def _git(path: Path, *arguments: str, seconds: float) -> _Answer:
    """git in the clone, with the developer's own settings and without any question."""
    silent = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "LC_ALL": "C.UTF-8",
    }
    own = os.environ.get("GIT_SSH_COMMAND") or "ssh"
    # Another program than ssh would not know the options.
    silent["GIT_SSH_COMMAND"] = (
        f"{own} -oBatchMode=yes -oConnectTimeout=10" if own.split()[0] == "ssh" else own
    )
    try:
        process = subprocess.Popen(
            ["git", "-C", str(path), "-c", "safe.bareRepository=explicit", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | silent,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise NoClone("git is not installed.") from None
    try:
        out, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return _Answer(None, "", "")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return _Answer(
        process.returncode, out.decode("utf-8", "replace"), error.decode("utf-8", "replace")
    )
