"""Edits of shipped files are judged by what runs: form, the same SQL, other SQL, another place,
pruned.
"""

import pytest

from environments.schema.history.reader import compare, read
from environments.schema.plan import edits
from environments.schema.sql.parser import words
from tests.cases.builder import revision, table, usual
from tests.environments.schema.history.histories import repository

pytestmark = pytest.mark.slow
A = table("a1")
B = revision(
    "b2", "a1", 'op.add_column("a1", sa.Column("n", sa.Text))', 'op.drop_column("a1", "n")'
)
FORMATTED = '''"""Another first line"""
from typing import Union

from alembic import op
import sqlalchemy as sa

revision: str = 'b2'   # black was here
down_revision: Union[str, None] = "a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Up."""
    op.add_column(
        'a1',
        sa.Column("n", sa.Text),
    )


def downgrade() -> None:
    op.drop_column("a1", "n")
'''


def judged(
    tmp_path, main: dict, staging: dict, ran: tuple[str, ...] = (), **more
) -> list[tuple[str, str]]:
    mirror = repository(tmp_path / "git", main, staging)
    change = compare(mirror, "c0", "main", "alembic.ini")
    both = read(mirror, "c0", "alembic.ini"), read(mirror, "main", "alembic.ini")
    return [
        (one.kind, one.sentence)
        for one in edits.judge(mirror, "c0", "main", change, both, ran=ran, **more)
    ]


@pytest.mark.parametrize(
    ("edited", "kind", "words"),
    [
        (FORMATTED, "form", "in form only"),
        (B.replace("sa.Text", "sa.Text()"), "same", "its SQL is the same, up and down"),
        (B.replace("sa.Text", "sa.Integer"), "other", "now runs other SQL (upgrade)"),
        (B.replace('op.drop_column("a1", "n")', "pass"), "other", "now runs other SQL (downgrade)"),
        (B.replace("'a1'", "None"), "other", "it built upon a1 and now builds upon nothing"),
        (
            B.replace("op.add", "op.get_bind().execute(sa.text('select 1')).scalar(); op.add"),
            "other",
            "cannot be told",
        ),
    ],
)
def test_an_edit_is_judged_by_what_it_runs(edited, kind, words, tmp_path):
    [(found, sentence)] = judged(tmp_path, usual(A, B), {"db/versions/b2.py": edited})

    assert found == kind and words in sentence


KINDS = """
class Kind(Base):
    id: Mapped[int] = mapped_column()
"""
IMPORTS = ("from app.a import run", "from app.b import run")


def form(text: str) -> str:
    return edits._form(text.encode())


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("insert into a values ('a  b')", "insert into a values ('a b')", False),
        ("insert into a\n  values (1) -- c", "insert into a values (1)", True),
        ("select $$a\n b$$", "select $$a b$$", False),
        ("select 'open", "select  'open", False),
    ],
)
def test_spaces_in_a_string_are_other_sql(old, new, same):
    assert (words(old) == words(new)) == same


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (
            "import sqlalchemy as sa\nfrom alembic import op",
            "from alembic import op\nimport sqlalchemy as sa",
            True,
        ),
        ("from typing import Any\na: Any = 1", "a = 1", True),
        ('"""One."""\na = 1', '"""Two."""\na = 1', True),
        ("\n".join(IMPORTS), "\n".join(reversed(IMPORTS)), False),
        ("from app import *\nfrom db import *", "from db import *\nfrom app import *", False),
        ("a = 1\nfrom app import a", "from app import a\na = 1", False),
        (
            "from alembic import op\nfrom typing import Any as op\nop.x()",
            "from alembic import op\nop.x()",
            False,
        ),
        (KINDS, KINDS.replace("int", "str"), False),
        ('"""One."""\nop.execute(__doc__)', '"""Two."""\nop.execute(__doc__)', False),
    ],
)
def test_only_what_no_run_sees_is_form(old, new, same):
    assert (form(old) == form(new) != "") == same


def test_old_files_may_be_pruned_once_every_database_is_past_them(tmp_path):
    without = {"db/versions/a1.py": None, "db/versions/b2.py": B.replace("'a1'", "None")}

    assert [kind for kind, _ in judged(tmp_path / "1", usual(A, B), without, ran=("b2",))] == [
        "pruned",
        "same",
    ]
    assert [kind for kind, _ in judged(tmp_path / "2", usual(A, B), without, ran=("a1",))] == [
        "other"
    ]


def test_squashed_files_are_pruned_once_a_proven_stamp_took_their_place(tmp_path):
    squashed = {
        "db/versions/a1.py": None,
        "db/versions/b2.py": None,
        "db/versions/s1.py": table("s1"),
    }
    known = usual(A, B)

    def kinds(name: str, **more) -> list[str]:
        return [kind for kind, _ in judged(tmp_path / name, known, squashed, **more)]

    assert kinds("proven", ran=("s1",), stamped={"s1": ["b2"]}) == ["pruned", "pruned"]
    assert kinds("typed", ran=("s1",)) == []
    assert kinds("half", ran=("b2", "s1"), stamped={"s1": ["b2"]}) == []


def test_where_nothing_may_be_executed_sql_is_left_open(tmp_path):
    edited = {"db/versions/b2.py": B.replace("sa.Text", "sa.Integer")}

    [(kind, sentence)] = judged(tmp_path, usual(A, B), edited, execute=False)

    assert kind == edits.UNCLEAR and "another look" in sentence
