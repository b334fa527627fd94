"""Configurations and files as repositories write them: each is read as Alembic reads it, or one
sentence says why.
"""

from tests.cases.builder import INI, Case, env, files, revision, table, usual

A, B = table("a1"), table("b2", "a1")
FLASK = "[alembic]\n# template used to generate migration files\n[loggers]\nkeys = root\n"
SECTIONS = "[alembic]\n\n[users]\nscript_location = users\n\n[shop]\nscript_location = shop\n"
CODE = (
    "from alembic import config\n\nmine ="
    ' config.Config("alembic.ini")\nmine.set_main_option("script_location", "db")\n'
)
CONSTANTS = '''"""Second"""

PREFIX = "b"
LAST = "a1"
revision = f"{PREFIX}2"
down_revision = LAST


def upgrade():
    pass
'''
SUM = '''"""Second"""

revision = "b" + "2"
down_revision = ("a" + "1",)
branch_labels = {"x"}


def upgrade():
    pass
'''


def placed(
    script: str, ini: str, at: str = "alembic.ini", *more: str, **files_more: str
) -> dict[str, str | None]:
    """Return a layout with its script directory at `script`, and both revisions in its versions."""
    return {
        at: ini,
        f"{script}/env.py": env(),
        **files(A, B, *more, under=f"{script}/versions"),
        **files_more,
    }


def read(
    name: str, expected: str, layout: dict[str, str | None], alembic: str = "alembic.ini"
) -> Case:
    return Case(name, {"read": expected}, layout, {}, alembic)


CASES = [
    read(
        "flask-directory",
        "heads b2",
        placed("migrations", FLASK, "migrations/alembic.ini"),
        "migrations",
    ),
    read(
        "flask-ini-inside",
        "heads b2",
        placed("migrations", FLASK, "migrations/alembic.ini"),
        "migrations/alembic.ini",
    ),
    read("directory-beside-ini", "heads b2", placed("migrations", "[alembic]\n"), "migrations"),
    read(
        "no-location",
        "“alembic.ini” has no `script_location`. In the repository: “migrations”.",
        placed("migrations", "[alembic]\n"),
    ),
    read(
        "location-by-code",
        "“alembic.ini” has no `script_location`, since code sets it (app/db.py, line 4). In the"
        " repository: “db”.",
        placed("db", "[alembic]\n") | {"app/db.py": CODE},
    ),
    read(
        "location-with-placeholder",
        "“alembic.ini” has a placeholder in `script_location` (“{root}/db”), which only code can"
        " fill in. In the repository: “db”.",
        placed("db", "[alembic]\nscript_location = {root}/db\n"),
    ),
    read(
        "url-with-placeholders",
        "heads b2",
        placed("db", INI + "sqlalchemy.url = postgresql://{user}:%(PASSWORD)s@{host}/x\n"),
    ),
    read(
        "sections-unnamed",
        "in its section [alembic], but in others; use “alembic.ini:users” or “alembic.ini:shop”.",
        placed("users", SECTIONS) | {"shop/env.py": env()},
    ),
    read(
        "section-named",
        "heads b2",
        placed("users", SECTIONS) | {"shop/env.py": env()},
        "alembic.ini:users",
    ),
    read(
        "ini-below-the-root",
        "heads b2",
        placed(
            "backend/app/db", "[alembic]\nscript_location = app/db\n", "backend/conf/alembic.ini"
        ),
        "backend/conf/alembic.ini",
    ),
    read(
        "package-location",
        "heads b2",
        placed("src/shop/db", "[alembic]\nscript_location = shop.db:\n"),
    ),
    read(
        "package-and-path",
        "heads b2",
        placed("shop/db/own", "[alembic]\nscript_location = shop:db/own\n"),
    ),
    read(
        "locations-by-colon",
        "heads d4",
        {
            "alembic.ini": INI + "version_locations = a:b:c:d\nversion_path_separator = :\n",
            "db/env.py": env(),
        }
        | {
            f"{n}/{text[3:][:9].split()[-1]}.py": text
            for n, text in zip("abcd", [A, B, table("c3", "b2"), table("d4", "c3")], strict=True)
        },
    ),
    read(
        "locations-by-os",
        "heads b2",
        {
            "alembic.ini": (
                INI + "version_locations = %(here)s/one:%(here)s/two\npath_separator = os\n"
            )
        }
        | {"db/env.py": env(), **files(A, under="one"), **files(B, under="two")},
    ),
    read(
        "pyproject",
        "heads b2",
        placed("db", '[tool.alembic]\nscript_location = "%(here)s/db"\n', "pyproject.toml"),
        "pyproject.toml",
    ),
    read("constants", "heads b2", usual(A, CONSTANTS)),
    read("sum-of-texts", "heads b2", usual(A, SUM)),
    read(
        "computed",
        "db/versions/b2.py computes `revision` on line 2",
        usual(
            A,
            **{
                "db/versions/b2.py": (
                    "import os\nrevision = os.urandom(2).hex()\ndown_revision = 'a1'\n"
                )
            },
        ),
    ),
    read(
        "reserved-id",
        "uses the name “base”, which means something else to Alembic",
        usual(revision("base")),
    ),
    read(
        "nothing-there",
        "No revision was found. Looked in “db/versions”, which is not in the repository.",
        usual(),
    ),
    read(
        "nothing-but-a-readme",
        "Looked in “db/versions”, which holds README. Other script directories: “old”.",
        usual(**{"db/versions/README": "", "old/env.py": env(), "old/versions/x": ""}),
    ),
    read(
        "no-path", "No revision was found. Looked in nowhere, for no path was given.", usual(A), ""
    ),
    read(
        "wrong-path",
        "There is no “alembic.ini” in the repository",
        placed("backend/db", "[alembic]\nscript_location = db\n", "backend/alembic.ini"),
    ),
    Case("first-release", {"read": "heads b2; new a1 b2"}, {"README": ""}, usual(A, B)),
    Case(
        "prune-read",
        {"read": "heads b4; new b4; changed a3; deleted a1 a2"},
        usual(A, table("a2", "a1"), table("a3", "a2")),
        usual(
            table("a3"), table("b4", "a3"), **{"db/versions/a1.py": None, "db/versions/a2.py": None}
        ),
    ),
]
