"""Every kind of statement in PostgreSQL's grammar, and what the portal says about it.

`kinds.txt` has one line for each: the kind as `parts` names it, the codes of the rules (none:
nothing that running code or the way back would notice), an example. What has no line there is
`unknown`, and a person is asked. Tests hold every example against the parser, and every kind of the
grammar against the list.
"""

from dataclasses import dataclass
from pathlib import Path

# What the grammar's source has and its parser never returns for a statement that somebody wrote.
_INTERNAL_NAMES = """
RawStmt SetOperationStmt ReturnStmt PLAssignStmt ReplicaIdentityStmt
AT_AddColumnToView AT_CookedColumnDefault AT_AddIndex AT_ReAddIndex AT_ReAddConstraint
AT_ReAddDomainConstraint
AT_AddIndexConstraint AT_ReAddComment AT_ReplaceRelOptions AT_ReAddStatistics
"""
INTERNAL = frozenset(_INTERNAL_NAMES.split())
UNKNOWN = "unknown"
# What PostgreSQL refuses within a transaction.
_OUTSIDE_NAMES = """
VacuumStmt.VACUUM VacuumStmt.FULL CreatedbStmt DropdbStmt AlterSystemStmt CreateTableSpaceStmt
DropTableSpaceStmt CreateSubscriptionStmt DropSubscriptionStmt
"""
OUTSIDE = frozenset(_OUTSIDE_NAMES.split())
CONCURRENT = frozenset(
    [
        "IndexStmt.CONCURRENTLY",
        "IndexStmt.UNIQUE CONCURRENTLY",
        "DropStmt.INDEX CONCURRENTLY",
        "ReindexStmt.CONCURRENTLY",
        "AlterTableStmt.AT_DetachPartition CONCURRENTLY",
    ]
)
# What changes rows or nothing at all, and no schema.
_ROWS_NAMES = """
InsertStmt.SELECT InsertStmt.CONFLICT UpdateStmt DeleteStmt MergeStmt CopyStmt.FROM
"""
ROWS = tuple(_ROWS_NAMES.split())
_QUIET_NAMES = """
InsertStmt SelectStmt FuncCall VariableS CommentStmt VacuumStmt CopyStmt ExplainStmt
TransactionStmt LockStmt DeclareCursor FetchStmt PrepareStmt ConstraintsSet
"""
_NO_SCHEMA = (*ROWS, *_QUIET_NAMES.split())


@dataclass(frozen=True)
class Kind:
    """One line of the table."""

    codes: tuple[str, ...]
    example: str


def _read(table: str) -> dict[str, Kind]:
    rows = ([cell.strip() for cell in line.split("|", 2)] for line in table.strip().splitlines())
    return {name: Kind(tuple(codes.split()), example) for name, codes, example in rows}


KINDS = _read(Path(__file__).with_name("kinds.txt").read_text())


def codes_of(kind: str) -> tuple[str, ...]:
    """Return what there is to say of a kind; what nobody has described is `unknown`."""
    return KINDS[kind].codes if kind in KINDS else (UNKNOWN,)


def changes_schema(kind: str) -> bool:
    """Return whether statements of this kind change more than rows; an unknown kind does."""
    return not kind.startswith(_NO_SCHEMA)
