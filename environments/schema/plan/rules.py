"""What each risk means to people: how bad it is, in plain words, and how to write it instead.

Names on the left of `SQUAWK` are squawk's (squawkhq.com/docs/rules); its rules on style are not
among them.
"""

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


RULES = {
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
    "truncate": Rule(
        DANGER,
        "Empties {table}.",
        "Do it manually, with a backup.",
        breaks_old=True,
        loses_data=True,
    ),
    "long-lock": Rule(
        CAUTION,
        "Locks {table} until its transaction ends.",
        "Use the CONCURRENTLY form, or do it in its own revision at a quiet time.",
        about_time=True,
    ),
    "data-change": Rule(
        CAUTION,
        "Changes rows of {table} in one transaction, which holds their locks until it ends.",
        "Change them in batches with a commit after each, outside the migration.",
        about_time=True,
    ),
    "data-loss": Rule(
        CAUTION,
        "Deletes rows of {table}, which no downgrade brings back.",
        "Do it manually, with a backup.",
        loses_data=True,
    ),
    "data-mixed": Rule(
        CAUTION,
        "Changes rows of {table} in the same revision as the schema, so the schema's locks are held"
        " all the while.",
        "Put the data into a revision of its own.",
        about_time=True,
    ),
    "opaque": Rule(
        CAUTION,
        "Runs a DO block, which the rules cannot analyze.",
        "Write its statements out, or read it and accept it.",
        breaks_old=True,
    ),
    "unreadable": Rule(INFO, "squawk could not read a statement, so fewer rules looked at it."),
    "unknown": Rule(
        CAUTION,
        "The portal does not know this statement ({kind}). {why}",
        "Write it in another way, or read it and accept it.",
        breaks_old=True,
    ),
    "cascade": Rule(
        DANGER,
        "Drops the {what} and, by CASCADE, everything that depends on it: columns, views, keys of"
        " other tables.",
        "Drop by name what is to go, without CASCADE.",
        breaks_old=True,
        loses_data=True,
    ),
    "moved": Rule(
        DANGER,
        "Moves the {what} to another schema: code that runs now looks for it in the old one.",
        "Make it in the new schema, move the code over, and drop the old one in a later release.",
        breaks_old=True,
    ),
    "row-security": Rule(
        CAUTION,
        "Changes which rows of {table} a role may see or write; code that runs now may find none.",
        "Try it with the role of the running code, and release it apart from other changes.",
        breaks_old=True,
    ),
    "rights": Rule(
        CAUTION,
        "Takes rights away or changes an owner: code that runs now may be refused.",
        "First release code that does without these rights.",
        breaks_old=True,
    ),
    "drop-default": Rule(
        CAUTION,
        "Takes the default of {columns} in {table} away: code that runs now may rely on it when it"
        " inserts.",
        "First release code that always gives a value; drop the default in a later release.",
        breaks_old=True,
    ),
    "change-default": Rule(
        INFO, "Rows inserted into {table} without {columns} get another value from now on."
    ),
    "drop-key": Rule(
        CAUTION,
        "Drops the {dropped}, which may be unique: ON CONFLICT and foreign keys that need it then"
        " fail.",
        "Make the new key first; write a downgrade that makes the old one again, which tells what"
        " it was.",
        breaks_old=True,
    ),
    "loosened": Rule(
        INFO,
        "{table} may hold what it could not hold before; earlier code reads what new code writes"
        " after this.",
    ),
    "narrowed": Rule(
        INFO,
        "{table} no longer takes every row that it took: code that runs now may be refused when it"
        " writes.",
        "First release code that keeps to the new rule.",
        breaks_old=True,
    ),
    "trigger": Rule(
        CAUTION,
        "Changes what happens by itself when rows of {table} are written, also when code that runs"
        " now writes them.",
        "Try it with the running code, and release it apart from other changes.",
        breaks_old=True,
    ),
    "changed-object": Rule(
        CAUTION,
        "Changes the {what} for everybody at once, also for code that runs now.",
        "Make it under a new name, move the code over, and drop the old one in a later release.",
        breaks_old=True,
    ),
    "enum-value": Rule(
        CAUTION,
        "Adds a value to the {what}: earlier code cannot read rows in which new code has written"
        " it, and PostgreSQL cannot take it away again.",
        "First release code that knows the value and does not write it.",
        breaks_old=True,
    ),
    "sequence": Rule(
        CAUTION,
        "Changes how a sequence counts: code that runs now may get numbers that are taken, or"
        " none.",
        "Only raise it, above the largest number in use.",
        breaks_old=True,
    ),
    "detach-partition": Rule(
        DANGER,
        "Takes rows out of {table}: code that runs now does not find them there any more.",
        "First release code that does not need them.",
        breaks_old=True,
    ),
    "attach-partition": Rule(
        CAUTION,
        "Adds a partition to {table}, for which its default partition and the new one may be read"
        " under a lock.",
        "Add a CHECK constraint that says the same as the partition's bounds first.",
        about_time=True,
    ),
    "refresh": Rule(
        CAUTION,
        "Works {table} out anew while nobody can read it.",
        "Use REFRESH MATERIALIZED VIEW CONCURRENTLY.",
        about_time=True,
    ),
    "unlogged": Rule(
        DANGER,
        "Makes {table} unlogged: a crash of the server, and every restore of a backup, empties it.",
        "Keep it logged, unless its rows can be made again.",
    ),
    "calls": Rule(
        CAUTION,
        "Calls {called}, which the rules cannot analyze.",
        "Write its statements out, or read it and accept it.",
        breaks_old=True,
    ),
    "session": Rule(
        CAUTION,
        "Changes a setting of the session ({what}): the statements after it may mean something else"
        " than they show.",
        "Name schemas and types in full, and leave the settings alone.",
    ),
    "server-wide": Rule(
        CAUTION,
        "Changes the whole server or its roles, not only this database; a rehearsal cannot"
        " show it.",
        "Do it manually, outside the migrations.",
        breaks_old=True,
    ),
    "replication": Rule(
        CAUTION,
        "Changes what is sent to other databases; those who receive it are not seen from here.",
        "Agree on it with whoever receives it, and do it manually.",
        breaks_old=True,
    ),
    "foreign-server": Rule(
        CAUTION,
        "Changes how another server is reached; a rehearsal does not reach it.",
        "Do it manually, outside the migrations.",
        breaks_old=True,
    ),
    "transaction-control": Rule(
        DANGER,
        "Ends or begins a transaction by itself ({what}): when a later statement fails, what came"
        " before it stays.",
        "Leave transactions to Alembic; use `with op.get_context().autocommit_block():` for what"
        " must run outside.",
        breaks_old=True,
    ),
    "not-in-transaction": Rule(
        DANGER,
        "PostgreSQL refuses this statement within a transaction.",
        "Put it into `with op.get_context().autocommit_block():`.",
    ),
    "expand": Rule(
        INFO,
        "The candidate is live before this runs: its code cannot use what is added here "
        "({table}) yet.",
    ),
    "unrendered": Rule(
        CAUTION,
        "Its effect is known only after a run. {why}",
        "Write it as plain operations, or read it.",
    ),
    "no-way-back": Rule(
        CAUTION,
        "It cannot be undone, and earlier code may not work with it. {why}",
        "Write a downgrade, or accept that there is none.",
    ),
    "no-downgrade": Rule(INFO, "It cannot be undone, but earlier code works with it. {why}"),
    "way-back-unknown": Rule(INFO, "What its downgrade does is not known. {why}"),
}
SQUAWK = {
    "adding-required-field": "required-column",
    "adding-field-with-default": "rewrite",
    "adding-serial-primary-key-field": "rewrite",
    "require-concurrent-index-creation": "blocking-index",
    "require-concurrent-index-deletion": "blocking-index-drop",
    "changing-column-type": "column-type",
    "renaming-column": "rename",
    "renaming-table": "rename",
    "adding-not-nullable-field": "set-not-null",
    "adding-foreign-key-constraint": "foreign-key",
    "constraint-missing-not-valid": "checked-constraint",
    "disallowed-unique-constraint": "unique-constraint",
    "ban-drop-column": "drop-column",
    "ban-drop-table": "drop-table",
    "syntax-error": "unreadable",
}
