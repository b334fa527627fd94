"""A product without a database of its own."""

from pathlib import Path

from portal.sandbox import sample
from portal.sandbox.shapes import Shape


def _without(files: sample.Files) -> sample.Files:
    return {path: text for path, text in files.items() if not path.startswith("backend/alembic")}


MAIN = tuple((message, _without(files)) for message, files in sample.MAIN if _without(files))
MERGED = tuple(
    (number, head, title, author, _without(files))
    for number, head, title, author, files in sample.MERGED
    if _without(files)
)


def build(directory: Path) -> sample.Sample:
    """Return the sample without Alembic."""
    return sample.build(directory, main=MAIN, merged_pulls=MERGED)


SHAPE = Shape(
    "Nothing is migrated: no step, gate or item of a release asks about migrations.",
    settings={"alembic": ""},
    build=build,
)
