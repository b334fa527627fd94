"""The header of one revision file: what the quick scan says must be what `ast` says."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from environments.schema.history.revision import Revision
from environments.schema.history.revision_file import UnreadableError, judge
from environments.schema.history.revision_scan import scan

TEMPLATE = '''"""add signals

Revision ID: 1975ea83b712
Revises: ae1027a6acf

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "1975ea83b712"
down_revision: Union[str, Sequence[str], None] = 'ae1027a6acf'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: str | None = None


def upgrade() -> None:
    """Upgrade."""
    op.execute("""
        insert into x values ('revision', "down_revision") -- it's
    """)


def downgrade() -> None:
    """Downgrade."""
    op.drop_table("signals")
'''


def test_the_quick_scan_knows_the_common_template():
    header = scan(TEMPLATE.encode())

    assert header == judge(TEMPLATE.encode(), "x.py")
    assert header == Revision(
        "1975ea83b712", ("ae1027a6acf",), (), (), message="add signals", has_downgrade=True
    )


VALUES = [
    "'a1'",
    '"b2"',
    "None",
    "()",
    "[]",
    "('a1', 'b2')",
    '("a1",)',
    "['c3', 'd4']",
    "'a' 'b'",
    "('a1')",
    "f'a'",
    "f()",
    "PREVIOUS",
    "'a' + 'b'",
    "'a' if x else 'b'",
    "'ü'",
    "3",
    "b'a'",
    "('a', None)",
    "r'a'",
    "'\\x61'",
    "'a'; revision = 'z'",
    "'a' # revision",
    "(\n'a',\n'b')",
    "\\\n'a'",
    "'''a'''",
    "x = 'a'",
]
NAMES = ["revision", "down_revision", "branch_labels", "depends_on"]
ODD = [
    "from x import *",
    "from x import revision",
    "import sqlalchemy as depends_on",
    "import os",
    "# revision = 'q'",
    "x = dict(\nrevision='q'\n)",
    "if x:\n    revision = 'q'",
    "for revision in x: pass",
    "del revision",
    "def f():\n    global revision\n    revision = 'q'",
    "def f():\n    revision = 'q'",
    "class A:\n    revision = 'q'",
    "x = (revision := 'q')",
    "globals()['revision'] = 'q'",
    "def f(): return vars()",
    "exec('revision = 1')",
    "x = '''\nrevision = 'q'\n'''",
    's = f\'{x}\' + """\nrevision = \'q\'\n"""',
    "revision = down_revision = 'q'",
    "revision, down_revision = 'q', 'r'",
    "try:\n    import x\nexcept E as revision:\n    pass",
    "revision: str",
    "@revision\ndef f(): pass",
    "def revision(): pass",
    "revision += 'q'",
    "ｒevision = 'q'",
    "x = '\\''",
    "x = 'it\"s'",
    "'''late doc'''",
    "def f(x=(revision := 'q')): pass",
    "x = \"\\\\\"; revision = 'q'",
    "x = ''''a'''",
    "\x0crevision = 'q'",
    "# c\rrevision = 'q'",
    "if x:\\\nrevision = 'q'",
    "x = lambda: 0",
    "with a as revision: pass",
    "op.alter(revision='q')",
    "x = r'\\'",
    "def f():\n    return 'x' \\\n",
    "x = [\n",
    "]",
    "match x:\n    case {**revision}: pass",
    "type revision = int",
]
DOCS = [
    "",
    '"""add it"""\n',
    '"""add "it"\n\nmore revision"""\n',
    "'''single'''\n",
    "'plain'\n",
    'r"""raw"""\n',
    'f"""x"""\n',
    '"""a""" """b"""\n',
    '"""a""".strip()\n',
    '# a comment\n\n"""ä doc"""\n',
    '"""esc\\n"""\n',
    "x = 1\n",
    '"""a"""; x\n',
    "# -*- coding: latin-1 -*-\n",
    '""" """\n',
    '"""\n\n  deep\n"""\n',
    "\ufeff",
    '"""a"""+"""b"""\n',
    '"""win"""\r\n',
]
TAILS = [
    "",
    "\ndef downgrade():\n    pass\n",
    "\ndef downgrade():\n    op.drop()\n",
    "\ndef downgrade(): pass\n",
    "\ndef downgrade():\n    raise NotImplementedError\n",
    "\ndef downgrade():\n    '''doc'''\n",
    "\ndef downgrade():\n    # nothing\n    pass\n    op.x()\n",
    '\ndef downgrade() -> None:\n    """Doc."""\n    # c\n    pass\n',
    "\ndef downgrade():\n    with op.batch() as b:\n        b.x()\n",
    "\ndef downgrade():\n    return\n",
    "\ndowngrade = None\n",
    "\ndef downgrade():\n    op.x()\n\ndef downgrade():\n    pass\n",
    "\nasync def downgrade():\n    op.x()\n",
    "\nx = '''\ndef downgrade():\n    op.x()\n'''\n",
    "\ndef downgrade():\n    None\n",
    "\ndef downgrade():\n    'x'.join()\n",
    "\ndef downgrade():\n    pass\n\nx = 1\n",
    "\ndef downgrade():\n    ...\n",
    "\ndef downgrade(\n):\n    pass\n",
    "\nclass A:\n    def downgrade(self):\n        op.x()\n",
    "\ndef downgrade():\n    'doc' 'more'\n    pass\n",
]

ABOVE = [
    "# revision identifiers, used by Alembic.",
    "# revision = 'q'",
    "import os  # its branch_labels",
    "from x import branch_labels",
    "import depends_on  # revision identifiers",
    "import x as branch_labels",
    "import os, a.depends_on",
    "from x import *",
    "\x0c",
    "import \\\nbranch_labels",
    "from x import (\n    depends_on)",
    "# revision identifiers\rbranch_labels = 'q'",
    "import os",
    "branch_labels = 'q'; x = 1",
    "globals()['depends_on'] = 'q'",
    "# revision identifiers\x0cimport depends_on",
    "import x  # -*- coding: latin-1 -*-",
    "from x import ａ, branch_ｌabels",
    "import os; import depends_on",
]
STARTS = [
    [],
    ["revision = 'a1'", "down_revision = None"],
    ["revision: str = 'a1'", "down_revision = ('b', 'c')"],
]
assignments = st.builds(
    lambda name, note, value: f"{name}{note} = {value}",
    st.sampled_from(NAMES),
    st.sampled_from(["", ": str", ": Union[str, None]", ": 'x'", ": (revision := str)", " "]),
    st.sampled_from(VALUES),
)
plain = st.builds(
    lambda name, value: f"{name} = {value}", st.sampled_from(NAMES[2:]), st.sampled_from(VALUES[:8])
)
sources = st.builds(
    lambda doc, above, first, middle, tail, end: end.join(
        (doc + "\n".join([*above, *first, *middle, ""]) + tail).split("\n")
    ),
    st.sampled_from(DOCS),
    st.lists(st.sampled_from(ABOVE), max_size=2),
    st.sampled_from(STARTS),
    st.lists(plain | assignments | st.sampled_from(ODD), max_size=4),
    st.sampled_from(TAILS),
    st.sampled_from(["\n", "\n", "\n", "\r\n"]),
)


@settings(max_examples=500, deadline=None, database=None)
@given(sources)
@example(TEMPLATE)
def test_the_quick_scan_never_says_other_than_ast(source):
    content = source.encode()

    quick = scan(content)

    if quick is not None:
        try:
            compile(content, "x.py", "exec")
        except (SyntaxError, ValueError):
            return  # a file that Alembic could not load either; whatever is new is read by `judge`
        assert quick == judge(content, "x.py")


@settings(max_examples=150, deadline=None, database=None)
@given(sources)
def test_what_ast_says_is_what_running_the_file_says(source):
    """The judge itself, held against the truth: the module's own namespace, for files that can
    be run.
    """
    content = source.encode()
    try:
        message = judge(content, "x.py")
        code = compile(content, "x.py", "exec")
        space: dict = {"x": {}, "op": None}
        exec(code, space)  # noqa: S102
    except Exception:  # noqa: BLE001
        return

    down = space["down_revision"]

    assert message.id == space["revision"]
    assert message.down == (
        () if down is None else (down,) if isinstance(down, str) else tuple(down)
    )


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("start", STARTS[1:])
def test_whatever_stands_above_the_names_the_quick_scan_says_what_ast_says(above, start):
    content = "\n".join(['"""Doc"""', above, *start, ""]).encode()

    quick = scan(content)

    assert quick is None or quick == judge(content, "x.py")
    if above.startswith("#") and above.isprintable():
        assert quick is not None


@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [
        ("revision = make()\ndown_revision = None", "computed", 1),
        ("revision = 'a'\n\ndown_revision = LAST", "computed", 3),
        ("revision = 'a'\ndown_revision = None\nfrom x import *", "computed", 3),
        ("revision = 'a'\ndown_revision = None\nif x:\n    revision = 'b'", "computed", 4),
        ("revision = 'a'\ndown_revision = 'b' 'c' + x", "computed", 2),
        ("revision = 'a'\ndown_revision = (", "unreadable", 2),
        ("revision = 'a'\ndown_revision = 7", "unreadable", 2),
        ("revision = 'a'", "unreadable", 0),
        ("x = 1", "unreadable", 0),
        ("revision = 'a'\ndown_revision = None\nx = '" + "a" * 1_000_001 + "'", "unreadable", 0),
        ("revision = 'a'\ndown_revision = None\n\0", "unreadable", 0),
    ],
)
def test_it_refuses_to_guess(source, kind, line):
    with pytest.raises(UnreadableError) as raised:
        judge(source.encode(), "x.py")

    assert raised.value.kind == kind
    assert raised.value.line == line or kind == "unreadable"
    assert scan(source.encode()) is None


def test_very_old_files_take_their_id_from_their_name():
    assert judge(b"down_revision = None", "1975ea83b712.py").id == "1975ea83b712"


def test_bytes_in_another_encoding_are_read_as_python_reads_them():
    content = "# coding: latin-1\n'''Grün'''\nrevision = 'a'\ndown_revision = None\n".encode(
        "latin-1"
    )

    assert judge(content, "x.py").message == "Grün"
    with pytest.raises(UnreadableError):
        judge(content.partition(b"\n")[2], "x.py")


def test_deep_nesting_is_a_reason_and_not_a_crash():
    content = b"revision = 'a'\ndown_revision = None\nx = " + b"-" * 40_000 + b"1\n"

    with pytest.raises(UnreadableError):
        judge(content, "x.py")
