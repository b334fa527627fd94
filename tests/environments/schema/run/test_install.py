"""What lies around an install command: tools, Python, links to the project's files, suggestions."""

import sys

import pytest

from environments.schema.run import install
from environments.schema.run.install import (
    interpreter,
    linked,
    missing_tools,
    note_links,
    suggested_install,
)


@pytest.mark.parametrize(
    ("paths", "here", "installs"),
    [
        ({"uv.lock", "pyproject.toml"}, "", "uv sync --frozen"),
        (
            {"backend/requirements.txt", "uv.lock"},
            "backend",
            "cd backend && pip install -r requirements.txt",
        ),
        ({"poetry.lock"}, "backend", "poetry install --no-root"),
        ({"README"}, "", ""),
    ],
)
def test_what_a_repository_most_likely_uses_is_suggested(paths, here, installs):
    assert suggested_install(paths, here) == installs


def test_a_tool_that_is_not_here_is_fetched(monkeypatch):
    monkeypatch.setattr(install.shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)

    assert missing_tools("uv sync && poetry install") == ["poetry"]
    assert missing_tools("pip install -r poetry/requirements.txt ./uv-thing") == []


def test_a_python_that_is_not_here_is_said():
    assert interpreter("") == (sys.executable, "")
    assert interpreter("python-9.1.2\n")[1].startswith("Python 9.1 is not here")


def test_what_an_editable_install_links_to_is_found_in_the_files_of_each_run(tmp_path):
    site = tmp_path / "env/lib/python3.14/site-packages"
    site.mkdir(parents=True)
    built, now = tmp_path / "built", tmp_path / "now"
    for place in ("src/shop", "lib/tools", "flat"):
        (now / place).mkdir(parents=True)
    (now / "flat" / "email.py").touch()
    (site / "shop.pth").write_text(f"{built}/src\n")
    (site / "flat.pth").write_text(f"{built}/flat\n")
    (site / "__editable___tools_finder.py").write_text(
        f"MAPPING = {{'tools': '{built}/lib/tools'}}\n"
    )

    note_links(tmp_path / "env", built)

    # What hides a module of the standard library would break Python itself.
    assert linked(tmp_path / "env", now) == [str(now / "lib"), str(now / "src")]
