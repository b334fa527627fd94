"""Which revision a schema is, proven by making each one's; and the stamp that two people gave."""

import psycopg
import pytest

from environments.schema.rehearsal import adoption
from environments.schema.rehearsal.adoption import StampError, prove, stamp
from environments.schema.rehearsal.report import Request
from tests.cases.builder import Case, revision, table, usual
from tests.cases.looking import Stage, scratch

pytestmark = pytest.mark.slow
A, B = table("a1"), table("b2", "a1")
C = revision(
    "c3",
    "b2",
    'op.add_column("b2", sa.Column("kind", sa.Text, sa.CheckConstraint("kind IN (\'x\', \'y\')")))',
    'op.drop_column("b2", "kind")',
)
ROWS = revision("d4", "c3", "op.execute(\"UPDATE b2 SET kind = 'x'\")")
LEFT, RIGHT, JOINED = table("l1", "a1"), table("r1", "a1"), table("m1", ("l1", "r1"))


def proof_of(case: Case, tmp_path, url: str, *statements: str, at: str = "main"):
    """The proof for a database that the project's own command made at c0, changed by hand since."""
    stage = Stage(case, tmp_path, url)
    stage.own(url, "c0")
    with psycopg.connect(url) as opened:
        for statement in statements:
            opened.execute(statement)
    request = Request(stage.mirror.commit(at), case.alembic, url, root=tmp_path / "servers")
    return prove(stage.mirror, request, on_tried=lambda *_: None, alive=lambda: True)


FORGET = "DROP TABLE alembic_version"


@pytest.mark.parametrize(
    ("main", "staging", "statements", "equal", "words"),
    [
        ((A, B), (A, B, C), [FORGET], (("b2",),), "exactly that of b2, the only one of 3"),
        (
            (A, B, C),
            (A, B, C, ROWS),
            [FORGET],
            (("d4",), ("c3",)),
            "exactly that of d4 and c3: between them no revision changes the schema",
        ),
        (
            (A, B),
            (A, B, C),
            [FORGET, "ALTER TABLE b2 ADD COLUMN byhand int"],
            (),
            "No revision of 3 revisions has this schema. Nearest is b2: table b2 changed:",
        ),
        ((A, LEFT, RIGHT), (A, LEFT, RIGHT, JOINED), [FORGET], (("l1", "r1"),), "l1 + r1"),
    ],
)
def test_tables_without_a_version_table_are_found_among_the_revisions(
    main, staging, statements, equal, words, tmp_path
):
    with scratch() as url:
        found = proof_of(Case("c", {}, usual(*main), usual(*staging)), tmp_path, url, *statements)

    assert found.equal == equal and words in found.sentence and found.before == ()
    assert found.proven is bool(equal)


def test_a_squashed_history_is_proven_and_stamped_once_nobody_changed_anything(tmp_path):
    both = revision(
        "s1",
        None,
        'op.create_table("a1", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.create_table("b2", sa.Column("id", sa.Integer, primary_key=True))',
    )
    gone = {"db/versions/a1.py": None, "db/versions/b2.py": None, "db/versions/s1.py": both}
    with scratch() as url:
        found = proof_of(Case("c", {}, usual(A, B), gone), tmp_path, url)
        given = {"before": found.before, "target": ("s1",), "alive": lambda: True}
        for statement, same, why in (
            ("SELECT 1", False, "The schema was changed since it was proven"),
            ("UPDATE alembic_version SET version_num = 'x'", True, "The version table holds x now"),
            ("UPDATE alembic_version SET version_num = 'b2'", True, ""),
        ):
            with psycopg.connect(url) as opened:
                opened.execute(statement)
            if why:
                with pytest.raises(StampError, match=why):
                    stamp(url, "alembic_version", proven=lambda same=same: same, **given)
            else:
                stamp(url, "alembic_version", proven=lambda: True, **given)
                stamp(url, "alembic_version", proven=lambda: False, **given)  # it is there already
        with psycopg.connect(url) as opened:
            rows = opened.execute("SELECT version_num FROM alembic_version").fetchall()

    assert found.before == ("b2",) and found.equal == (("s1",),)
    assert rows == [("s1",)]


def test_a_stamp_makes_the_version_table_as_alembic_does(tmp_path):
    with scratch() as url:
        stamp(
            url,
            "alembic_version",
            before=(),
            target=("b2",),
            proven=lambda: True,
            alive=lambda: True,
        )
        ours = adoption.shape_of(url, "none")
        stage = Stage(Case("c", {}, usual(A, B)), tmp_path, url)
        assert stage.run().startswith("succeeded: The database is already at this revision")
    with scratch() as url:
        Stage(Case("d", {}, usual(revision("b2"))), tmp_path / "other", url).own(url, "c0")
        theirs = adoption.shape_of(url, "none")

    assert ours == theirs


def test_what_keeps_a_proof_from_being_made_is_said(tmp_path):
    fails = revision("b2", "a1", 'op.execute("SELECT 1/0")')
    with scratch() as url:
        found = proof_of(Case("c", {}, usual(A), usual(A, fails)), tmp_path, url, FORGET)

    assert not found.proven and "could not make the schema of b2" in found.sentence
