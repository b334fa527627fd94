"""What the edit of a shipped revision file changes: its form, its place, or the SQL that it runs.

Another form, and the same SQL up and down, are information. Other SQL would make databases differ
that report the same revision: that needs two people.
"""

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from environments.git.repository import Mirror
from environments.schema.history.changes import Change
from environments.schema.history.constants import parsed
from environments.schema.history.graph import History
from environments.schema.history.revision import Revision
from environments.schema.history.revision_file import MAX_FILE_BYTES
from environments.schema.plan.render import Rendered, Step, make_plan
from environments.schema.run.command import Command
from environments.schema.sql.parser import words

FORM, SAME, PRUNED, OTHER = "form", "same", "pruned", "other"
UNCLEAR = "unclear"  # only the SQL could show that, and nothing was executed


@dataclass(frozen=True)
class Edit:
    """One shipped file that differs.

    `kind`: form, same (the SQL), pruned (older ones went), other (blocks), unclear (not executed).
    """

    revision: str
    path: str
    sha256: str
    kind: str
    sentence: str

    @classmethod
    def of(cls, revision: Revision, kind: str, what: str) -> Self:
        """Return the edit of this file; the sentence begins with its path."""
        sentence = f"{revision.path} {what}"
        return cls(revision.id, revision.path, revision.sha256, kind, sentence)

    @property
    def blocks(self) -> bool:
        """Whether two people must answer for it."""
        return self.kind == OTHER


def judge(
    mirror: Mirror,
    since: str,
    until: str,
    change: Change,
    histories: tuple[History, History],
    *,
    ran: Collection[str] = (),
    stamped: Mapping[str, Collection[str]] | None = None,
    command: Callable[[], Command | None] = lambda: None,
    execute: bool = True,
) -> tuple[Edit, ...]:
    """Return what each edited or deleted file of `change` comes to; `histories`: before and after
    it.

    `ran`: the revisions that the databases report, () where not known; `stamped`: what a proven
    stamp put each in the place of. `command` is asked only where SQL has to be compared, which is
    left open without `execute`. Raise `GitError`.
    """
    before, after = histories
    gone = _pruned(before, after, [revision.id for revision in change.deleted], ran, stamped or {})
    removed = "was removed; every database is past it."
    edits = [
        Edit.of(revision, PRUNED, removed) for revision in change.deleted if revision.id in gone
    ]
    unclear = []
    for edited in change.changed:
        old = before.revisions[edited.id]
        if moved := _moved(old, edited, gone):
            edits.append(Edit.of(edited, OTHER, moved))
        elif (
            _form(_text(mirror, since, old.path)) == _form(_text(mirror, until, edited.path)) != ""
        ):
            edits.append(
                Edit.of(edited, FORM, "was edited in form only: what it does is the same.")
            )
        else:
            unclear.append(edited)
    if not execute:
        message = "was edited after it was shipped; whether it runs the same SQL is another look."
        return (*edits, *(Edit.of(revision, UNCLEAR, message) for revision in unclear))
    judged = command() if unclear else None
    return (*edits, *by_sql(mirror, since, until, unclear, histories, command=judged))


def by_sql(
    mirror: Mirror,
    since: str,
    until: str,
    edited: Sequence[Revision],
    histories: tuple[History, History],
    *,
    command: Command | None = None,
    patient: bool = False,
    reviewed: bool = True,
) -> list[Edit]:
    """Render both versions of `edited`, upgrade and downgrade, and return what each edit comes to.

    The last three as for `make_plan`, which also says what it raises.
    """
    if not edited:
        return []
    was = [histories[0].revisions[revision.id] for revision in edited]
    old, new = (
        make_plan(
            mirror, commit, history, files, command=command, patient=patient, reviewed=reviewed
        ).steps
        for commit, history, files in ((since, histories[0], was), (until, histories[1], edited))
    )
    return [_compared(*revision) for revision in zip(edited, old, new, strict=True)]


def _compared(revision: Revision, old: Step, new: Step) -> Edit:
    what = "was edited after it was shipped"
    for way in (old.upgrade, new.upgrade, old.downgrade, new.downgrade):
        if way.kind not in ("", "missing"):
            what += f", and whether it runs the same SQL cannot be told. {way.problem}"
            return Edit.of(revision, OTHER, what)
    pairs = {"upgrade": (old.upgrade, new.upgrade), "downgrade": (old.downgrade, new.downgrade)}
    ways = [way for way, (first, second) in pairs.items() if _sql(first) != _sql(second)]
    if not ways:
        return Edit.of(revision, SAME, f"{what}; its SQL is the same, up and down.")
    return Edit.of(revision, OTHER, f"{what} and now runs other SQL ({' and '.join(ways)}).")


def _sql(way: Rendered) -> list[tuple[tuple[str, ...], bool]]:
    return [(words(statement.sql), statement.in_transaction) for statement in way.statements]


def _pruned(
    before: History,
    after: History,
    deleted: Sequence[str],
    ran: Collection[str],
    stamped: Mapping[str, Collection[str]],
) -> frozenset[str]:
    """Return those of `deleted` that every database is past: as Alembic advises, they may go."""
    if not deleted or not ran or not set(ran) <= after.revisions.keys():
        return frozenset()
    origins = [[id] if id in before.revisions else stamped.get(id, ()) for id in ran]
    if any(not origin or not set(origin) <= before.revisions.keys() for origin in origins):
        return frozenset()
    return before.ancestors(id for origin in origins for id in origin) & set(deleted)


def _moved(old: Revision, new: Revision, gone: frozenset[str]) -> str:
    """Return how the edit moves the revision, but for pruned parents; "" when it does not."""
    if set(old.down) - gone == set(new.down) and set(old.depends_on) - gone == set(new.depends_on):
        return ""
    parents = [" and ".join(revision.down) or "nothing" for revision in (old, new)]
    return (
        f"was edited after it was shipped: it built upon {parents[0]} and now builds upon"
        f" {parents[1]}. Databases that ran it are not changed by that; put a new revision on top"
        " instead."
    )


def _text(mirror: Mirror, commit: str, path: str) -> bytes:
    content = mirror.read_file(commit, path) or b""
    return content if len(content) <= MAX_FILE_BYTES else b""


class _Formless(ast.NodeTransformer):
    """Takes out what a run does not see: docstrings, annotations, imports of types."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node = self._plain(node)
        imports = [child for child in node.body if isinstance(child, ast.Import | ast.ImportFrom)]
        if _takes_a_name_twice(node, imports):
            return node  # the order decides what a name means
        kept = [node for node in imports if getattr(node, "module", "") not in _OF_TYPES]
        rest = [child for child in node.body if child not in imports]
        node.body = [*sorted(kept, key=ast.unparse), *rest]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._plain(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node  # what a model or a dataclass is, its annotations say

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return node if node.value is None else ast.Assign([node.target], node.value, lineno=0)

    def _plain[Body: (ast.Module, ast.FunctionDef)](self, node: Body) -> Body:
        """Return the node without its docstring, and all within it formless."""
        self.generic_visit(node)
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            del node.body[0]
        return node


_OF_TYPES = ("typing", "collections.abc", "__future__")


def _takes_a_name_twice(module: ast.Module, imports: Sequence[ast.Import | ast.ImportFrom]) -> bool:
    """Return whether an imported name is bound again, by an import or the module itself."""
    names = [alias.asname or alias.name for node in imports for alias in node.names]
    used = (node for node in ast.walk(module) if isinstance(node, ast.Name))
    own = {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    own |= {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return len(set(names)) < len(names) or bool(own & set(names)) or "*" in names


def _form(source: bytes) -> str:
    """Return the file without formatting, comments and types; "" where it cannot be read."""
    read = parsed(source)
    if read is None:
        return ""
    try:
        return ast.dump(read if b"__doc__" in source else _Formless().visit(read))
    except RecursionError:
        return ""
