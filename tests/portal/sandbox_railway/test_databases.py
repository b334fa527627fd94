"""Target databases brought to a branch's own head by real Alembic, on the test run's PostgreSQL."""

import os
import uuid
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config

from portal.sandbox import databases

from .conftest import git

pytestmark = pytest.mark.slow
ADMIN = os.environ["DATABASE_URL"]
REVISION = '''"""{id}"""
from alembic import op
revision = "{id}"
down_revision = {down}
branch_labels = None
depends_on = None
def upgrade():
    op.execute("CREATE TABLE t_{id} ()")
def downgrade():
    op.execute("DROP TABLE t_{id}")
'''


@pytest.fixture
def target():
    name = f"target_{uuid.uuid4().hex[:8]}"
    yield databases.create(ADMIN, name)
    databases.drop(ADMIN, name)


def revision(repository, id, down=None, folder="db/alembic/versions", branch="main"):
    return repository.commit(REVISION.format(id=id, down=repr(down)), f"{folder}/{id}.py", branch)


def configured(repository, lines="script_location = alembic", path="db/alembic.ini"):
    repository.commit(f"[alembic]\n{lines}\n", path)


def tables(url):
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 't\\_%' ORDER BY 1"
        )
        return [row[0] for row in rows]


def test_a_target_database_is_made_once_and_is_empty(target):
    name = target.rpartition("/")[2]

    assert databases.create(ADMIN, name) == target
    assert databases.exists(ADMIN, name)
    assert databases.revisions(target) == []


def test_each_branch_brings_its_database_to_its_own_head(repository, target):
    configured(repository)
    revision(repository, "a1")
    git(repository.work, "branch", "-f", "staging", "main")
    revision(repository, "b2", "a1", branch="staging")

    production = databases.bring_to_branch_head(target, repository.bare, "main", "db/alembic.ini")
    at_first = tables(target)
    staging = databases.bring_to_branch_head(target, repository.bare, "staging", "db/alembic.ini")

    assert (production, at_first) == (["a1"], ["t_a1"])
    assert (staging, tables(target)) == (["b2"], ["t_a1", "t_b2"])


def folders(repository, checkout, path):
    """The folders of `path` on main in which Alembic looks for version files, below the
    repository's root.
    """
    checkout.mkdir()
    databases.extract(repository.bare, "main", checkout)
    (checkout / "ours.ini").write_text(databases._configuration(checkout / path, checkout, path))
    found = Config(str(checkout / "ours.ini")).get_version_locations_list()
    return [str(Path(one).relative_to(checkout)) for one in found]


def test_a_directory_of_scripts_or_versions_and_all_an_ini_file_may_name_serve(
    repository, target, tmp_path
):
    revision(repository, "m1", folder="db/alembic/more")
    revision(repository, "a1")
    written = (
        "script_location = %(here)s/alembic",
        "script_location = db/alembic",
        "script_location = db:alembic",
        "script_location = nowhere\nversion_locations = %(here)s/alembic/versions",
        (
            "script_location = x\npath_separator = space\nversion_locations = alembic/versions"
            " alembic/more"
        ),
    )

    for number, path in enumerate(("db/alembic", "db/alembic/versions")):
        assert folders(repository, tmp_path / f"c{number}", path) == ["db/alembic/versions"]
    for number, lines in enumerate(written):
        configured(repository, lines)
        found = folders(repository, tmp_path / f"i{number}", "db/alembic.ini")
        assert found[0] == "db/alembic/versions", lines
    assert found[1:] == ["db/alembic/more"]
    assert databases.bring_to_branch_head(target, repository.bare, "main", "db/alembic.ini") == [
        "a1",
        "m1",
    ]


def test_merges_long_names_and_autocommit_blocks_are_no_hindrance(repository, target):
    long = "a_revision_with_a_name_of_more_than_thirty_two_characters"
    folder = "alembic/versions"
    for id, down in (("a1", None), ("b2", "a1"), ("c3", "a1"), ("d4", ("b2", "c3")), (long, "d4")):
        revision(repository, id, down, folder=folder)
    text = REVISION.format(id="e5", down=repr(long)).replace(
        '    op.execute("CREATE TABLE t_e5 ()")',
        "    with op.get_context().autocommit_block():\n        op.execute('CREATE INDEX"
        " CONCURRENTLY i ON alembic_version (version_num)')",
    )
    repository.commit(text, f"{folder}/e5.py")

    assert databases.bring_to_branch_head(target, repository.bare, "main", "alembic") == ["e5"]


def test_a_branch_without_migrations_leaves_the_database_empty(repository, target):
    assert databases.bring_to_branch_head(target, repository.bare, "main", "db/alembic.ini") == []


def test_files_that_lead_nowhere_leave_it_empty_for_the_portal_says_why(repository, target):
    configured(repository, "script_location = nowhere")

    assert databases.bring_to_branch_head(target, repository.bare, "main", "db/alembic.ini") == []


def test_sections_pyproject_and_another_version_table_serve(repository, target):
    repository.commit("[alembic]\n[users]\nscript_location = db/alembic\n", "alembic.ini")
    repository.commit('[tool.alembic]\nscript_location = "%(here)s/src/more"\n', "pyproject.toml")
    revision(repository, "a1")
    revision(repository, "m1", folder="src/more/versions")

    def reached(path, table):
        return databases.bring_to_branch_head(target, repository.bare, "main", path, table)

    assert reached("alembic.ini:users", "kept.versions") == ["a1"]
    assert reached("pyproject.toml", "alembic_version") == ["m1"]
    assert databases.revisions(target, "kept.versions") == ["a1"]


def test_what_cannot_be_done_is_one_clear_sentence(repository, target):
    broken = REVISION.format(id="x1", down=None).replace("CREATE TABLE t_x1 ()", "CREATE NONSENSE")
    repository.commit(broken, "other/versions/x1.py")

    def problem(*arguments):
        with pytest.raises(databases.DatabaseProblem) as caught:
            databases.bring_to_branch_head(target, repository.bare, *arguments)
        return str(caught.value)

    assert "has no branch or commit 'nope'" in problem("nope", "other")
    assert "could not bring an empty database to the head of main" in problem("main", "other")
    assert "leads out of the repository" in problem("main", "../other")
    assert databases.revisions(target) == []


def test_a_user_who_may_not_create_databases_is_told_how_to_mend_it(target):
    role = f"poor_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(ADMIN, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'poor'")
        try:
            server = ADMIN.rpartition("@")[2]
            with pytest.raises(databases.DatabaseProblem, match=f"ALTER ROLE {role} CREATEDB"):
                databases.create(f"postgresql://{role}:poor@{server}", "not_to_be")
        finally:
            connection.execute(f"DROP ROLE {role}")


def test_a_server_that_is_down_is_named():
    with pytest.raises(databases.DatabaseProblem, match="does not answer"):
        databases.create("postgresql://postgres@127.0.0.1:9/postgres", "x")
