"""How a rule describes a risk, and the rules about tables, columns, indexes and constraints."""

from dataclasses import dataclass

INFO, CAUTION, DANGER = "info", "caution", "danger"
RANK = {INFO: 0, CAUTION: 1, DANGER: 2}


@dataclass(frozen=True)
class Rule:
    """`about_time`: harmless on a small table.

    `breaks_old`: code that runs now may trip over it.
    """

    severity: str
    words: str  # {table} is the table's name, with its size where it is known
    rewrite: str = ""
    about_time: bool = False
    breaks_old: bool = False
    loses_data: bool = False


TABLE_RULES = {
    "required-column": Rule(
        DANGER,
        "Adds a NOT NULL column without a default to {table}: it fails as soon as the table has a"
        " row, and code that runs now cannot insert any more.",
        "Add it with a server_default, or nullable, fill it, and set NOT NULL in a later release.",
        breaks_old=True,
    ),
    "rewrite": Rule(
        CAUTION,
        "Rewrites {table} while nobody can read or write it.",
        "Add the column nullable and without that default, fill it in batches, then set the"
        " default.",
        about_time=True,
    ),
    "blocking-index": Rule(
        CAUTION,
        "Builds an index while nobody can write to {table}.",
        "Use postgresql_concurrently=True within op.get_context().autocommit_block().",
        about_time=True,
    ),
    "blocking-index-drop": Rule(
        INFO,
        "Drops an index, for which its table is locked for a moment.",
        "Use postgresql_concurrently=True within op.get_context().autocommit_block().",
    ),
    "concurrent-in-transaction": Rule(
        DANGER,
        "Works concurrently on an index of {table} within a transaction, which PostgreSQL refuses.",
        "Put it into `with op.get_context().autocommit_block():`.",
    ),
    "column-type": Rule(
        CAUTION,
        "Changes a column's type in {table}: it may be rewritten while nobody can read it, and code"
        " that runs now may not fit the new type.",
        "Add a new column, fill it, move the code over, and drop the old one in a later release.",
        breaks_old=True,
    ),
    "rename": Rule(
        DANGER,
        "Renames something in {table}: while the release is rolled out, code and schema do not use"
        " the same name.",
        "Add the new name, write both, move the code over, and drop the old name in a later"
        " release.",
        breaks_old=True,
    ),
    "rename-key": Rule(
        INFO,
        "Renames an index or a constraint: code that runs now fails where it names it, as ON"
        " CONFLICT ON CONSTRAINT does.",
        "Leave the name, or first release code that names the columns.",
        breaks_old=True,
    ),
    "set-not-null": Rule(
        CAUTION,
        "Sets NOT NULL, for which all of {table} is read while nobody can write; code that runs now"
        " may still write null.",
        "Add a CHECK (column IS NOT NULL) NOT VALID, validate it in its own revision, then set NOT"
        " NULL.",
        breaks_old=True,
    ),
    "foreign-key": Rule(
        CAUTION,
        "Adds a foreign key to {table}, for which all of it is read while nobody can write.",
        "Add it with postgresql_not_valid=True and validate it in a later revision.",
        about_time=True,
    ),
    "checked-constraint": Rule(
        CAUTION,
        "Adds a constraint to {table}, for which all of it is read while nobody can write.",
        "Add it with postgresql_not_valid=True and validate it in a later revision.",
        about_time=True,
    ),
    "unique-constraint": Rule(
        CAUTION,
        "Adds a unique constraint to {table}, whose index is built while nobody can read or"
        " write it.",
        "Build a unique index concurrently, then ADD CONSTRAINT … UNIQUE USING INDEX.",
        about_time=True,
    ),
    "drop-column": Rule(
        CAUTION,
        "Drops a column of {table} with all it holds; code of the release before this one cannot"
        " use it any more.",
        "First release code that does not use the column; drop it in a later release.",
        breaks_old=True,
        loses_data=True,
    ),
    "drop-table": Rule(
        DANGER,
        "Drops {table} with all it holds.",
        "First release code that does not use the table; drop it in a later release.",
        breaks_old=True,
        loses_data=True,
    ),
    "drop-other": Rule(
        CAUTION,
        "Drops the {what}, which code that runs now may still use.",
        "First release code that does not use it; drop it in a later release.",
        breaks_old=True,
    ),
}
