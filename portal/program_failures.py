"""Explains why a project's own program failed, from what it printed.

Only an explanation: whether something failed is never decided by it. Come here when a project that
lacks a package, a variable, a driver or an extension is told nothing useful.
"""

import re

_MISSING_FIELD = re.compile(
    r"^([A-Za-z_][\w.]*)\n\s+(?:Field required \[type=missing|field required \(type=value_error)",
    re.M,
)
_UNSET = re.compile(
    r"^KeyError: '([A-Z][A-Z0-9_]+)'"
    r"|^KeyError: \"Config '(\w+)' is missing"
    r"|Environment variable \"(\w+)\" not set"
    r"|UndefinedValueError: (\w+) not found"
    r"|ImproperlyConfigured: Set the (\w+) environment variable",
    re.M,
)
_MODULE = re.compile(r"^(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'", re.M)
_EXTENSION = re.compile(r'extension "([\w-]+)" is not available|control file .*/([\w-]+)\.control"')
_REFUSED = re.compile(
    r"(?:connection to server at \"([\w.:-]+)\".*, port (\d+) failed: Connection refused"
    r"|could not translate host name \"([\w.-]+)\""
    r"|Connect call failed \('([\w.:]+)', (\d+)"
    r"|failed to resolve host '([\w.-]+)')"
)
_DRIVERS = ("psycopg2", "psycopg", "asyncpg", "pg8000")
_BEGIN = "begin the command with `DATABASE_URL=postgresql+{}://${{DATABASE_URL#*://}}`"


def complaint(text: str) -> str:
    """Return in a sentence without its full stop what the program that printed `text` lacks and
    where to give it, or "".
    """
    sentences = (
        say(text) for say in (_settings, _variable, _driver, _package, _extension, _address)
    )
    return next(filter(None, sentences), "")


def _settings(text: str) -> str:
    names = list(dict.fromkeys(_MISSING_FIELD.findall(text)))
    if not names:
        return ""
    given = ", ".join(name.upper() for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"its settings need the variables {given}{more}; add them to the command's variables"


def _variable(text: str) -> str:
    if not (match := _UNSET.search(text)):
        return ""
    name = next(filter(None, match.groups()))
    return f"the variable {name} is not set; add it to the command's variables"


def _driver(text: str) -> str:
    if "The asyncio extension requires an async driver" in text:
        return f"the address names no asynchronous driver; {_BEGIN.format('asyncpg')}"
    match = _MODULE.search(text)
    if not match or match[1] not in _DRIVERS:
        return ""
    why = f"the address asks for the driver {match[1]}, which is not installed"
    return f"{why}; install it, or {_BEGIN.format('DRIVER')}"


def _package(text: str) -> str:
    if not (match := _MODULE.search(text)):
        return ""
    return (
        f"the package “{match[1]}” is not there; let the install command install it, or begin the"
        " command with `PYTHONPATH=.` if it is the project's own"
    )


def _extension(text: str) -> str:
    if not (match := _EXTENSION.search(text)):
        return ""
    name = match[1] or match[2]
    return f"the database server lacks the extension “{name}”; use a server that has it"


def _address(text: str) -> str:
    if not (match := _REFUSED.search(text)):
        return ""
    host, port, named, other, other_port, unknown = match.groups()
    where = next(filter(None, (host, named, other, unknown)))
    where += f":{port or other_port}" if port or other_port else ""
    return (
        f"it connects to {where}, not to the address in DATABASE_URL; let the command set the"
        " project's own variables, as in `POSTGRES_SERVER=$PGHOST`"
    )
