"""Finds out why a developer's clone cannot push: tries its remotes without asking or changing
anything.

It uses what the developer's own git uses (credential helpers, agent, configuration), and shows no
credential.
"""

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from environments.git import host_keys
from environments.git.remote_diagnosis import Answer, bare, diagnose, kind_of

SECONDS = 15.0


@dataclass(frozen=True)
class Look:
    """What was found of one remote: facts in order, one diagnosis, the commands that fix it."""

    name: str
    works: bool
    facts: tuple[str, ...]
    diagnosis: str
    commands: tuple[str, ...] = ()


class NoClone(Exception):
    """There is nothing to look at; the text is a sentence and, on its next line, a command."""


def look(path: Path, *, seconds: float = SECONDS) -> list[Look]:
    """Return every remote of the clone at `path`, each tried for `seconds`. Raise `NoClone`."""
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
    address, kind = host_keys.address_of(url), kind_of(url)
    facts = [f"pushes to {bare(url)} ({kind})"]
    if kind == "https":
        facts += _about_https(path, url, seconds)
    elif address:
        facts.append(_agent())
    tried = _git(path, "ls-remote", "--heads", "--", url, seconds=seconds)
    if tried.code != 0:
        facts.append("reading: refused" if tried.code else "reading: no answer")
        diagnosis, commands = diagnose(tried, url, name, address)
        return Look(name, False, tuple(facts), diagnosis, commands)
    facts.append(f"reading: works, {len(tried.out.splitlines())} branches")
    pushed = _dry_push(path, url, seconds)
    if pushed is None:
        diagnosis = "Reading works; there is no commit here yet to try a push with."
        return Look(name, True, tuple(facts), diagnosis)
    if pushed.code != 0:
        facts.append("writing: refused")
        diagnosis, commands = diagnose(pushed, url, name, address)
        return Look(name, False, tuple(facts), diagnosis, commands)
    facts.append("writing: works (tried without changing anything)")
    return Look(name, True, tuple(facts), "All is well.")


def _about_https(path: Path, url: str, seconds: float) -> list[str]:
    """Credentials that were written into the address, and the helpers that are asked for others."""
    facts = []
    parts = urlsplit(url)
    if parts.password is not None:
        facts.append("the address holds a user name and a password or token (not shown)")
    elif parts.username is not None:
        facts.append("the address holds a user name or token (not shown)")
    helpers = _git(path, "config", "--get-all", "credential.helper", seconds=seconds).out
    words = filter(None, (helper.split() for helper in helpers.splitlines()))
    named = [os.path.basename(program.lstrip("!")) for program, *_ in words]
    facts.append(f"credential helper: {', '.join(named) or 'none'}")
    return facts


def _agent() -> str:
    """Return how many keys of which kinds the agent holds."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return "ssh agent: none is running"
    try:
        done = subprocess.run(
            ["ssh-add", "-l"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "ssh agent: it does not answer"
    kinds = re.findall(r"\(([A-Z0-9-]+)\)$", done.stdout, re.MULTILINE)
    listed = f" ({', '.join(kinds)})" if kinds else ""
    return f"ssh agent: {len(kinds)} key{'' if len(kinds) == 1 else 's'}{listed}"


def _dry_push(path: Path, url: str, seconds: float) -> Answer | None:
    """Ask for a push of what is checked out to a branch that does not exist; it is not made."""
    if _git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", seconds=seconds).code != 0:
        return None
    wanted = "HEAD:refs/heads/git-remote-check"
    return _git(
        path, "push", "--dry-run", "--no-verify", "--porcelain", "--", url, wanted, seconds=seconds
    )


SILENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C.UTF-8",
}


def _ssh_command() -> str:
    own = os.environ.get("GIT_SSH_COMMAND") or "ssh"
    # Another program than ssh would not know the options.
    return f"{own} -oBatchMode=yes -oConnectTimeout=10" if own.split()[0] == "ssh" else own


def _git(path: Path, *arguments: str, seconds: float) -> Answer:
    """git in the clone, with the developer's own settings and without any question."""
    try:
        process = subprocess.Popen(
            ["git", "-C", str(path), "-c", "safe.bareRepository=explicit", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | SILENT | {"GIT_SSH_COMMAND": _ssh_command()},
            start_new_session=True,
        )
    except FileNotFoundError:
        raise NoClone("git is not installed.") from None
    try:
        out, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Answer(None, "", "")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return Answer(
        process.returncode, *(stream.decode("utf-8", "replace") for stream in (out, error))
    )
