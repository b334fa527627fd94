"""What a project's `env.py` gives its migrations, found by reading it and never by running it.

The portal's runner keeps what is written out. What it cannot keep is in `refused`, one clause each:
then only the project's own command runs the migrations.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from environments.schema.history.constants import NotConstant, assigned, constants, fold, parsed
from environments.schema.history.env_nodes import (
    beginning_of,
    called,
    convention_in,
    shortened,
    walk_env,
)
from portal.outbound.parsing import JsonObject

DEFAULT_TABLE = "alembic_version"
# Given to `configure` for autogenerate and offline mode, or about the connection: nothing of it
# reaches a run.
_IRRELEVANT = re.compile(
    r"(?:compare|include|render|user_module|alembic_module|sqlalchemy_module|upgrade|downgrade)_\w+"
    r"|connection|target_metadata|process_revision_directives|literal_binds|dialect_opts|dialect_name|url|as_sql"
    r"|output_buffer|starting_rev|tag|template_args|transaction_per_migration|prepare_threshold"
)
_ENGINES = {*("create_engine", "create_async_engine", "engine_from_config", "execution_options")}
_SENDS = {"execute", "exec_driver_sql", "scalar", "scalars"}
_SEARCH_PATH = re.compile(
    r"\s*set\s+(?:session\s+)?search_path\s*(?:=|\bto\b)\s*(.+?)\s*;?\s*", re.I | re.S
)
_OPTION = re.compile(r"-c\s*search_path=(\S+)")
# What may be sent again before the migrations: it prepares the session or what they need, and
# changes no row.
_KEPT = re.compile(
    r"\s*(?:set|create\s+(?:schema|extension|table)|select\s+pg_(?:try_)?advisory\w*|alter\s+table)\b",
    re.I,
)
# Whatever number it computes: the portal holds a lock of its own while it runs migrations.
_ADVISORY = re.compile(r"\s*select\s+pg_(?:try_)?advisory\w*\s*\(", re.I)


@dataclass(frozen=True)
class Meaning:
    """What `env.py` sets.

    `before`: statements it sends first, in order; `naming`: the target metadata's convention.
    """

    version_table: str = DEFAULT_TABLE
    version_table_schema: str | None = None
    before: tuple[str, ...] = ()
    naming: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, bool] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    configures: bool = True  # whether `configure` was found at all

    @property
    def table(self) -> str:
        """The version table with its schema before it, unless that is `public`."""
        schema = self.version_table_schema or self.search_path.split(",")[0].strip().strip("\"'")
        shown = "" if schema in ("", "public", "$user") else f"{schema}."
        return f"{shown}{self.version_table}"

    @property
    def search_path(self) -> str:
        """The search path that the migrations get, "" for the database's own."""
        paths = [
            match[1] for statement in self.before if (match := _SEARCH_PATH.fullmatch(statement))
        ]
        return paths[-1] if paths else ""


def meaning_of(source: bytes, modules: Mapping[str, bytes]) -> Meaning:
    """Return what an `env.py` means for a run; `modules`: what it imports, by path."""
    module = parsed(source)
    if module is None:
        return Meaning(refused=("its env.py is not valid Python",))
    return _Reader(module, modules).meaning()


class _Reader:
    def __init__(self, module: ast.Module, modules: Mapping[str, bytes]) -> None:
        self.module, self.modules = module, modules
        self.known = constants(module)
        self.refused: list[str] = []
        self.before: list[str] = []
        self.settings: JsonObject = {}
        self.metadata = self.configures = False

    def meaning(self) -> Meaning:
        for node, inside in walk_env(self.module):
            if isinstance(node, ast.Call):
                self._call(node, inside)
        self._elsewhere()
        table = self.settings.get("version_table") or DEFAULT_TABLE
        options = {name: value for name, value in self.settings.items() if isinstance(value, bool)}
        return Meaning(
            str(table),
            self.settings.get("version_table_schema"),
            tuple(self.before),
            self._naming() if self.metadata else {},
            options,
            tuple(dict.fromkeys(self.refused)),
            self.configures,
        )

    def _call(self, node: ast.Call, inside: tuple[str, ...]) -> None:
        name = called(node)
        owner = getattr(getattr(node.func, "value", None), "id", "")
        if name == "configure" and owner == "context":
            self.configures = True
            self._configure(node, inside)
        elif name == "run_migrations" and owner == "context":
            if node.keywords or node.args:
                self._refuse(node, "gives arguments to the migrations")
            if "loop" in inside:
                self._refuse(node, "runs the migrations more than once")
        elif name == "get_x_argument":
            self._refuse(node, "reads -x arguments")
        elif name in ("register_operation", "implementation_for", "compiles"):
            self._refuse(node, "registers operations of its own")
        elif name in _SENDS and "offline" not in inside:
            self._sent(node, inside)
        elif name in _ENGINES:
            self._engine(node)

    def _configure(self, node: ast.Call, inside: tuple[str, ...]) -> None:
        given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if "offline" in inside or ("url" in given and "connection" not in given):
            return
        if "loop" in inside:
            self._refuse(node, "runs the migrations more than once")
        for keyword in node.keywords:
            if keyword.arg is None:
                self._spread(node, keyword.value)
            else:
                self._option(keyword.arg, keyword.value)

    def _option(self, name: str, value: ast.expr) -> None:
        if name == "target_metadata":
            self.metadata = not (isinstance(value, ast.Constant) and value.value is None)
        elif name in ("version_table", "version_table_schema"):
            try:
                self.settings[name] = fold(value, self.known)
            except NotConstant:
                self._refuse(value, f"computes `{name}`")
        elif name in ("version_table_pk", "transactional_ddl") and isinstance(value, ast.Constant):
            self.settings[name] = value.value
        elif not _IRRELEVANT.fullmatch(name):
            self._refuse(value, f"sets `{name}`")

    def _spread(self, node: ast.Call, value: ast.expr) -> None:
        """Take `**options` that are written out in this file, or that Flask-Migrate keeps."""
        name = value.id if isinstance(value, ast.Name) else ""
        sources = [
            statement.value
            for statement in ast.walk(self.module)
            if isinstance(statement, ast.Assign)
            and name in [getattr(target, "id", "") for target in statement.targets]
        ]
        for mapping in sources or [value]:
            keys = mapping.keys if isinstance(mapping, ast.Dict) else [None]
            if isinstance(mapping, ast.Dict) and all(isinstance(key, ast.Constant) for key in keys):
                for key, value_node in zip(keys, mapping.values, strict=True):
                    self._option(str(getattr(key, "value", "")), value_node)
            elif isinstance(mapping, ast.Attribute) and mapping.attr == "configure_args":
                self._flask()
            else:
                self._refuse(node, "gives `configure` options that code makes")

    def _flask(self) -> None:
        """Take what the application gives Flask-Migrate for `configure`."""
        for path, node in self._nodes():
            if isinstance(node, ast.Call) and called(node) in ("Migrate", "init_app"):
                where = f"{path} (line {node.lineno})"
                for name in (keyword.arg or "**" for keyword in node.keywords):
                    if not (name in ("app", "db", "directory") or _IRRELEVANT.fullmatch(name)):
                        self.refused.append(f"{where} gives Flask-Migrate `{name}`")

    def _sent(self, node: ast.Call, inside: tuple[str, ...]) -> None:
        argument = node.args[0] if node.args else None
        while isinstance(argument, ast.Call) and argument.args:  # text("…"), sa.text("…")
            argument = argument.args[0]
        try:
            text = fold(argument, self.known) if argument is not None else None
        except NotConstant:
            text = None
        if not isinstance(text, str):
            if not _ADVISORY.match(beginning_of(argument)):
                self._refuse(node, "sends a statement that it computes")
        elif "loop" in inside or "if" in inside:
            self._refuse(node, f"sends “{shortened(text)}” under a condition")
        elif _KEPT.match(text):
            self.before.append(text.strip())
        else:
            self._refuse(node, f"sends “{shortened(text)}”")

    def _engine(self, node: ast.Call) -> None:
        for child in ast.walk(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                if match := _OPTION.search(child.value):
                    self.before.append(f"SET search_path TO {match[1]}")
                elif "search_path" in child.value:
                    self._refuse(child, "sets a search path")
            if isinstance(child, ast.keyword) and child.arg in ("schema_translate_map", "options"):
                text = child.value.value if isinstance(child.value, ast.Constant) else None
                if not (isinstance(text, str) and _OPTION.search(text)):
                    self._refuse(node, f"sets `{child.arg}`")

    def _elsewhere(self) -> None:
        """Modules of the project that `env.py` imports, where an engine may come from."""
        for path, source in self.modules.items():
            if not self.configures and b"context.configure(" in source:
                self.refused.append(f"its env.py leaves `configure` to {path}")
            for word in (b"search_path", b"schema_translate_map"):
                if (at := source.find(word)) >= 0:
                    where = f"{path} (line {source.count(b'\n', 0, at) + 1}), which it imports"
                    self.refused.append(f"{where}, speaks of `{word.decode()}`")

    def _naming(self) -> dict[str, str]:
        """Return the metadata's one naming convention; a computed one is refused."""
        conventions: list[dict[str, str]] = []
        for path, module in self._parsed():
            known = {name: value for name, value in assigned(module) if isinstance(value, ast.Dict)}
            for node in ast.walk(module):
                value = convention_in(node)
                if value is None:
                    continue
                value = known.get(value.id, value) if isinstance(value, ast.Name) else value
                try:
                    written = ast.literal_eval(value)
                except ValueError:
                    written = None
                texts = written.values() if isinstance(written, dict) else [None]
                if not all(isinstance(value, str) for value in texts):
                    line = getattr(node, "lineno", 0)
                    self.refused.append(f"{path} (line {line}) computes a naming convention")
                elif written not in conventions:
                    conventions.append({str(key): text for key, text in written.items()})
        if len(conventions) > 1:
            self.refused.append("its models have several naming conventions")
        if any(b"advanced_alchemy" in source for source in self.modules.values()):
            self.refused.append("its models take their names from advanced_alchemy")
        return conventions[0] if len(conventions) == 1 else {}

    def _parsed(self) -> Iterator[tuple[str, ast.Module]]:
        yield "env.py", self.module
        for path, source in self.modules.items():
            if module := parsed(source):
                yield path, module

    def _nodes(self) -> Iterator[tuple[str, ast.AST]]:
        for path, module in self._parsed():
            yield from ((path, node) for node in ast.walk(module))

    def _refuse(self, node: ast.AST, what: str) -> None:
        self.refused.append(f"its env.py {what} (line {getattr(node, 'lineno', 0)})")
