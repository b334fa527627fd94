"""Tells the portal what the project's own command does: revisions, statements and their locks.

Python imports it at its start because its directory is on PYTHONPATH, in the project's environment
and version: so only the standard library here, and nothing newer than Python 3.9. It changes
nothing. What it says is the word of the process in which the project's code runs.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def _channel():
    """Return the descriptor that the portal reads; -1 where this process did not get it."""
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


RUN = {"emit": emit, "version_table": "alembic_version", "current": ""}


def beside(name):
    """Return a module of the directory above, by its file."""
    place = os.path.join(os.path.dirname(HERE), name + ".py")
    spec = importlib.util.spec_from_file_location("portal_" + name, place)
    assert spec is not None and spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hear_engines(_module):
    """SQLAlchemy's engines, whichever `env.py` makes: events of the class reach all of them."""
    from sqlalchemy.engine import Engine

    beside("record").Recorder(RUN, Exception).listen(Engine)


def hear_revisions(module):
    """Alembic's loop over its steps: a step is taken up again once its revision is done."""
    run = module.MigrationContext.run_migrations

    def heard(self, **given):
        steps = self._migrations_fn

        def told(*arguments):
            for step in steps(*arguments):
                revision = getattr(getattr(step, "revision", None), "revision", "")
                RUN["current"], began = revision, time.monotonic()
                if revision:
                    emit({"start": revision})
                yield step
                if revision:
                    emit({"end": revision, "seconds": time.monotonic() - began})
                RUN["current"] = ""

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
            request = json.load(file)
        run = {"render": request, "events": CHANNEL, "nest": lambda: None, "emit": emit}
        beside("render").render(run)
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
            with contextlib.suppress(Exception):  # an unknown version runs as it would, unheard
                then(module)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def _the_one_that_was_hidden():
    """Run the `sitecustomize` that Python would have found without us, such as a distribution's."""
    rest = [path for path in sys.path if os.path.abspath(path or ".") != HERE]
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
