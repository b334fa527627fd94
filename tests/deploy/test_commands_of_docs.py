"""Every command that the documents print is one that exists; the image is built as it should be."""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def code(page: Path) -> list[str]:
    """Return the lines of code blocks, and what stands between backticks within a line."""
    text = page.read_text()
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.S | re.M)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [line for block in blocks for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", rest
    )


def printed(pattern: str) -> list[str]:
    found = [re.search(pattern, line) for page in PAGES for line in code(page)]
    return sorted({match[1] for match in found if match})


def test_every_management_command_exists_and_takes_its_options():
    lines = printed(r"(?:^|[ /])manage\.py ([a-z_]+\b.*)")
    wrong = []
    for line in lines:
        name, *given = shlex.split(re.sub(r"[\[\]]", "", line), comments=True)
        if name not in get_commands():
            wrong.append(line)
            continue
        # What is shown in passing may lack its arguments, but never has one that is not there.
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        known = {option for action in parser._actions for option in action.option_strings}
        options = [one.partition("=")[0] for one in given if one.startswith("--")]
        wrong += [f"{line}: {one}" for one in options if one not in known]
    assert wrong == []
    assert len(lines) > 20


def test_every_target_of_make_exists():
    targets = set(re.findall(r"^([a-z]+)(?: [a-z]+)*:", (ROOT / "Makefile").read_text(), re.M))
    targets |= set(re.findall(r"^[a-z]+ ([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    asked = {line.split()[0] for line in printed(r"^(?:[A-Z_]+=\S+ )*make ([a-z][^A-Z]*)")}

    assert asked and asked - {"migrate"} <= targets  # a released project's own target


def test_every_module_that_is_started_is_there():
    modules = printed(r"python3? -m ([\w.]+)")
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", DOCKERFILE)
    lines = [line.strip() for line in joined.splitlines()]
    return [
        (line.split(None, 1)[0], line.split(None, 1)[1])
        for line in lines
        if line and not line.startswith("#")
    ]


def test_the_linter_of_dockerfiles_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_holds_no_secret_and_does_not_run_as_root():
    found = instructions()
    users = [rest for name, rest in found if name == "USER"]

    assert users and users[-1] not in ("root", "0")
    for name, rest in found:
        if name in ("ENV", "ARG"):
            assert not re.search(r"(SECRET|TOKEN|PASSWORD|KEY)\w*=", rest)


@pytest.mark.parametrize("rule", ["--require-hashes", "--no-cache-dir"])
def test_pip_takes_only_what_the_lock_names_and_keeps_no_cache(rule):
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    cached = "PIP_NO_CACHE_DIR" in DOCKERFILE or "--mount=type=cache" in DOCKERFILE
    assert installs
    assert all(rule in one for one in installs) or (rule == "--no-cache-dir" and cached)


def test_help_of_every_own_command_can_be_printed():
    own = [
        name
        for name, app in get_commands().items()
        if app in ("portal", "environments", "releases")
    ]
    for name in own:
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            parser.print_help()
        assert "usage:" in out.getvalue()
