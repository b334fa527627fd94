"""What a revision is for proof: its own file, and everything else that it can read while it
runs.
"""

import pytest

from environments.schema.history.identity import bound, reads_only_itself
from environments.schema.history.reader import read
from tests.environments.schema.history.histories import repository, source

PLAIN = source("a1", body='op.add_column("t", sa.Column("n", sa.Text, server_default="x"))')
READS = source(
    "a1", body='op.execute((__import__("pathlib").Path(__file__).parent / "data.sql").read_text())'
)
INI = {"alembic.ini": "[alembic]\nscript_location = db\n", "db/env.py": "", "README.md": "one"}


def identity(tmp_path, text: str, *commits: dict[str, str], command: bool = False) -> list[str]:
    """The hash of revision a1 at each commit, the first of which holds `text`."""
    files = INI | {"db/versions/a1.py": text, "db/versions/data.sql": "select 1"}
    mirror = repository(tmp_path / "git", files, *commits)
    found = []
    for number in range(len(commits) + 1):
        history = read(mirror, f"c{number}", "alembic.ini")
        (one,) = bound(mirror, f"c{number}", history, history.revisions.values(), command=command)
        found.append(one.sha256)
    return found


def test_a_revision_that_reads_nothing_else_is_its_file(tmp_path):
    first, other_data, edited = identity(
        tmp_path,
        PLAIN,
        {"db/versions/data.sql": "drop table t"},
        {"db/versions/a1.py": PLAIN + "# more\n"},
    )

    assert first == other_data and first != edited


def test_a_revision_that_can_read_is_its_file_and_what_lies_with_it(tmp_path):
    first, elsewhere, beside, above = identity(
        tmp_path,
        READS,
        {"README.md": "two"},
        {"db/versions/data.sql": "drop table t"},
        {"db/helpers.py": "x = 1"},
    )

    assert first == elsewhere
    assert len({elsewhere, beside, above}) == 3


def test_what_the_projects_own_command_runs_is_bound_to_its_environment_and_its_code(tmp_path):
    plain = identity(
        tmp_path / "1", PLAIN, {"README.md": "two"}, {"db/env.py": "pass"}, command=True
    )
    reads = identity(tmp_path / "2", READS, {"README.md": "two"}, command=True)

    assert plain[0] == plain[1] != plain[2], "its env.py decides what the file means"
    assert reads[0] != reads[1], "it can import all of the repository"


@pytest.mark.parametrize(
    "body",
    [
        'op.execute(open("x.sql").read())',
        "from app.helpers import add; add()",
        "from . import helpers",
        'from importlib import import_module; import_module("app")',
        'sa.util.compat.os.popen("id")',
        'op.execute.__globals__["x"]()',
        'eval("1")',
        'getattr(sa, "x")',
        "op.get_context().config.get_main_option('x')",
    ],
)
def test_every_way_out_of_the_file_is_seen(body):
    assert reads_only_itself(source("a1", body="pass").encode())
    assert not reads_only_itself(source("a1", body=body).encode())


@pytest.mark.parametrize("text", [b"", b"def (", b"\x00", b"(" * 100_000])
def test_what_cannot_be_read_is_not_taken_for_plain(text):
    assert not reads_only_itself(text)
