"""What one revision file says about itself, read from its bytes and never by running it.

`judge` parses the file with `ast` and follows the bindings of Alembic's four names at module level. `scan`
gives the same answer some ten times sooner for the common literal forms, and None for anything unusual, when
`judge` decides. It does not notice a syntax error inside a function; `judge` does, and reads whatever is new.
"""

import ast
import re
import string
import warnings
from collections.abc import Iterator
from typing import NamedTuple

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
MAX_FILE_BYTES = 1_000_000
# Alembic's own rules (script/base.py): which files count, and ids taken from the names of very old files.
_LEGACY_ID = re.compile(r"([a-f0-9]+)\.py$")
_REVISION_FILE = re.compile(r"(?!\.\#|__init__)(.*\.py)$")
type Value = str | tuple[str, ...] | None
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NAMED = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping)
_DYNAMIC = {"exec", "eval", "globals", "locals", "vars", "setattr"}


class Header(NamedTuple):
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
            _follow(statement, bound, deep=b"global" in content)
        except RecursionError:
            raise UnreadableError("unreadable", "is nested too deeply to be read", statement.lineno) from None
    values = {key: _literal(key, bound[key]) for key in NAMES if key in bound}
    doc = ast.get_docstring(module, clean=False) or ""
    return _header(values, name, doc, _has_downgrade(module))


def _follow(statement: ast.stmt, bound: dict[str, ast.expr | int], *, deep: bool) -> None:
    """Notes what one top-level statement does to the four names, later statements winning."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    value = getattr(statement, "value", None)
    literal = bool(targets) and all(isinstance(target, ast.Name) for target in targets)
    for name, line in _bindings(statement, deep=deep):
        bound[name] = line
    inner = [one for one in (value, getattr(statement, "annotation", None)) if isinstance(one, ast.expr)]
    if (
        literal
        and isinstance(value, ast.expr)
        and not any(True for one in inner for _ in _bindings(one, deep=deep))
    ):
        for target in targets:
            if isinstance(target, ast.Name) and target.id in NAMES:
                bound[target.id] = value


def _bindings(node: ast.AST, *, deep: bool, inside: bool = False) -> Iterator[tuple[str, int]]:
    """(name, line) of each of the four names that running `node` may bind at module level.

    Bodies of functions and classes can do so by `global` only: they are looked at when `deep`.
    """
    line = getattr(node, "lineno", 0)
    names: list[str] = []
    if isinstance(node, ast.Global):
        names = node.names
    elif isinstance(node, _SCOPES) and not inside:
        names = [node.name]
    elif not inside and isinstance(node, ast.Name):
        stored = not isinstance(node.ctx, ast.Load)
        names = [node.id] if stored else [*NAMES] if node.id in _DYNAMIC else []
    elif not inside and isinstance(node, ast.alias):
        names = [*NAMES] if node.name == "*" else [(node.asname or node.name).partition(".")[0]]
    elif not inside and isinstance(node, _NAMED):
        names = [getattr(node, key) for key in ("name", "rest") if isinstance(getattr(node, key, None), str)]
    yield from ((name, line) for name in names if name in NAMES)
    body = {id(child) for child in getattr(node, "body", [])} if isinstance(node, _SCOPES) else ()
    for child in ast.iter_child_nodes(node):
        within = inside or id(child) in body or isinstance(node, ast.Lambda)
        if deep or not within:
            yield from _bindings(child, deep=deep, inside=within)


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
    doc = doc.strip()
    return Header(
        id,
        _tuple(values["down_revision"]),
        _tuple(values.get("depends_on")),
        _tuple(values.get("branch_labels")),
        doc.splitlines()[0].strip() if doc else "",
        has_downgrade,
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
# Plain searches over text whose strings and comments were taken out: every regular expression here runs once
# per file, and whatever the searches cannot settle is left to `judge`.

_TAKEN_OUT = "\x01"
_STRINGS_AND_COMMENTS = re.compile(
    r"""\#[^\n]*
      | \"""(?:[^"\\]++|\\.|"(?!""))*+\""" | '''(?:[^'\\]++|\\.|'(?!''))*+'''
      | "(?:[^"\\\n]++|\\.)*+" | '(?:[^'\\\n]++|\\.)*+'""",
    re.VERBOSE | re.DOTALL,
)
_SUSPICIOUS = re.compile(r"\b(?:exec|eval|globals|locals|vars|setattr)\b|import[ \t(]*\*")
_UNUSUAL = ('"', "'", ";", "\f", "\\\n")
_IN_WORDS = frozenset("_" + string.ascii_letters + string.digits)
_SUSPECTS = ("exec", "eval", "globals", "locals", "vars", "setattr", "*")
_TEXT = r"""(?:"[\w.]*"|'[\w.]*')"""
_VALUE = rf"""(?:[ ]*:[ ]*[\w\[\], |."']+)?[ ]*=[ ]*
    (?: None | ({_TEXT}) | [(\[] [ ]* ((?:{_TEXT}[ ]*,[ ]*)+ (?:{_TEXT})?) [ ]* [)\]] ) [ \t]*(?:\#[^\n]*)?"""
_BLOCK = re.compile(
    rf"""\nrevision{_VALUE} \ndown_revision{_VALUE}
    (?:\nbranch_labels{_VALUE})? (?:\ndepends_on{_VALUE})? \n""",
    re.VERBOSE | re.ASCII,
)
_DOC = re.compile(
    r"(?:[ \t]*(?:#[^\n]*)?\n)*"
    r'(?:"""((?:[^"\\]++|"(?!""))*+)"""[ \t]*(?:#[^\n]*)?\n|(?=(?:from|import|revision)\b))'
)
_DOWNGRADE = re.compile(
    r"\ndef[ ]downgrade\([^()\n]*\)[^:\n]*:[ \t]*\n(?:[ \t\x01]*\n)*([ \t]+)([A-Za-z_]\w*)([^\n]*)"
)
_MORE = re.compile(r"(?:[ \t\x01]*\n)*[ \t]+[^ \t\x01\n]")


def scan(content: bytes, name: str) -> Header | None:
    """What `judge` would say of this file when its four names are plain literals; None when in any doubt."""
    first, _, rest = content.partition(b"\n")
    if b"coding" in first or b"coding" in rest[:200].partition(b"\n")[0] or len(content) > MAX_FILE_BYTES:
        return None
    try:
        text = "\n" + content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    if "\r" in text or "\0" in text or "\ufeff" in text or _TAKEN_OUT in text:
        return None
    code = _STRINGS_AND_COMMENTS.sub(_TAKEN_OUT, text)
    doc = _DOC.match(text)
    values = _scan_values(text, code) if doc and _is_usual(code) else None
    has_downgrade = _scan_downgrade(code)
    if doc is None or values is None or has_downgrade is None:
        return None
    try:
        return _header(values, name, doc[1] or "", has_downgrade)
    except UnreadableError:
        return None


def _is_usual(code: str) -> bool:
    """Whether the tokens of `code` are certain and nothing in it could bind a name out of sight."""
    if not code.isascii() or any(map(code.__contains__, _UNUSUAL)):
        return False
    if not _IN_WORDS.isdisjoint([part[-1:] for part in code.split(_TAKEN_OUT)[:-1]]):
        return False  # a prefixed string: f-strings hold code
    return not (any(map(code.__contains__, _SUSPECTS)) and _SUSPICIOUS.search(code))


def _scan_values(text: str, code: str) -> dict[str, Value] | None:
    """The four names where they are assigned once, by literal lines below each other, and used nowhere else.

    Only one line of the text begins with `revision`, and so does one line of the code: it is the same line.
    """
    start = code.find("\nrevision")
    labels, depends = code.count("branch_labels"), code.count("depends_on")
    if start < 0 or code.count("revision") != 2 or text.count("\nrevision") != 1 or _depth(code[:start]):
        return None
    block = _BLOCK.match(text, text.find("\nrevision"))
    if (
        block is None
        or labels != block[0].count("\nbranch_labels")
        or depends != block[0].count("\ndepends_on")
    ):
        return None
    found = block.groups()
    values: list[Value] = [
        one[1:-1] if one else _texts(several) if several else None
        for one, several in zip(found[::2], found[1::2], strict=True)
    ]
    return dict(zip(NAMES, values, strict=True))


def _depth(code: str) -> int:
    opened = code.count("(") + code.count("[") + code.count("{")
    return opened - code.count(")") - code.count("]") - code.count("}")


def _texts(inside: str) -> tuple[str, ...]:
    return tuple(text[1:-1] for text in re.findall(_TEXT, inside))


def _scan_downgrade(code: str) -> bool | None:
    """What `_has_downgrade` would say, from code without its strings and comments; None when unsure."""
    if "downgrade" not in code:
        return False
    found = _DOWNGRADE.search(code)
    if found is None or code.count("downgrade") != 1 or _depth(code[: found.start()]):
        return None
    if found[2] == "pass" and not found[3].strip(" \t\x01"):
        return None if _MORE.match(code, found.end()) else False
    return None if found[2] in ("pass", "raise", "return", "None", "True", "False") else True
