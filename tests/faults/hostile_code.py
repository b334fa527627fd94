"""Revision files, packages and commands that try to get out of the door; prints how many did (0).

    python -m tests.faults.hostile_code [--without] [WORDS]

As root it does everything twice, as root and as an ordinary user. `--without` switches the
isolation off and shows that the attacks are real: then they succeed, each on victims made for it.
Fails when any succeeded, or, with
`--without`, when any failed.
"""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.hostile_plants import planted, survivor
from tests.faults.hostile_ways import Way, program, ways

ORDINARY = pwd.getpwnam("nobody")
ALONE = ("a bomb", "another's input", "core")  # each rendered by itself
Result = tuple[str, str, str]  # what was tried, what it got ("" is nothing), why it got nothing


def rendered(tried: list[Way], constants: dict, where: Path) -> Iterator[Result]:
    """Each way as a revision file of a pull request whose SQL is looked at."""
    from environments.schema.history.changes import in_order
    from environments.schema.history.reader import read
    from environments.schema.plan.render import make_plan
    from tests.environments.schema.history.histories import repository, source

    report = "op.execute('select ' + repr('WON=' + WON + ' WHY=' + WHY).replace(\"'\", '`'))"
    ids = [None, *(f"r{number:03}" for number in range(len(tried)))]
    files = {
        f"db/versions/{ids[number + 1]}.py": (
            program(way, constants) + source(ids[number + 1], ids[number], body=report)
        )
        for number, way in enumerate(tried)
    }
    files |= {"alembic.ini": "[alembic]\nscript_location = %(here)s/db\n", "db/env.py": ""}
    mirror = repository(where / f"render{time.monotonic_ns()}", files)
    history = read(mirror, mirror.commit("main"), "alembic.ini")
    plan = make_plan(
        mirror,
        mirror.commit("main"),
        history,
        in_order(history.revisions.values()),
        time_limit_s=60,
    )
    for way, step in zip(tried, plan.steps, strict=True):
        text = step.upgrade.text or f"WON= WHY={step.upgrade.problem}"
        won, _, why = text.partition("WON=")[2].partition(" WHY=")
        yield way.name, won, why.strip("`;")


def ran(tried: list[Way], constants: dict, where: Path, database: str) -> Iterator[Result]:
    """The ways as revisions of one run, which may reach its database and nothing else."""
    from environments.schema.run.request import Run
    from environments.schema.run.runner import run
    from tests.environments.schema.history.histories import repository, source

    files = {"alembic.ini": "[alembic]\nscript_location = %(here)s/db\n", "db/env.py": ""}
    for number, way in enumerate(tried):
        down = f"r{number - 1:03}" if number else None
        made = source(f"r{number:03}", down, body='op.execute("select 1")')
        files[f"db/versions/{number}.py"] = program(way, constants) + _says(number) + made
    mirror, lines = repository(where / "run", files), []
    request = Run(mirror.commit("main"), "alembic.ini", database, time_limit_s=120)
    outcome = run(mirror, request, on_lines=lines.extend, alive=lambda: True)
    assert outcome.status == "succeeded", ("the honest part of the run failed", outcome, lines[-5:])
    yield from _heard(tried, lines)


def installed(tried: list[Way], constants: dict, where: Path) -> Iterator[Result]:
    """The ways as the build of a package that is installed."""
    from environments.schema.run import virtualenvs
    from environments.schema.run.process import Log, Redactor
    from tests.environments.schema.history.histories import repository

    files = {
        f"hooks/{number:03}.py": program(way, constants) + _says(number)
        for number, way in enumerate(tried)
    }
    mirror, lines = repository(where / "install", files), []
    virtualenvs.prepare(
        mirror,
        mirror.commit("main"),
        "",
        "for one in hooks/*.py; do python $one; done; true",
        root=where / "prepared",
        log=Log(lines.extend, Redactor([])),
        alive=lambda: True,
    )
    yield from _heard(tried, lines)


def commanded(tried: list[Way], constants: dict, where: Path, database: str) -> Iterator[Result]:
    """The ways in the project's own command."""
    from environments.schema.run.command import Command
    from environments.schema.run.request import Run
    from environments.schema.run.runner import run
    from tests.environments.schema.history.histories import repository, source

    files = {
        f"hooks/{number:03}.py": program(way, constants) + _says(number)
        for number, way in enumerate(tried)
    }
    files |= {
        "alembic.ini": "[alembic]\nscript_location = %(here)s/db\n",
        "db/versions/1.py": source("c1"),
    }
    mirror, lines = repository(where / "command", files), []
    made = Path(constants["venv"])
    (made / "bin").mkdir(exist_ok=True)
    (made / "bin" / "python").symlink_to(sys.executable)
    command = Command(f"for one in hooks/*.py; do {sys.executable} $one; done; true", made)
    request = Run(mirror.commit("main"), "alembic.ini", database, time_limit_s=120, command=command)
    run(mirror, request, on_lines=lines.extend, alive=lambda: True)
    yield from _heard(tried, lines)


def rehearsed(tried: list[Way], constants: dict, where: Path) -> Iterator[Result]:
    """The ways as SQL of a superuser on the server that a rehearsal starts."""
    import psycopg

    from environments.schema.rehearsal.scratch_server import scratch_server

    with scratch_server(where / "rehearsals") as scratch:
        for way in tried:
            with psycopg.connect(scratch.server.url, autocommit=True) as opened:
                try:
                    opened.execute(way.code.format(**constants))
                    yield way.name, "done", ""
                except psycopg.Error as error:
                    message = " ".join(str(error).split())
                    yield (
                        way.name,
                        (
                            "an answer"
                            if "expected authentication" in message or "invalid response" in message
                            else ""
                        ),
                        message,
                    )


def _says(number: int) -> str:
    return f"print('TRIED {number} WON=' + WON + ' WHY=' + WHY, flush=True)\n"


def _heard(tried: list[Way], lines: list[str]) -> Iterator[Result]:
    told = dict(line[6:].split(" ", 1) for line in lines if line.startswith("TRIED "))
    for number, way in enumerate(tried):
        won, _, why = (
            told.get(str(number), "WON= WHY=it said nothing")
            .removeprefix("WON=")
            .partition(" WHY=")
        )
        yield way.name, won, why


def lasting(tried: list[Way], found: list[Result], where: str) -> list[Result]:
    """`found`, where those that want to outlive their run have won if they did."""
    time.sleep(0.2)
    alive = {way.name: survivor(way.name, where) for way in tried if way.lasts}
    ended = "it was ended with its run"
    return [(one[0], alive[one[0]], ended) if one[0] in alive else one for one in found]


def everything(words: str, *, without: bool, database: Callable) -> list[tuple[str, Result]]:
    """Every way whose name or place holds `words`, as the user that we are."""
    from tests.faults.hostile_victims import victims

    found: list[tuple[str, Result]] = []
    kind = "root" if os.geteuid() == 0 else "user"
    chosen = [
        way for way in ways() if words in f"{way.where}: {way.name}" and way.needs in ("", kind)
    ]
    chosen = [way for way in chosen if not (without and way.lasts)]
    with (
        tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as name,
        database() as first,
    ):
        where = Path(name)
        for place in ("render", "run", "rehearsal", "install", "command"):
            mine = [way for way in chosen if way.where == place]
            with victims(first, without=without) as constants:
                quiet = [way for way in mine if not way.name.startswith(ALONE) or place != "render"]
                loud = [[way] for way in mine if way not in quiet]
                for some in filter(None, [quiet, *loud]):
                    results = lasting(some, _tried(place, some, constants, where, database), place)
                    found += [(place, result) for result in results]
        if not without and words in "plants":
            found += [("plants", one) for one in _planted(where, database)]
    return found


def _planted(where: Path, database: Callable) -> list[Result]:
    (where / "proofs").mkdir(mode=0o700)
    with database() as url:
        return list(planted(where / "proofs", where / "plants", url, installing=True))


def _tried(
    place: str, some: list[Way], constants: dict, where: Path, database: Callable
) -> list[Result]:
    if place == "render":
        return list(rendered(some, constants, where))
    if place in ("install", "rehearsal"):
        return list((installed if place == "install" else rehearsed)(some, constants, where))
    with database() as url:
        return list((ran if place == "run" else commanded)(some, constants, where, url))


@contextmanager
def fresh_database(admin: str, called: str = "hostile") -> Iterator[str]:
    """An empty database on the server of `admin`."""
    from portal.sandbox import databases

    name = f"{called}_{time.monotonic_ns()}"
    url = databases.create(admin, name)
    try:
        yield url
    finally:
        databases.drop(admin, name)


def as_user(without: bool, words: str, admin: str) -> list[tuple[str, Result]]:
    """The same as an ordinary user, who may read the interpreter wherever it lies."""
    command = [
        "setpriv",
        f"--reuid={ORDINARY.pw_uid}",
        f"--regid={ORDINARY.pw_gid}",
        "--clear-groups",
    ]
    command += [
        f"--{which}-caps=-all,+dac_read_search" for which in ("bounding-set", "inh", "ambient")
    ]
    command = [one.replace("--bounding-set-caps", "--bounding-set") for one in command]
    command += [
        sys.executable,
        "-m",
        "tests.faults.hostile_code",
        "--json",
        *(["--without"] if without else []),
        words,
    ]
    with tempfile.TemporaryDirectory(prefix="hostile-home-") as home:
        os.chown(home, ORDINARY.pw_uid, ORDINARY.pw_gid)
        env = os.environ | {
            "HOSTILE_DATABASE": admin,
            "HOME": home,
            "TMPDIR": home,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The part as an ordinary user failed with code {done.returncode}.")
    return [(place, tuple(one)) for place, one in json.loads(done.stdout.splitlines()[-1])]


def table(who: str, found: list[tuple[str, Result]], *, without: bool) -> list[str]:
    """Prints what was tried; returns what went against the promise."""
    wrong = []
    for place, (name, won, why) in found:
        print(f"{who:5} {place:8} {name:45} {'SUCCEEDED ' + won if won else 'no: ' + why}"[:300])
        if bool(won) != without:
            wrong.append(f"{who} {place}: {name}")
    print(f"As {who}: {len(found)} tried, {sum(bool(one[1]) for _, one in found)} succeeded.\n")
    return wrong


def main() -> None:
    without, as_json = "--without" in sys.argv, "--json" in sys.argv
    words = next((one for one in sys.argv[1:] if not one.startswith("--")), "")
    if without:
        os.environ["PORTAL_ISOLATION"] = "off"
    from portal import isolation
    from portal.server.embedded_postgres import start

    if not without and (why := isolation.why_not()):
        raise SystemExit(f"Nothing can be isolated here: {why}")
    directory, server = Path(tempfile.mkdtemp(prefix="hostile-server-")), None
    try:
        admin = os.environ.get("HOSTILE_DATABASE", "")
        if not admin:
            server = start(directory, fsync=False)
            admin = server.url
        found = everything(words, without=without, database=lambda: fresh_database(admin))
        if as_json:
            print(json.dumps(found))
            return
        wrong = table("root" if os.geteuid() == 0 else "user", found, without=without)
        if os.geteuid() == 0:
            wrong += table("user", as_user(without, words, admin), without=without)
    finally:
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    if wrong:
        what = "did not succeed without isolation, so they prove nothing" if without else "got out"
        raise SystemExit(f"{len(wrong)} {what}: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
