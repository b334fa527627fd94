"""One thing that a statement does, and the words for the object on which it acts."""

from dataclasses import dataclass

RELATION, FUNCTION, TYPE, OTHER = "relation", "function", "type", "other"


@dataclass(frozen=True)
class Part:
    """One thing that a statement does.

    `name`: the object it acts on, as people write it; `space`: which names it shares its name with
    (`RELATION`, …).
    `columns`: those it is about. `label`: the word for the object: view, function.
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


SPACES = {
    **dict.fromkeys(
        [
            "TABLE",
            "VIEW",
            "MATVIEW",
            "SEQUENCE",
            "INDEX",
            "FOREIGN_TABLE",
            "TRIGGER",
            "RULE",
            "POLICY",
        ],
        RELATION,
    ),
    **dict.fromkeys(["FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE"], FUNCTION),
    **dict.fromkeys(["TYPE", "DOMAIN"], TYPE),
}


RENAMED = {f"OBJECT_{name}": space for name, space in SPACES.items()} | {
    "OBJECT_COLUMN": "",
    "OBJECT_TABCONSTRAINT": "",
    "OBJECT_TRIGGER": "",
    "OBJECT_RULE": "",
    "OBJECT_POLICY": "",
}
