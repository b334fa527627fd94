"""Tells the portal what the project's own command does: each revision's begin and end, each
statement and its locks.

Python imports it at its start because its directory is on PYTHONPATH, in the project's environment
and version: so only the standard library here, and nothing newer than Python 3.9. It listens to
whatever engine `env.py` makes and changes nothing. What it says is the word of the process in which
the project's code runs.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time

MAX_STATEMENTS = 500  # of one run
MAX_CHARACTERS = 2000
OURS = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'"
TABLES = (
    "select c.oid, n.nspname || '.' || c.relname, c.relfilenode from pg_class c"  # noqa: S608 - nothing from outside
    " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm', 'v', 'S')"
    " and " + OURS
)
LOCKS = (
    "select l.relation, l.mode, c.relfilenode from pg_locks l left join pg_class c on c.oid ="
    " l.relation where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted"
)


def _channel():
    """Return the descriptor that the portal reads; -1 where it was not passed on to this
    process.
    """
    number, _, node = os.environ.get("PORTAL_EVENTS", "").partition(":")
    try:
        return int(number) if str(os.fstat(int(number)).st_ino) == node else -1
    except (ValueError, OSError):
        return -1


CHANNEL = _channel()


def emit(event):
    """Tell the portal of one event, as a line of JSON."""
    with contextlib.suppress(OSError):
        os.write(CHANNEL, json.dumps(event).encode() + b"\n")


class Listener:
    """Hears every engine of this process."""

    def __init__(self):
        self.revision, self.count, self.began = "", 0, 0.0
        self.known, self.fresh = {}, False

    def ask(self, dbapi, sql):
        """Return the rows of a question of ours, on the same connection and past SQLAlchemy."""
        cursor = dbapi.cursor()
        try:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def before(self, connection, *_):
        self.began = time.monotonic()
        if not self.revision:
            return
        dbapi = _dbapi(connection)
        if not self.fresh or _autocommits(dbapi):
            with contextlib.suppress(Exception):
                self.known = {oid: (name, node) for oid, name, node in self.ask(dbapi, TABLES)}
                self.fresh = True
        self.began = time.monotonic()

    def after(self, connection, _cursor, statement, *_):
        ended = time.monotonic()
        if not self.revision or self.count >= MAX_STATEMENTS or "alembic_version" in statement:
            return
        self.count += 1
        dbapi, apart = _dbapi(connection), False
        held: list = []
        with contextlib.suppress(Exception):
            apart = _autocommits(dbapi)
            held = (
                [(oid, "", node) for oid, _, node in self.ask(dbapi, TABLES)]
                if apart
                else self.ask(dbapi, LOCKS)
            )
        self.told(statement, ended - self.began, held, apart)

    def told(self, statement, seconds, held, apart):
        new = [
            (oid, node)
            for oid, _, node in held
            if node and oid in self.known and self.known[oid][1] != node
        ]
        emit(
            {
                "statement": statement.strip()[:MAX_CHARACTERS],
                "seconds": seconds,
                "at": self.began,
                "in_transaction": not apart,
                "locks": [
                    [self.known[oid][0], mode]
                    for oid, mode, _ in held
                    if mode and oid in self.known
                ],
                "rewritten": sorted({self.known[oid][0] for oid, _ in new}),
            }
        )
        self.known.update({oid: (self.known[oid][0], node) for oid, node in new})

    def over(self, *_):
        self.fresh = False
        emit({"over": time.monotonic()})


def _dbapi(connection):
    pooled = connection.connection
    return getattr(pooled, "dbapi_connection", None) or pooled.connection


def _autocommits(dbapi):
    return (
        getattr(dbapi, "autocommit", False) is True
        or getattr(dbapi, "isolation_level", "") == "autocommit"
    )


LISTENER = Listener()


def hear_engines(_module):
    """SQLAlchemy's engines, whichever `env.py` makes: events of the class reach all of them."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "before_cursor_execute", LISTENER.before)
    event.listen(Engine, "after_cursor_execute", LISTENER.after)
    event.listen(Engine, "commit", LISTENER.over)
    event.listen(Engine, "rollback", LISTENER.over)


def hear_revisions(module):
    """Alembic's loop over its steps: a step is taken up again once its revision is done."""
    run = module.MigrationContext.run_migrations

    def heard(self, **given):
        steps = self._migrations_fn

        def told(*arguments):
            for step in steps(*arguments):
                LISTENER.revision = getattr(getattr(step, "revision", None), "revision", "")
                began = time.monotonic()
                if LISTENER.revision:
                    emit({"start": LISTENER.revision})
                yield step
                if LISTENER.revision:
                    emit({"end": LISTENER.revision, "seconds": time.monotonic() - began})
                LISTENER.revision = ""

        if steps is not None:
            self._migrations_fn = told
        return run(self, **given)

    module.MigrationContext.run_migrations = heard


def only_render(module):
    """Have Alembic's command render what the portal asks for, in place of running anything."""

    def rendered(self):
        from alembic import context

        context._proxy.context_opts.update(as_sql=True, fn=lambda *_: [])  # type: ignore[attr-defined]
        try:
            run_env(self)  # for what env.py sets up: paths, operations, types
        except BaseException as error:  # noqa: BLE001 - most have no database to connect to here, which is right
            print(f"env.py, without a database: {type(error).__name__}: {error}"[:500], flush=True)
        with open(os.environ["PORTAL_RENDER"]) as file:
            asked = json.load(file)
        place = os.path.join(
            os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "render.py"
        )
        spec = importlib.util.spec_from_file_location("portal_render", place)
        assert spec is not None and spec.loader is not None  # noqa: S101
        render = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(render)
        render.render({"render": asked, "events": CHANNEL, "nest": lambda: None, "emit": emit})
        os._exit(0)

    run_env, module.ScriptDirectory.run_env = module.ScriptDirectory.run_env, rendered


class After(importlib.abc.MetaPathFinder):
    """Does something with a module as soon as it is imported."""

    def __init__(self, wanted):
        self.wanted = wanted

    def find_spec(self, name, path=None, target=None):
        if name not in self.wanted:
            return None
        then = self.wanted.pop(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module):
            execute(module)
            with contextlib.suppress(
                Exception
            ):  # an unknown version is not heard, and runs as it would
                then(module)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def _the_one_that_was_hidden():
    """Run the `sitecustomize` that Python would have found without us, such as a distribution's."""
    here = os.path.dirname(os.path.abspath(__file__))
    rest = [one for one in sys.path if os.path.abspath(one or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if CHANNEL >= 0 and os.environ.get("PORTAL_RENDER"):
    sys.meta_path.insert(0, After({"alembic.script.base": only_render}))
elif CHANNEL >= 0:
    sys.meta_path.insert(
        0, After({"sqlalchemy.engine": hear_engines, "alembic.runtime.migration": hear_revisions})
    )
with contextlib.suppress(Exception):
    _the_one_that_was_hidden()
