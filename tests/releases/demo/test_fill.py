"""The databases of a demo before the portal first looks: as the project's own `env.py` means."""

import psycopg
import pytest

from environments.models import Project
from environments.schema.run.database import current
from releases.demo.fill import NotFilled, fill
from tests.cases.builder import table, usual
from tests.environments.schema.history.histories import repository
from tests.faults.foreign_shapes import NAMED, NAMES, WITH_NAMES, A

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
MODELS = {"app/__init__.py": "", "app/models.py": NAMES}


@pytest.fixture
def project():
    made = Project.objects.create(name="shop", slug="shop", repository="acme/shop")
    made.production_branch, made.staging_branch = "c0", "main"
    made.databases.all().delete()
    made.databases.create(name="main", alembic="alembic.ini")
    return made


def test_staging_bears_the_names_of_the_projects_convention_and_production_its_own_head(
    tmp_path, database, project
):
    shipped = usual(A, env_py=WITH_NAMES, **MODELS)
    mirror = repository(tmp_path / "git", shipped, usual(A, NAMED, env_py=WITH_NAMES, **MODELS))
    empty = {"alembic": "alembic.ini", "url": database}

    fill(project, mirror, [empty | {"kind": "production"}], {}, lambda lines: None)
    assert current(database) == ("a1",)
    fill(project, mirror, [empty | {"kind": "staging"}], {}, lambda lines: None)

    with psycopg.connect(database) as opened:
        names = opened.execute(
            "SELECT conname FROM pg_constraint WHERE conname LIKE 'uq_b2%'"
        ).fetchall()
    assert names == [("uq_b2_mail",)] and current(database) == ("b2",)


def test_a_branch_without_migrations_stays_empty_and_a_failure_is_one_sentence(
    tmp_path, database, project
):
    broken = usual(table("a1").replace("op.create_table", "op.no_such_operation"))
    mirror = repository(tmp_path / "git", {"README.md": "An app.\n"}, broken)
    empty = {"alembic": "alembic.ini", "url": database}

    fill(project, mirror, [empty | {"kind": "production"}], {}, lambda lines: None)
    with pytest.raises(NotFilled, match="to the head of main: Revision a1"):
        fill(project, mirror, [empty | {"kind": "staging"}], {}, lambda lines: None)

    assert current(database) == ()
