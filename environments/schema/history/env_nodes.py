"""The syntax tree of an env.py: its nodes with what they stand in, and what is written in them."""

import ast
import re
from collections.abc import Iterator

_DIALECT = re.compile(r"dialect(?:\.name|_name)? (==|!=) '(\w+)'\Z")


def walk_env(
    node: ast.AST, inside: tuple[str, ...] = ()
) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Yield every node in the order of the file, with what it stands in: loop, if, offline."""
    for child in ast.iter_child_nodes(node):
        within = inside
        if isinstance(node, ast.If) and child in node.body and _is_of_another_database(node):
            continue
        if isinstance(child, ast.For | ast.AsyncFor | ast.While | ast.comprehension):
            within = (*inside, "loop")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and "offline" in child.name:
            within = (*inside, "offline")
        elif isinstance(child, ast.If) and not _about_mode(child):
            within = (*inside, "if")
        yield child, within
        yield from walk_env(child, within)


def _about_mode(node: ast.If) -> bool:
    """Return whether this asks for the offline mode or a connection: both sides are ordinary."""
    text = ast.unparse(node.test)
    usual = text.endswith((" is None", "__name__ == '__main__'"))
    return "is_offline_mode" in text or usual or bool(_DIALECT.search(text))


def _is_of_another_database(node: ast.If) -> bool:
    """Return whether its first branch is for SQLite or the like, and so never taken here."""
    match = _DIALECT.search(ast.unparse(node.test))
    return match is not None and (match[1] == "==") != match[2].startswith("postgres")


def beginning_of(node: ast.expr | None) -> str:
    """Return the text that a computed statement begins with; "" where even that is computed."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    while isinstance(node, ast.BinOp):
        node = node.left
    return str(node.value) if isinstance(node, ast.Constant) else ""


def convention_in(node: ast.AST) -> ast.expr | None:
    """Return the naming convention that this node gives or sets, if it does."""
    name = "naming_convention"
    if isinstance(node, ast.Call):
        return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)
    if isinstance(node, ast.Assign) and name in [getattr(to, "attr", "") for to in node.targets]:
        return node.value
    return None


def called(node: ast.Call) -> str:
    """Return the last name of what is called: `configure` of `context.configure(…)`."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def shortened(text: str) -> str:
    return " ".join(text.split())[:60]
