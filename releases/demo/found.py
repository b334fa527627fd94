"""What a repository's migrations need to run, found by reading it: for a demo that is told no
command.
"""

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO

from dotenv import dotenv_values

from environments.git.repository import Mirror
from environments.schema.history import reader
from environments.schema.history.env_file import needs, read_meaning, sources
from environments.schema.history.graph import History
from environments.schema.run.install import suggested_install
from releases.demo.address import assignments, driver

_LOCKS = re.compile(
    r"(?:requirements[\w./-]*\.txt|(?:uv|poetry|pdm|Pipfile)\.lock|pyproject\.toml)"
)
_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")
_FLASK_FILES = ("config.py", "settings.py", "__init__.py", "app.py", "wsgi.py", "main.py", "db.py")
_MOST_FILES = 300


@dataclass(frozen=True)
class Found:
    """`why`: what the portal's own runner cannot do, as a clause; "" where it runs them.

    Then `command` is what most likely does, `install` what its packages are installed by ("":
    nothing says), and `variables` what the repository's example of an environment sets.
    """

    version_table: str = ""
    why: str = ""
    command: str = ""
    install: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def find(mirror: Mirror, production: str, staging: str, alembic: str) -> Found:
    """Return how the migrations at `alembic` are run, from the empty database to the head of
    `staging`.

    A history that cannot be read is left to the portal's own sentences. Raise `GitError`.
    """
    commits = {ref: mirror.commit(ref) for ref in (production, staging)}
    histories = {ref: reader.read(mirror, commits[ref], alembic) for ref in commits}
    latest = histories[staging]
    if latest.problems or not latest.revisions:
        return Found()
    table = read_meaning(mirror, commits[staging], latest).table
    why = needs(mirror, ((commits[ref], histories[ref]) for ref in commits))
    if not why:
        return Found(table)
    project = _Project(mirror, commits[staging], latest, alembic)
    return Found(table, why, project.command(), project.install(), project.variables())


class _Project:
    """A repository at one commit, as far as it says how its own migrations are run."""

    def __init__(self, mirror: Mirror, commit: str, history: History, alembic: str) -> None:
        self.mirror, self.commit, self.history = mirror, commit, history
        self.blobs = dict(mirror.tree(commit))
        self.script = history.script or ""
        self.config, _, self.section = alembic.partition(":")
        if not self.config.endswith((".ini", ".toml", ".cfg", ".conf")):
            self.config = self._configuration(self.config.strip("/"))
        self.ini = self._ini()
        self.texts = {
            path: text.decode(errors="replace")
            for path, text in sources(mirror, commit, history).items()
        }
        self.env_py = self.texts.get(posixpath.join(self.script, "env.py"), "")
        self.flask = "current_app" in self.env_py
        self.here = self._directory()

    def _configuration(self, directory: str) -> str:
        """Return the configuration of a script directory: in it, or in a directory above it."""
        for place in (directory, *_above(directory)):
            if (path := posixpath.join(place, "alembic.ini")) in self.blobs:
                return path
        return posixpath.join(posixpath.dirname(directory), "alembic.ini")

    def _ini(self) -> ConfigParser:
        parser = ConfigParser(interpolation=None)
        try:
            parser.read_string(self._text(self.config) if self.config.endswith(".ini") else "")
        except IniError:
            return ConfigParser()
        return parser

    def _text(self, path: str) -> str:
        content = self.mirror.read_file(self.commit, path) if path in self.blobs else None
        return (content or b"").decode("utf-8-sig", "replace")

    def _directory(self) -> str:
        """Return where the command is run: where the configured script directory is seen from."""
        beside = posixpath.dirname(self.config)
        if self.flask:
            return posixpath.dirname(self.script)
        location = self.ini.get(self.section or "alembic", "script_location", fallback="%")
        if not location.startswith(("%", "/")) and ":" not in location:
            for place in (beside, *_above(beside)):
                if posixpath.normpath(posixpath.join(place, location)) == self.script:
                    return place
        return beside

    def command(self) -> str:
        """Return the line for the shell: where, with which variables, what."""
        change = [f"cd {self.here}"] if self.here else []
        exports = self.assigned | self._python_path() | self._flask_app()
        if driver := self._driver():
            url = {"DATABASE_URL": f"postgresql+{driver}://${{DATABASE_URL#*://}}"}
            exports = url | exports
        exported = [f'export {name}="{value}"' for name, value in exports.items()]
        return " && ".join([*exported, *change, self._upgrade()])

    def _upgrade(self) -> str:
        if self.flask:
            folder = posixpath.basename(self.script)
            return "flask db upgrade" + (f" -d {folder}" if folder != "migrations" else "")
        config = posixpath.relpath(self.config, self.here or ".")
        parts = ["alembic"]
        parts += ["-c", config] if config not in ("alembic.ini", "pyproject.toml") else []
        parts += ["-n", self.section] if self.section else []
        return " ".join([*parts, "upgrade", "head" if len(self.history.heads) == 1 else "heads"])

    def _python_path(self) -> dict[str, str]:
        """Return the project's own modules, where Alembic is not told of them: unless one would
        hide a module of Python's.
        """
        section = self.section or "alembic"
        paths = self.ini.get(section, "prepend_sys_path", fallback="")
        names = {path.removeprefix(f"{self.here}/").partition("/")[0] for path in self.blobs}
        hiding = {name.removesuffix(".py") for name in names} & sys.stdlib_module_names
        return {} if paths or hiding or self.config.endswith(".toml") else {"PYTHONPATH": "."}

    def _flask_app(self) -> dict[str, str]:
        """FLASK_APP, where Flask would not find the application by itself."""
        beside = {posixpath.join(self.here, name) for name in ("app.py", "wsgi.py", ".flaskenv")}
        if not self.flask or beside & self.blobs.keys():
            return {}
        for path, text in self._flask_files.items():
            name = posixpath.relpath(path, self.here or ".")
            if "Flask(" in text and name.count("/") <= 1:
                module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                return {"FLASK_APP": module}
        return {}

    @cached_property
    def _flask_files(self) -> dict[str, str]:
        """The texts of the files that Flask's settings may stand in, those at the top first."""
        paths = [path for path in self.blobs if posixpath.basename(path) in _FLASK_FILES]
        first = sorted(paths, key=lambda path: (path.count("/"), path))[:_MOST_FILES]
        return {path: self._text(path) for path in first}

    @cached_property
    def assigned(self) -> dict[str, str]:
        """The variables by which the project may take the address, with what is put into each."""
        return assignments((self._flask_files if self.flask else self.texts).values())

    def _driver(self) -> str:
        places = {self.here, "", *_above(self.here)}
        named = [
            self._text(path)
            for path in self.blobs
            if any(_LOCKS.fullmatch(posixpath.relpath(path, place or ".")) for place in places)
        ]
        return driver(self.env_py, named)

    def install(self) -> str:
        return suggested_install(self.blobs, self.here)

    def variables(self) -> dict[str, str]:
        """Return what the example of an environment sets, without what the command sets itself."""
        ours = {*self.assigned, "DATABASE_URL", "PYTHONPATH"}
        for place in dict.fromkeys([self.here, ""]):
            for name in _EXAMPLES:
                if text := self._text(posixpath.join(place, name)):
                    values = dotenv_values(stream=StringIO(text), interpolate=False)
                    return {
                        name: value
                        for name, value in values.items()
                        if value and name not in ours and not name.startswith(("PG", "ALEMBIC"))
                    }
        return {}


def _above(path: str) -> Iterator[str]:
    while path:
        path = posixpath.dirname(path)
        yield path
