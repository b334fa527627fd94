#!/usr/bin/env python3
"""portalctl: who am I, sync staging and task logs of the release portal, from a terminal.

One file for Python 3.8 or newer, without packages. It speaks HTTP to the portal with an access
token (page *Access tokens*) and needs neither the portal's database nor a token of GitHub or
Railway. Address and token come from PORTAL_URL and PORTAL_TOKEN, else from the file that
`portalctl login` writes.

Exit codes: 0 done, 1 refused or no answer, 2 wrong usage, 3 promote first, 4 diverged.
"""

import argparse
import getpass
import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

TIMEOUT = 30  # seconds for one answer
PATIENCE = 300  # seconds until a sync of staging has ended
CODES = {"not_ready": 3, "diverged": 4}
HEADINGS = ("Goal", "Notes", "Decisions", "Commands run", "Outcome")
FOLDER = ".task_logs"


class Failed(Exception):
    """One sentence for the person."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the address that was given, and follows nobody elsewhere."""

    def redirect_request(self, *args, **kwargs):
        return None


def kept_in() -> Path:
    """Return the file in which `login` keeps address and token."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "portalctl.json"


def access() -> "tuple[str, str]":
    """Return the portal's address and the token."""
    try:
        kept = json.loads(kept_in().read_text())
    except (OSError, ValueError):
        kept = {}
    url = (os.environ.get("PORTAL_URL") or kept.get("url", "")).rstrip("/")
    # A kept token is only for the address that it was kept with.
    token = os.environ.get("PORTAL_TOKEN") or (kept.get("token") if url == kept.get("url") else "")
    if not url or not token:
        raise Failed("Run portalctl login first, or set PORTAL_URL and PORTAL_TOKEN.")
    return checked(url), token.strip()


def checked(url: str) -> str:
    """Return `url` if a token may be sent there: HTTPS, or this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost"):
        return url
    raise Failed(f"{url} is not https: the token would be sent in the clear.")


def ask(
    path: str, form: "dict[str, str] | None" = None, given: "tuple[str, str] | None" = None
) -> dict:
    """Return the portal's JSON answer to a GET, or to a POST of `form`."""
    url, token = given or access()
    body = None if form is None else urllib.parse.urlencode(form).encode()
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "portalctl"}
    request = urllib.request.Request(url + path, data=body, headers=headers)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=TIMEOUT) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Failed(sentence_of(error, url)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Failed(f"{url} did not answer: {getattr(error, 'reason', error)}.") from None


def sentence_of(error: urllib.error.HTTPError, url: str) -> str:
    """Return what the portal said, or what the status means."""
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"{url} answered HTTP {error.code}. Is this the portal's address?"


def login(options: argparse.Namespace) -> int:
    """Ask for address and token, try them, and keep them in a file for this user alone."""
    url = checked((options.url or input("Portal: ")).strip().rstrip("/"))
    token = getpass.getpass("Access token: ").strip()
    account = ask("/terminal/whoami/", given=(url, token))
    path = kept_in()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": url, "token": token}, file)
    print(f"You are {account['user']} at {url}. Kept in {path}.")
    return 0


def whoami(options: argparse.Namespace) -> int:
    """Print the person, their roles, and the projects."""
    account = ask("/terminal/whoami/")
    if options.json:
        print(json.dumps(account))
        return 0
    print(f"{account['user']}: {', '.join(account['roles']) or 'no role'}")
    for project in account["projects"]:
        print(f"  {project['slug']}{' (watch only)' if project['watch_only'] else ''}")
    return 0


def sync_staging(options: argparse.Namespace) -> int:
    """Have staging fast-forwarded to main, and wait until that has ended."""
    answer = ask("/terminal/sync-staging/", {"project": options.project})
    ends = time.monotonic() + options.seconds
    while answer["open"]:
        if time.monotonic() > ends:
            raise Failed(f"It has not ended after {options.seconds:.0f} s: {answer['sentence']}")
        time.sleep(0.5)
        answer = ask(answer["address"])
    if answer["status"] == "succeeded":
        print(answer["sentence"])
        return 0
    print(answer["sentence"], file=sys.stderr)
    return CODES.get(answer["result"], 1)


def task_log(options: argparse.Namespace) -> int:
    """Start a log on this machine, print a release's log, or save a file as a release's log."""
    if options.act == "start":
        print(start(options.what))
        return 0
    named = {"project": options.project, "release": options.release}
    shown = ask("/terminal/task-log/?" + urllib.parse.urlencode(named))
    if options.act == "show":
        sys.stdout.write(shown["markdown"])
        return 0
    version = shown["version"] if options.version is None else options.version
    text = sys.stdin.read() if options.what == "-" else Path(options.what).read_text("utf-8")
    sent = {**named, "release": shown["release"], "version": str(version), "markdown": text}
    saved = ask("/terminal/task-log/", sent)
    print(f"Saved as version {saved['version']} of the task log of {saved['release']}.")
    return 0


def start(about: str) -> Path:
    """Make an empty log in `.task_logs` of this repository, ignored by git; return its path."""
    title = " ".join(about.split())[:200]
    if not title:
        raise Failed("Say in a few words what the task is.")
    root = Path(git("rev-parse", "--show-toplevel"))
    if root == Path():
        raise Failed("Go into a git repository first.")
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    exclude = root / git("rev-parse", "--git-path", "info/exclude")
    exclude.parent.mkdir(parents=True, exist_ok=True)
    if FOLDER + "/" not in (exclude.read_text() if exclude.exists() else "").splitlines():
        with exclude.open("a") as file:
            file.write(f"\n{FOLDER}/\n")
    slug = re.sub(r"[\W_]+", "-", title.lower())[:60].strip("-") or "task"
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{slug}.md"
    with path.open("x", encoding="utf-8") as file:
        file.write("\n\n".join([f"# {title}", *(f"## {name}" for name in HEADINGS)]) + "\n")
    return path


def git(*arguments: str) -> str:
    """Return what git prints; "" where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return done.stdout.rstrip("\n") if done.returncode == 0 else ""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    main = argparse.ArgumentParser(prog="portalctl", description=__doc__.split("\n")[0])
    commands = main.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("login", help="keep the portal's address and an access token")
    command.add_argument("url", nargs="?", default="", help="the portal's address")
    command.set_defaults(run=login)
    command = commands.add_parser("whoami", help="who the token belongs to, roles and projects")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(run=whoami)
    command = commands.add_parser(
        "sync-staging", help="fast-forward staging to main, never by force"
    )
    command.add_argument(
        "--project", default="", help="its short name; needed if there are several"
    )
    command.add_argument("--seconds", type=float, default=PATIENCE, help="the longest wait")
    command.set_defaults(run=sync_staging)
    command = commands.add_parser("task-log", help="start one here; show or save that of a release")
    command.add_argument("act", choices=["start", "show", "save"])
    command.add_argument(
        "what", nargs="?", default="-", help="start: what about; save: file, - stdin"
    )
    command.add_argument(
        "--project", default="", help="its short name; needed if there are several"
    )
    command.add_argument("--release", default="", help="its name; else the newest")
    command.add_argument(
        "--version", type=int, help="refuse to save over a newer version than this"
    )
    command.set_defaults(run=task_log)
    return main


def main() -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args()
    try:
        return options.run(options)
    except (Failed, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
