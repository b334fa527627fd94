"""What one revision file says about itself, read from its bytes and never by running it.

`judge` parses the file with `ast` and follows the bindings of Alembic's four names at module level. `scan`
gives the same answer some ten times sooner for the common literal forms, and None for anything unusual, when
`judge` decides. It does not notice a syntax error inside a function; `judge` does, and reads whatever is new.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
MAX_FILE_BYTES = 1_000_000
# Alembic's own rules (script/base.py): which files count, and ids taken from the names of very old files.
_LEGACY_ID = re.compile(r"([a-f0-9]+)\.py$")
_REVISION_FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)$")
type Value = str | tuple[str, ...] | None
_DYNAMIC = {"exec", "eval", "globals", "locals", "vars", "setattr"}


@dataclass(frozen=True)
class Header:
    """The literal facts of one file. `message` is the first line of its docstring, or ""."""

    id: str
    down: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    message: str
    has_downgrade: bool


class UnreadableError(Exception):
    """Why a file's header cannot be known. `kind`: computed or unreadable; `line` is 0 for the whole file."""

    def __init__(self, kind: str, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.line = kind, reason, line


def is_revision_file(name: str) -> bool:
    """Whether Alembic would load a file of this name."""
    return bool(_REVISION_FILE.match(name))


def judge(content: bytes, name: str) -> Header:
    """The header of the revision file `name`, by `ast`. Raises `UnreadableError`."""
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableError("unreadable", "is larger than 1 MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(content)
    except SyntaxError as error:
        raise UnreadableError("unreadable", "is not valid Python", error.lineno or 0) from None
    except (ValueError, RecursionError, MemoryError):
        raise UnreadableError("unreadable", "is not text that Python can read") from None
    bound: dict[str, ast.expr | int] = {}  # a number is the line where something not literal bound the name
    for statement in module.body:
        try:
            _follow(statement, bound)
        except RecursionError:
            raise UnreadableError("unreadable", "is nested too deeply to be read", statement.lineno) from None
    values = {key: _literal(key, bound[key]) for key in NAMES if key in bound}
    doc = ast.get_docstring(module, clean=False) or ""
    return _header(values, name, doc, _has_downgrade(module))


def _follow(statement: ast.stmt, bound: dict[str, ast.expr | int]) -> None:
    """Notes what one top-level statement does to the four names, later statements winning."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    value = getattr(statement, "value", None)
    literal = bool(targets) and all(isinstance(target, ast.Name) for target in targets)
    for name, line in _bindings(statement):
        bound[name] = line
    if literal and isinstance(value, ast.expr) and not any(True for _ in _bindings(value)):
        for target in targets:
            if isinstance(target, ast.Name) and target.id in NAMES:
                bound[target.id] = value


def _bindings(node: ast.AST, *, inside: bool = False) -> Iterator[tuple[str, int]]:
    """(name, line) of each of the four names that running `node` may bind at module level."""
    line = getattr(node, "lineno", 0)
    names: list[str] = []
    if isinstance(node, ast.Global):
        names = node.names
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not inside:
        names = [node.name]
    elif not inside and isinstance(node, ast.Name):
        stored = isinstance(node.ctx, ast.Store | ast.Del)
        names = [node.id] if stored else [*NAMES] if node.id in _DYNAMIC else []
    elif not inside and isinstance(node, ast.alias):
        names = [*NAMES] if node.name == "*" else [(node.asname or node.name).partition(".")[0]]
    elif not inside:
        names = [getattr(node, key) for key in ("name", "rest") if isinstance(getattr(node, key, None), str)]
    yield from ((name, line) for name in names if name in NAMES)
    scope = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    body = (
        {id(child) for child in getattr(node, "body", [])} if scope else set()
    )  # defaults and decorators run outside of it
    for child in ast.iter_child_nodes(node):
        yield from _bindings(child, inside=inside or id(child) in body or isinstance(node, ast.Lambda))


def _literal(key: str, value: ast.expr | int) -> Value:
    if isinstance(value, int):
        raise UnreadableError("computed", f"computes `{key}`", value)
    try:
        found = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise UnreadableError("computed", f"computes `{key}`", value.lineno) from None
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, tuple | list) and all(isinstance(one, str) for one in found):
        return tuple(found)
    raise UnreadableError("unreadable", f"sets `{key}` to something that is not text", value.lineno)


def _header(values: dict[str, Value], name: str, doc: str, has_downgrade: bool) -> Header:
    legacy = _LEGACY_ID.match(name)
    id = values.get("revision", legacy.group(1) if legacy else None)
    if not isinstance(id, str) or not id:
        raise UnreadableError("unreadable", "has no `revision`, which Alembic demands of every file here")
    if "down_revision" not in values:
        raise UnreadableError("unreadable", "has no `down_revision`")
    message = doc.strip().splitlines()[0].strip() if doc.strip() else ""
    several = {key: _tuple(values.get(key)) for key in NAMES[1:]}
    return Header(
        id, several["down_revision"], several["depends_on"], several["branch_labels"], message, has_downgrade
    )


def _tuple(value: Value) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


def _has_downgrade(module: ast.Module) -> bool:
    """Whether the last `downgrade` does anything but pass, return or refuse."""
    found = [one for one in module.body if isinstance(one, ast.FunctionDef) and one.name == "downgrade"]
    trivial = (ast.Pass, ast.Raise, ast.Return)
    return bool(found) and any(
        not isinstance(one, trivial)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in found[-1].body
    )


# -- the quick way ---------------------------------------------------------------------------------------

_BLANKED = re.compile(
    r"""\#[^\n]*
      | (?<![A-Za-z0-9_])(?:[rRbBuU]|[bB][rR]|[rR][bB])?
        (?: \"""(?:[^"\\]++|\\.|"(?!""))*+\""" | '''(?:[^'\\]++|\\.|'(?!''))*+'''
          | "(?:[^"\\\n]++|\\.)*+" | '(?:[^'\\\n]++|\\.)*+' )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = re.compile(
    r"\b(?:revision|down_revision|branch_labels|depends_on|exec|eval|globals|locals|vars|setattr)\b"
    r"|import[ \t(]*\*"
)
_TEXT = r"""(?:"[\w.]*"|'[\w.]*')"""
_LINE = re.compile(
    rf"""(revision|down_revision|branch_labels|depends_on)
    (?:[ ]*:[ ]*[\w\[\], |."']+)? [ ]*=[ ]*
    (?: None | ({_TEXT}) | [(\[] [ ]* ((?:{_TEXT}[ ]*,[ ]*)+ (?:{_TEXT})?) [ ]* [)\]] )
    [ \t]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.ASCII,
)
_DOC = re.compile(
    r"(?:[ \t]*(?:#[^\n]*)?\n)*"
    r'(?:"""((?:[^"\\]|"(?!""))*)"""[ \t]*(?:#[^\n]*)?\n|(?=(?:from|import|revision)\b))'
)
_UNUSUAL = re.compile(r"""["'\f;]|\\\n|[^\x00-\x7f]""")
_DOWNGRADE = re.compile(
    r"^def[ ]downgrade\([^()\n]*\)[^:\n]*:[ \t]*\n(?:[ \t]*\n)*([ \t]+)([A-Za-z_]\w*)([^\n]*)", re.MULTILINE
)
_COOKIE = re.compile(rb"coding[:=]")


def scan(content: bytes, name: str) -> Header | None:
    """What `judge` would say of this file when its four names are plain literals; None when in any doubt."""
    head = content.split(b"\n", 2)[:2]
    marked = content.startswith(b"\xef\xbb\xbf") or any(_COOKIE.search(line) for line in head)
    if marked or len(content) > MAX_FILE_BYTES:
        return None
    try:
        text = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    if "\r" in text or "\0" in text:
        return None
    code = _BLANKED.sub(_blank, text)
    doc = _DOC.match(text)
    if _UNUSUAL.search(code) or doc is None:
        return None
    values: dict[str, Value] = {}
    for word in _WORDS.finditer(code):
        start = word.start()
        line = _LINE.match(text, start)
        if line is None or line[1] in values or (start and text[start - 1] != "\n") or _depth(code[:start]):
            return None
        values[line[1]] = line[2][1:-1] if line[2] else _texts(line[3]) if line[3] else None
    has_downgrade = _scan_downgrade(code)
    if "revision" not in values or "down_revision" not in values or has_downgrade is None:
        return None
    try:
        return _header(values, name, doc[1] or "", has_downgrade)
    except UnreadableError:
        return None


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def _depth(code: str) -> int:
    return sum(code.count(sign) for sign in "([{") - sum(code.count(sign) for sign in ")]}")


def _texts(inside: str) -> tuple[str, ...]:
    return tuple(text[1:-1] for text in re.findall(_TEXT, inside))


def _scan_downgrade(code: str) -> bool | None:
    """What `_has_downgrade` would say, from code whose strings and comments are blanked; None when unsure."""
    if "downgrade" not in code:
        return False
    found = _DOWNGRADE.search(code)
    if found is None or code.count("downgrade") != 1 or _depth(code[: found.start()]):
        return None
    if found[2] == "pass" and not found[3].strip():
        return False if not re.match(r"(?:[ \t]*\n)*[ \t]+\S", code[found.end() :]) else None
    return None if found[2] in ("pass", "raise", "return", "None", "True", "False") else True
