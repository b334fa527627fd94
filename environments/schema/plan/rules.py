"""The description of each risk: its severity, what it means, and how to avoid it."""

from environments.schema.plan.table_rules import CAUTION, DANGER, INFO, TABLE_RULES, Rule

_BY_HAND = "Do it manually, outside the migrations."
_WITH_A_BACKUP = "Do it manually, with a backup."
_IN_PLAIN_WORDS = "Write its statements out, or read it and accept it."
RULES = TABLE_RULES | {
    "truncate": Rule(DANGER, "Empties {table}.", _WITH_A_BACKUP, breaks_old=True, loses_data=True),
    "long-lock": Rule(
        CAUTION,
        "Locks {table} until its transaction ends.",
        "Use the CONCURRENTLY form, or do it in its own revision at a quiet time.",
        about_time=True,
    ),
    "data-change": Rule(
        CAUTION,
        "Changes rows of {table} in one transaction, which holds their locks until it ends.",
        "Change some 1,000 rows at a time, with a commit after each batch: within"
        " op.get_context().autocommit_block(), or by a command of the application.",
        about_time=True,
    ),
    "data-loss": Rule(
        CAUTION,
        "Deletes rows of {table}, which no downgrade brings back.",
        _WITH_A_BACKUP,
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
        _IN_PLAIN_WORDS,
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
        "Rebuilds {table} while nobody can read it.",
        "Use REFRESH MATERIALIZED VIEW CONCURRENTLY.",
        about_time=True,
    ),
    "unlogged": Rule(
        DANGER,
        "Makes {table} unlogged: a crash of the server, and every restore of a backup, empties it.",
        "Keep it logged, unless its rows can be made again.",
    ),
    "calls": Rule(
        CAUTION, "Calls {called}, which the rules cannot analyze.", _IN_PLAIN_WORDS, breaks_old=True
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
        _BY_HAND,
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
        _BY_HAND,
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
