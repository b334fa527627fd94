"""One thing that a statement does, and the words for the object on which it acts."""

from dataclasses import dataclass

RELATION, FUNCTION, TYPE, OTHER = "relation", "function", "type", "other"


@dataclass(frozen=True)
class Part:
    """One thing that a statement does.

    `name`: the object it acts on, as people write it; `space`: what shares its names; `columns`:
    those it is about; `label`: the word for the object, such as view.
    """

    kind: str
    name: str = ""
    space: str = RELATION
    columns: tuple[str, ...] = ()
    label: str = ""

    @property
    def table(self) -> str:
        """Return the table (or other relation) it acts on; "" for other objects."""
        return self.name if self.space == RELATION else ""


LABELS = {
    "MATVIEW": "materialized view",
    "FDW": "foreign data wrapper",
    "STATISTIC_EXT": "statistics object",
    "AMOP": "operator",
    "OPCLASS": "operator class",
    "OPFAMILY": "operator family",
    "TSCONFIGURATION": "text search configuration",
    "TSDICTIONARY": "text search dictionary",
    "TSPARSER": "text search parser",
    "TSTEMPLATE": "text search template",
}
ON_TABLE = ("TRIGGER", "RULE", "POLICY")  # their names follow that of their table
RELATIONS = ("TABLE", "VIEW", "MATVIEW", "SEQUENCE", "INDEX", "FOREIGN_TABLE")
SPACES = {
    **dict.fromkeys([*RELATIONS, *ON_TABLE], RELATION),
    **dict.fromkeys(["FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE"], FUNCTION),
    **dict.fromkeys(["TYPE", "DOMAIN"], TYPE),
}


def label_of(what: str) -> str:
    """Return the word for a kind of object, as the grammar names it: `MATVIEW`."""
    return LABELS.get(what, what.lower().replace("_", " "))
