"""How a database stands beside its branch, by what its version table says; no database is
touched.
"""

import pytest

from environments.schema.history.graph import build
from environments.schema.history.revision import Revision
from environments.schema.history.status import status_of, timeline


def history(**parents: str):
    """Revisions by id; the value names its parents, as in `m="b c"`."""
    rows = [
        Revision(
            id, tuple(down.split()), (), (), f"versions/{id}.py", id * 64, f"Change {id}", True
        )
        for id, down in parents.items()
    ]
    return build(rows, ("versions",), (), recursive=False)


LINE = history(a="", b="a", c="b")
LONGER = history(a="", b="a", c="b", d="c", e="d")
MERGED = history(a="", b="a", c="a", m="b c")


@pytest.mark.parametrize(
    ("current", "own", "state", "words", "between", "beyond"),
    [
        (["c"], LINE, "level", "production's database is at the head of main.", [], []),
        (["a"], LINE, "behind", "behind main by 2 revisions: b and c.", ["b", "c"], []),
        ([], LINE, "behind", "behind main by 3 revisions: a, b and c.", ["a", "b", "c"], []),
        (
            ["e"],
            LINE,
            "ahead",
            "ahead of main by 2 revisions: d and e, which staging has.",
            [],
            ["d", "e"],
        ),
        (["zz"], LINE, "unknown", "at zz, which no file of main and staging has", [], ["zz"]),
        (["c", "zz"], LINE, "unknown", "at zz", [], ["zz"]),
        (
            ["a", "b"],
            LINE,
            "overlap",
            "holds a beside b, which builds upon it; Alembic refuses that",
            [],
            [],
        ),
        (["b", "c"], MERGED, "heads", "holds two heads, b and c, which m joins", ["m"], []),
        (["m"], MERGED, "level", "at the head", [], []),
        (["a"], history(a="", b="nowhere"), "broken", "“nowhere”, which no file here has", [], []),
        (None, LINE, "unread", "has not been read", [], []),
    ],
)
def test_a_database_is_named_in_words(current, own, state, words, between, beyond):
    found = status_of("production", current, "main", own, {"staging": LONGER})

    assert (found.state, [one.id for one in found.between], list(found.beyond)) == (
        state,
        between,
        beyond,
    )
    assert words in found.sentence and found.sentence.endswith(".")


def test_the_timeline_reaches_down_to_the_last_database_and_says_which_branch_has_what():
    many = history(**{f"r{n:03}": f"r{n - 1:03}" if n else "" for n in range(100)})

    entries, left = timeline({"staging": many, "main": LINE}, {"r050", "b"}, most=10)
    short, older = timeline({"staging": LONGER, "main": LINE}, {"c", "e"})

    assert len(entries) == 11 and left == 92 and {"r050", "b"} <= {entry.id for entry in entries}
    assert [(one.id, one.branches) for one in short] == [
        ("e", ("staging",)),
        ("d", ("staging",)),
        ("c", ("staging", "main")),
        ("b", ("staging", "main")),
        ("a", ("staging", "main")),
    ]
    assert older == 0
    [merge] = [one for one in timeline({"main": MERGED}, set())[0] if one.joins]
    assert (merge.id, merge.joins) == ("m", ("b", "c"))
