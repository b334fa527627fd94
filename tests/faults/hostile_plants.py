"""Files and variables that wait for somebody to trip over them, and processes that outlive their
run.

Planted in a repository: `sitecustomize.py`, `.pth` files, modules that hide others, filters and
hooks of git, build hooks of packages; or in a project's variables: `LD_PRELOAD` and its like. Each
leaves a proof in the directory
`proofs`, which nothing behind the door can write to. `bait` is a command that shows that the plant
works where nobody is on their guard: `test_hostile_code` runs it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

Result = tuple[str, str, str]  # what was tried, what it got ("" is nothing), why it got nothing
PYTHON = getattr(
    sys, "_base_executable", sys.executable
)  # no virtual environment: those ignore a user's directory
_USER = f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
LASTING = 7357  # seconds that survivors sleep: how they are found again


@dataclass(frozen=True)
class Plant:
    """`files` by path, in which PROOF stands for Python that leaves a proof and SHELL for the
    same in a shell.
    """

    name: str
    files: Mapping[str, str]
    bait: str  # a line for the shell, at the root of the files
    variables: Mapping[str, str] = field(default_factory=dict)


_BARE = {"HEAD": "ref: refs/heads/main\n", "objects/keep": "", "refs/keep": ""}
_BACKEND = (
    "PROOF\ndef get_requires_for_build_wheel(*_): return []\ndef build_wheel(*_):\n    raise"
    " SystemExit('no wheel')\n"
)
_HIDDEN = ("sqlalchemy", "alembic", "psycopg", "json", "encodings", "_socket", "portal")


def _shadows(place: str, form: str = "{}.py") -> dict[str, str]:
    return {place + form.format(name): "PROOF" for name in _HIDDEN}


PLANTS = (
    Plant(
        "sitecustomize.py at the root", {"sitecustomize.py": "PROOF"}, "PYTHONPATH=. {python} -c 1"
    ),
    Plant(
        "sitecustomize.py beside the revisions",
        {"db/sitecustomize.py": "PROOF"},
        "PYTHONPATH=db {python} -c 1",
    ),
    Plant(
        "usercustomize.py in the home directory",
        {f"{_USER}/usercustomize.py": "PROOF"},
        "HOME=$PWD {python} -c 1",
    ),
    Plant(
        "a .pth file in the home directory",
        {f"{_USER}/evil.pth": "import os; exec(PROOF_AS_TEXT)"},
        "HOME=$PWD {python} -c 1",
    ),
    Plant("modules that hide others, at the root", _shadows(""), "{python} -c 'import sqlalchemy'"),
    Plant(
        "modules that hide others, beside the revisions",
        _shadows("db/"),
        "cd db && {python} -c 'import sqlalchemy'",
    ),
    Plant(
        "modules that hide others, among the revisions",
        _shadows("db/versions/", "{}/__init__.py"),
        "cd db/versions && {python} -c 'import sqlalchemy'",
    ),
    Plant(
        "conftest.py and setup.py",
        {"conftest.py": "PROOF", "setup.py": "PROOF"},
        "{python} setup.py",
    ),
    Plant(
        "a build backend of its own",
        {
            "pyproject.toml": (
                "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
            ),
            "backend.py": _BACKEND,
        },
        "{python} -c 'import backend'",
    ),
    Plant(
        "a filter of git",
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            ".gitconfig": '[filter "evil"]\n\tsmudge = sh ./smudge.sh\n\tclean = sh ./smudge.sh\n',
            "smudge.sh": "SHELL; cat",
        },
        "HOME=$PWD git init -q . && HOME=$PWD git add smudge.sh",
    ),
    Plant(
        "a text conversion of git",
        {
            "conv/.gitattributes": "*.py diff=conv\n",
            "conv/config": '[diff "conv"]\n\ttextconv = sh ./conv.sh\n',
            "conv/a.py": "1\n",
            "conv/conv.sh": "SHELL",
        },
        "cd conv && git init -q . && git -c user.name=a -c user.email=a@b add a.py && git -c"
        " include.path=$PWD/config diff --cached --textconv",
    ),
    Plant(
        "a hook of git",
        {"hooked/hooks/post-checkout": "#!/bin/sh\nSHELL\n"},
        "cd hooked && chmod +x hooks/* && git init -q . && git -c core.hooksPath=$PWD/hooks -c"
        " user.name=a -c user.email=a@b commit -q --allow-empty -m x && git -c"
        " core.hooksPath=$PWD/hooks checkout -q -b y",
    ),
    Plant(
        "an embedded repository with a monitor of files",
        {f"db/bare/{path}": text for path, text in _BARE.items()}
        | {
            "db/bare/config": (
                "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor"
                ' = "sh ./monitor.sh"\n'
            ),
            "db/bare/monitor.sh": "SHELL",
        },
        "cd db/bare && git status",
    ),
    Plant(
        "LD_DEBUG_OUTPUT",
        {},
        "{python} -c 1",
        {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": "{proofs}/LD_DEBUG_OUTPUT"},
    ),
    Plant("LD_PRELOAD", {"db/evil.so": "LIBRARY"}, "{python} -c 1", {"LD_PRELOAD": "./db/evil.so"}),
    Plant(
        "LD_LIBRARY_PATH",
        {f"db/lib{name}": "LIBRARY" for name in ("evil.so", "m.so.6", "dl.so.2", "pthread.so.0")},
        "rm db/*.so.*; {python} -c 'import ctypes; ctypes.CDLL(\"libevil.so\")'",
        {"LD_LIBRARY_PATH": "./db"},
    ),
    Plant("LD_AUDIT", {"db/audit.so": "LIBRARY"}, "{python} -c 1", {"LD_AUDIT": "./db/audit.so"}),
    Plant(
        "PYTHONPATH",
        {"db/path/sitecustomize.py": "PROOF"},
        "{python} -c 1",
        {"PYTHONPATH": "./db/path"},
    ),
    Plant(
        "PYTHONSTARTUP",
        {"db/startup.py": "PROOF"},
        "{python} -i < /dev/null",
        {"PYTHONSTARTUP": "./db/startup.py"},
    ),
    Plant("PYTHONHOME", {}, "{python} -c 1 2> {proofs}/PYTHONHOME; true", {"PYTHONHOME": "./db"}),
    Plant(
        "BASH_ENV and ENV",
        {"db/env.sh": "SHELL"},
        "bash -c :",
        {"BASH_ENV": "./db/env.sh", "ENV": "./db/env.sh"},
    ),
    Plant(
        "PATH",
        {"db/bin/git": "#!/bin/sh\nSHELL\n"},
        "chmod +x db/bin/git; git",
        {"PATH": "./db/bin:/usr/bin:/bin"},
    ),
    Plant(
        "GIT_CONFIG",
        {"db/gitconfig": '[alias]\n\tevil = "!sh ./db/alias.sh"\n', "db/alias.sh": "SHELL"},
        "git evil",
        {"GIT_CONFIG_GLOBAL": "./db/gitconfig"},
    ),
)


def planted_files(plant: Plant, proofs: Path, where: Path) -> dict[str, str]:
    """The files of a plant, armed: each leaves a file of the plant's name in `proofs`."""
    proof = f"{proofs}/{plant.name.replace(' ', '_')}"
    python = f"open({proof!r}, 'a').close()"
    found = {}
    for path, text in plant.files.items():
        armed = text.replace("PROOF_AS_TEXT", repr(python)).replace(
            "PROOF", f"try: {python}\nexcept OSError: pass\n"
        )
        armed = armed.replace("SHELL", f"{{ : > '{proof}'; }} 2> /dev/null")
        if text == "LIBRARY" and not (armed := _library(proof, where)):
            continue
        found[path] = armed
    return found


def _library(proof: str, where: Path) -> str:
    """A shared library that leaves a proof when it is loaded; "" where there is no compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        return ""
    where.mkdir(parents=True, exist_ok=True)
    code = (
        "#include <fcntl.h>\n__attribute__((constructor)) static void on_load(void) {"
        f' open("{proof}", O_CREAT | O_WRONLY, 0600); }}\nunsigned la_version(unsigned v) {{ return'
        " v; }\n"
    )
    (where / "evil.c").write_text(code)
    command = [compiler, "-shared", "-fPIC", "-o", "evil.so", "evil.c"]
    if subprocess.run(command, cwd=where, capture_output=True, check=False).returncode:
        return ""
    return (where / "evil.so").read_bytes().decode("utf-8", "surrogateescape")


def baited(plant: Plant, proofs: Path, where: Path) -> bool | None:
    """Whether the plant works where nobody defends against it; None where it cannot be planted
    here.
    """
    files = planted_files(plant, proofs, where / "made")
    if len(files) < len(plant.files):
        return None
    root = where / "bait"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode("utf-8", "surrogateescape"))
    root.mkdir(parents=True, exist_ok=True)
    env = {"PATH": os.environ["PATH"]} | {
        key: value.replace("{proofs}", str(proofs)) for key, value in plant.variables.items()
    }
    line = plant.bait.replace("{python}", PYTHON).replace("{proofs}", str(proofs))
    subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=root,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return bool(proof_of(plant, proofs))


def proof_of(plant: Plant, proofs: Path) -> str:
    name = plant.name.replace(" ", "_")
    return next((one.name for one in proofs.iterdir() if one.name.startswith(name)), "")


def planted(proofs: Path, where: Path, database: str, *, installing: bool) -> Iterator[Result]:
    """Does with a repository full of plants all that the portal does: reads, plans, runs, and runs
    a command.

    `installing`: prepares an environment by `pip install .` as well, which takes seconds.
    """
    from environments.git.repository import Mirror
    from tests.environments.schema.history.histories import repository, source

    files: dict[str, str] = {
        "alembic.ini": "[alembic]\nscript_location = %(here)s/db\n",
        "db/env.py": "",
    }
    for plant in PLANTS:
        files |= planted_files(plant, proofs, where / "made")
    honest = {
        "db/versions/1_first.py": source("p1", body='op.execute("create table planted (id int)")')
    }
    second = {
        "db/versions/2_second.py": source(
            "p2", "p1", body='op.execute("create table second (id int)")'
        )
    }
    origin = repository(where / "origin", files | honest, second)
    mirror = Mirror(where / "mirror", str(where / "origin"))
    mirror.fetch()
    why = {
        "git": _git(mirror, origin.commit("main"), where),
        "plan": _plan(mirror),
        "run": _run(mirror, database, proofs),
        "command": _commanded(mirror, database, proofs),
    }
    if installing:
        why["install"] = _install(mirror, where)
    for plant in PLANTS:
        yield f"plant: {plant.name}", proof_of(plant, proofs), f"honest work was done: {why}"


def _git(mirror, commit: str, where: Path) -> str:
    mirror.commits("c0", commit)
    mirror.changed_files("c0", commit)
    (where / "whole").mkdir()
    mirror.checkout_all(commit, where / "whole")
    return "checked out"


def _plan(mirror) -> str:
    from environments.schema.history.changes import in_order
    from environments.schema.history.reader import read
    from environments.schema.plan.render import make_plan

    history = read(mirror, mirror.commit("main"), "alembic.ini")
    plan = make_plan(
        mirror,
        mirror.commit("main"),
        history,
        in_order(history.revisions.values()),
        time_limit_s=60,
    )
    texts = [step.upgrade.text for step in plan.steps]
    assert texts == ["create table planted (id int);", "create table second (id int);"], (
        "the honest plan failed",
        plan,
    )
    return f"{len(plan.steps)} planned"


def _variables(proofs: Path) -> dict[str, str]:
    every = (item for plant in PLANTS for item in plant.variables.items())
    return {key: value.replace("{proofs}", str(proofs)) for key, value in every}


def _run(mirror, database: str, proofs: Path) -> str:
    from environments.schema.run.request import Run
    from environments.schema.run.runner import run

    lines: list[str] = []
    request = Run(
        mirror.commit("c0"), "alembic.ini", database, time_limit_s=120, variables=_variables(proofs)
    )
    outcome = run(mirror, request, on_lines=lines.extend, alive=lambda: True)
    assert outcome.status == "succeeded", ("the honest run failed", outcome, lines[-5:])
    return "ran"


def _commanded(mirror, database: str, proofs: Path) -> str:
    from environments.schema.run.command import Command
    from environments.schema.run.request import Run
    from environments.schema.run.runner import run

    lines: list[str] = []
    line = (
        f"{sys.executable} -c 'print(\"HONEST\")'; git status; {sys.executable} setup.py; bash -c"
        " :; true"
    )
    keep_from_starting = ("PYTHONHOME", "LD_AUDIT", "PATH", "LD_LIBRARY_PATH")
    variables = {
        key: value for key, value in _variables(proofs).items() if key not in keep_from_starting
    }
    command = Command(line, None, variables=variables)
    request = Run(mirror.commit("main"), "alembic.ini", database, time_limit_s=120, command=command)
    run(mirror, request, on_lines=lines.extend, alive=lambda: True)
    assert "HONEST" in lines, ("the honest command failed", lines[-5:])
    return f"commanded, {len(lines)} lines"


def _install(mirror, where: Path) -> str:
    from environments.schema.run import virtualenvs
    from environments.schema.run.process import Log, Redactor

    lines: list[str] = []
    with suppress(virtualenvs.NotPrepared):
        virtualenvs.prepare(
            mirror,
            mirror.commit("main"),
            "",
            "pip install --no-index . ; python setup.py; true",
            root=where / "prepared",
            log=Log(lines.extend, Redactor([])),
            alive=lambda: True,
        )
    return f"installed, {len(lines)} lines"


_DAEMONS = {
    "a daemon by two forks": "os.setsid(); os.fork() and os._exit(0); {sleep}",
    "a daemon in its own session": "os.setsid(); {sleep}",
    "a daemon that ignores every signal": (
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 17, 19)]; {sleep}"
    ),
    "a daemon that holds the log open": "os.setsid(); {hold}",
    "a daemon that keeps forking": (
        "os.setsid()\n        for _ in range(100):\n            os.fork() and os._exit(0);"
        " time.sleep(.002)\n        {sleep}"
    ),
    "a daemon that asks to outlive its parent": (
        "libc.prctl(1, 0, 0, 0, 0); libc.prctl(36, 1, 0, 0, 0); os.setsid(); os.fork() and"
        " os._exit(0); {sleep}"
    ),
    "a daemon that is stopped": (
        "os.setsid(); p = os.fork(); p and (time.sleep(.1), os.kill(p, signal.SIGSTOP),"
        " os._exit(0)); {sleep}"
    ),
}
PLACES = ("render", "run", "install", "command")


def daemons(where: str) -> list[tuple[str, str]]:
    """Name and code of each process that tries to outlive its run in the place `where`."""
    found = []
    for name, code in _DAEMONS.items():
        hold = f"os.execv('/bin/sleep', ['sleep', '{_mark(name, where)}'])"
        code = code.replace("{sleep}", f"os.closerange(0, 3); {hold}").replace("{hold}", hold)
        found.append(
            (
                name,
                (
                    f"if os.fork(): time.sleep(.05); return ''\n    try:\n        {code}\n   "
                    " finally: os._exit(0)"
                ),
            )
        )
    return found


def survivor(name: str, where: str) -> str:
    """The process of `daemons` that lives on after its run, which is ended; "" when there is
    none.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_bytes().split(b"\0")[:2] == [
                b"sleep",
                _mark(name, where).encode(),
            ]:
                os.kill(int(process.name), signal.SIGKILL)
                return f"process {process.name}"
    return ""


def _mark(name: str, where: str) -> str:
    return f"{LASTING}.{list(_DAEMONS).index(name):02}{PLACES.index(where)}{os.getpid()}"
