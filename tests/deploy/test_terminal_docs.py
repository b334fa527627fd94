"""Every command in docs/terminal.md is one that portalctl, or the portal, takes."""

import importlib.util
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders
from django.urls import resolve

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/terminal.md").read_text()


def lines() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    found = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line.partition(" > ")[0]) for line in found]


def test_every_portalctl_command_is_understood():
    spec = importlib.util.spec_from_file_location(
        "portalctl", ROOT / "portal/static/portal/portalctl.py"
    )
    portalctl = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(portalctl)

    given = [words[1:] for words in lines() if words[0] == "./portalctl"]

    assert {words[0] for words in given} == {"login", "whoami", "sync-staging", "task-log"}
    for words in given:
        portalctl.parser().parse_args(words)


def test_every_address_for_curl_is_there():
    asked = [words[-1] for words in lines() if words[0] == "curl"]

    assert len(asked) == 4
    for address in asked:
        path = urlsplit(address.replace("$PORTAL_URL", "https://PORTAL")).path
        if path.startswith("/static/"):
            assert finders.find(path.removeprefix("/static/"))
        else:
            assert resolve(path).func.__module__ == "releases.terminal.views"
