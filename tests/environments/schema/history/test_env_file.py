"""What an env.py means for a run, with the modules of the project that it imports."""

import pytest

from environments.schema.history.env_file import read_meaning, sources
from environments.schema.history.reader import read
from tests.environments.schema.history.histories import repository

ENV = """from alembic import context
from app.models import Base
context.configure(target_metadata=Base.metadata)
"""
BASE = """from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase
class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
"""


@pytest.mark.parametrize(
    "files",
    [
        {"app/models/__init__.py": "from .base import Base\n", "app/models/base.py": BASE},
        {"app/models.py": "from . import base\nBase = base.Base\n", "app/base.py": BASE},
        {"app/models/__init__.py": "from ..db.base import Base\n", "app/db/base.py": BASE},
    ],
    ids=["beside", "package itself", "above"],
)
@pytest.mark.parametrize("root", ["", "backend/", "backend/src/"])
def test_a_naming_convention_behind_a_relative_import_is_found(tmp_path, files, root):
    place = root.partition("src/")[0]
    ini = f"[alembic]\nscript_location = {place}db\n"
    mirror = repository(
        tmp_path / "r",
        {"alembic.ini": ini, f"{place}db/env.py": ENV}
        | {f"{root}{path}": text for path, text in files.items()},
    )
    history = read(mirror, "main", "alembic.ini")

    assert {f"{root}{path}" for path in files} <= sources(mirror, "main", history).keys()
    assert read_meaning(mirror, "main", history).naming == {"pk": "pk_%(table_name)s"}


def test_a_relative_import_that_leaves_the_repository_leads_nowhere(tmp_path):
    files = {"alembic.ini": "[alembic]\nscript_location = db\n"}
    mirror = repository(tmp_path / "r", files | {"db/env.py": "from .....x import y\n"})
    history = read(mirror, "main", "alembic.ini")

    assert list(sources(mirror, "main", history)) == ["db/env.py"]
