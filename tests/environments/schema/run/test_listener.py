"""What the project's own command tells while it runs: revisions, statements, locks; and where it
goes when turned.
"""

import pytest

from environments.schema.rehearsal.report import PASSED
from environments.schema.run.command import redirected
from tests.cases.builder import Case, revision, usual
from tests.cases.looking import Stage, scratch


@pytest.mark.parametrize(
    ("line", "direction", "target", "turned"),
    [
        ("alembic upgrade head", "downgrade", "a1", "alembic downgrade a1"),
        (
            "cd backend && uv run alembic -c x.ini upgrade heads",
            "downgrade",
            "base",
            "cd backend && uv run alembic -c x.ini downgrade base",
        ),
        ("sh -c 'alembic upgrade head'", "upgrade", "a1", "sh -c 'alembic upgrade a1'"),
        ("flask db upgrade head; echo done", "downgrade", "a1", "flask db downgrade a1; echo done"),
        ("alembic upgrade app@head", "downgrade", "a1", "alembic downgrade a1"),
        ("make migrate", "downgrade", "a1", ""),
        ("flask db upgrade", "downgrade", "a1", "flask db downgrade a1"),
        ("pip install --upgrade pip", "downgrade", "a1", ""),
    ],
)
def test_a_command_is_turned_to_another_revision(line, direction, target, turned):
    assert redirected(line, direction, target) == turned


@pytest.mark.slow
def test_a_rehearsal_by_the_projects_command_tells_statements_locks_and_rewrites(tmp_path):
    first = revision(
        "a1", None, 'op.execute("CREATE TABLE t (id int, n text)")', 'op.drop_table("t")'
    )
    second = revision(
        "b2", "a1", 'op.alter_column("t", "n", type_=sa.Integer, postgresql_using="n::int")'
    )
    case = Case("locks", {}, usual(first), usual(first, second), command="alembic upgrade head")
    with scratch() as url:
        stage = Stage(case, tmp_path, url)

        report = stage.rehearsed()

    assert report.status == PASSED, report.sentence
    [ran] = [statement for statement in report.statements if statement.run == "first"]
    assert ran.revision == "b2" and ran.sql.startswith("ALTER TABLE t ALTER COLUMN n TYPE INTEGER")
    assert [(lock.table, lock.mode) for lock in ran.locks] == [("public.t", "AccessExclusiveLock")]
    assert ran.rewritten == ("public.t",) and ran.in_transaction
