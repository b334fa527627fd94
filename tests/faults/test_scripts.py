"""The scripts here run by themselves: what sets Django up is imported before any model."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent
SCRIPTS = [
    path
    for folder in ("faults", "bench", "cases", "shapes")
    for path in sorted((FOLDER / folder).glob("*.py"))
    if "\ndef main(" in path.read_text()
]
MODELS = ("environments.models", "releases.", "portal.models", "portal.jobs", "portal.accounts")


def imported(path: Path) -> list[str]:
    """The modules that a script imports as it is loaded, in order."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Import):
            found += [one.name for one in node.names]
    return found


def test_there_are_scripts():
    assert len(SCRIPTS) > 30


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_script_sets_django_up_before_it_imports_a_model(path):
    names = imported(path)
    before = names[: names.index("tests.scratch")] if "tests.scratch" in names else names

    assert not [name for name in before if f"{name}.".startswith(MODELS)]
