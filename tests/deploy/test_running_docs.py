"""Every command that the documents print runs in one scratch portal; `documented.NOT_RUN` says of
each other why it cannot.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from tests.deploy.documented import ANSWERS, NOT_RUN, ROOT, SAYS, SERVING, commands, plain, reason
from tests.ports import free_port

pytestmark = pytest.mark.slow
OURS = ("DATABASE_", "DJANGO_", "PORTAL_", "PYTEST", "ALLOW_", "GITHUB_", "RAILWAY_", "SANDBOX")
OURS += ("MAKE", "MFLAGS", "ARGS")  # of the make that runs the tests
RUN = list(  # what is written in two ways is run once, as the last of them
    {plain(one): one for one in commands() if not reason(one) and one != "make run"}.values()
)
START_SECONDS, RUN_SECONDS = 300.0, 300
ENDED = (0, 2, 130, -signal.SIGINT)  # what make says after Ctrl-C
PREPARE = """
from django.contrib.auth.models import User
from environments.models import Project
from portal.accounts import tokens
from django.utils import timezone
from portal.models.accounts import Authenticator
from releases.lifecycle import actions
from releases.models.releases import Release
alice = User.objects.get(username="alice")
release = Release.objects.first() or actions.cut(Project.objects.get(), actor=alice)
bob = User.objects.get(username="bob")
Authenticator.objects.filter(user=bob).delete()
Authenticator.objects.create(user=bob, name="phone", secret="x", added_at=timezone.now())
print(tokens.make(alice, "documents"), release.name, sep="\\n")
"""


@dataclass
class Scratch:
    """A copy of what git tracks, in which `make run` serves the sandbox."""

    home: Path
    port: int
    env: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def checkout(self) -> Path:
        return self.home / "checkout"

    def environment(self, script: str) -> dict[str, str]:
        """Return the scratch portal's settings, but for make, which starts a portal, none."""
        if "make " not in script:
            return self.env
        return {name: value for name, value in self.env.items() if not name.startswith(OURS)}

    def shell(self, script: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run lines as a person's shell does, without a terminal, up to the first that fails."""
        command = ["bash", "-e", "-o", "pipefail", "-c", script]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            command,
            cwd=self.checkout,
            env=self.environment(script) | env,
            text=True,
            start_new_session=True,
            **pipes,
        )
        try:
            out, err = process.communicate(timeout=RUN_SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGTERM)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def serve(self, script: str, log: Path, **env: str) -> "subprocess.Popen[bytes]":
        with log.open("wb") as output:
            return subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.checkout,
                env=self.environment(script) | env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def meant(self, command: str) -> str:
        """Return the command with what its capital letters stand for."""
        command = re.sub(r"\[([^]]*)\]", r"\1", command)
        for pattern, word in self.words.items():
            command = re.sub(pattern, lambda _, word=word: word, command)
        return command


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def stop(process: "subprocess.Popen[bytes]", number: int = signal.SIGINT) -> int:
    """End it as Ctrl-C does; what outlives that is ended by force, each by its number."""
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    try:
        return process.wait(30)
    finally:
        for one in psutil.wait_procs(below, timeout=10)[1]:
            one.kill()
        if process.poll() is None:
            process.kill()
            process.wait()


def copied(home: Path) -> None:
    """Copy what git tracks; older than the virtual environment, so that make installs nothing."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, home / name)
            os.utime(home / name, (0, 0))
    (home / ".venv").symlink_to(sys.prefix)
    (home / ".tools").symlink_to(ROOT / ".tools")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", home]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "The portal"]):
        subprocess.run([*git, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Iterator[Scratch]:
    home = tmp_path_factory.mktemp("documents")
    copied(home / "checkout")
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    for name in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{name}_NAME": "x", f"GIT_{name}_EMAIL": "x@example.com"}
    env |= {"HOME": str(home), "PATH": f"{sys.prefix}/bin:{env['PATH']}"}
    made = Scratch(home, free_port(), env)
    process = made.serve(f"make run PORT={made.port}", home / "log")
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{made.url}/health/ready"):
            assert process.poll() is None and time.monotonic() < deadline, (
                home / "log"
            ).read_text()
            time.sleep(0.2)
        furnish(made)
        yield made
    finally:
        code = stop(process)
    assert code in ENDED, (home / "log").read_text()[-2000:]


def furnish(made: Scratch) -> None:
    """Give people's names, files, addresses and releases that the commands name."""
    told = made.shell(f"python manage.py shell --verbosity=0 -c '{PREPARE}'")
    assert told.returncode == 0, told.stderr
    token, release = told.stdout.split()[-2:]
    ports = json.loads((made.checkout / "var/sandbox/sandbox.json").read_text())
    github, railway = (f"http://127.0.0.1:{ports[f'{one}_port']}" for one in ("github", "railway"))
    made.env |= {"PORTAL_URL": made.url, "PORTAL_TOKEN": token, "SANDBOX": "1"}
    made.env |= {
        "GITHUB_TOKEN": "sandbox-github-token",
        "RAILWAY_API_TOKEN": "sandbox-railway-token",
    }
    for name in ("GITHUB_WEBHOOK_SECRET", "RAILWAY_WEBHOOK_SECRET"):
        made.env[name] = (made.checkout / "var/sandbox" / name.lower()).read_text().strip()
    (made.home / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
    made.env |= {
        "GITHUB_API_URL": github,
        "GITHUB_GIT_URL": github,
        "RAILWAY_API_URL": f"{railway}/graphql/v2",
    }
    clone = made.home / "clone"
    address = f"http://x:sandbox-github-token@127.0.0.1:{ports['github_port']}/acme/inspector.git"
    subprocess.run(
        ["git", "clone", "-q", "-b", "staging", address, clone], check=True, capture_output=True
    )
    subprocess.run(["git", "-C", clone, "branch", "-q", "main", "origin/main"], check=True)
    key = made.checkout / "var/secret_key"
    restoring = (
        f"PORTAL_VAR_DIR={made.home}/empty SECRET_KEY=$(cat {key}) python manage.py restore"
        f" {made.home}/backup"
    )
    made.words = {
        r"2026\.11\.22-1": release,
        r"https://PORTAL": made.url,
        r"127\.0\.0\.1:PORT": github.partition("//")[2],
        r"PORT=8001 HOST=0\.0\.0\.0": f"PORT={free_port()} HOST=127.0.0.1",
        r"(?<=--repository )PATH": str(clone),
        r"(?<=--path )CLONE": str(clone),
        r"(?<=--alembic )(alembic\.ini|INI_OR_SCRIPT_DIRECTORY)": "backend/alembic.ini",
        r"(?<=--staging )REF": "staging",
        r"(?<=--production )REF": "main",
        r"(?<=--shape )NAME": "no-migrations",
        r"(?<=second_factor )NAME": "bob",
        r"\bSLUG\b": "inspector",
        r"(?<=backup )FILE": str(made.home / "backup"),
        r".*manage\.py restore FILE": restoring,
        r"(?<=git clone )REPOSITORY": str(made.checkout),
        r"/opt/release-portal": str(made.home / "opt"),
        r"/etc/(?=release|systemd)": f"{made.home}/etc/",
        r"(?<![/\w] )(?<![./\w])manage\.py": "python manage.py",
        r"^portalctl (?=[a-z])": "python portal/static/portal/portalctl.py ",
        r"(?<=createsuperuser)$": " --noinput --username zoe --email zoe@example.com",
        # In a script a code other than 0 is the end; 3 means: promote first.
        r"(?<= > log\.md)": "; echo A line more. >> log.md",
        r"(?<=sync-staging --project inspector)(?=\n)": " || test $? = 3",
        r"(?<=manage\.py web)$": " --host=127.0.0.1",
        r"(?<=login )\S+": f"{made.url} <<< $PORTAL_TOKEN",
    }


def test_nothing_is_excused_that_no_document_names():
    found = commands()
    unused = [one for one in NOT_RUN if not any(re.search(one, line) for line in found)]

    assert unused == [] and len(RUN) > 35


@pytest.mark.parametrize("command", [one for one in RUN if not SERVING.search(one)])
def test_a_command_of_the_documents_runs(scratch, command):
    done = scratch.shell(scratch.meant(command))
    wanted = next((codes for name, codes in ANSWERS.items() if re.search(name, command)), {0})
    assert done.returncode in wanted, f"{done.returncode}\n{done.stdout[-1500:]}{done.stderr}"
    for name, word in SAYS.items():
        if name in command:
            assert word.replace(" ", "") in done.stdout.replace(" ", ""), done.stdout[-1500:]


@pytest.mark.parametrize("command", [one for one in RUN if SERVING.search(one)])
def test_a_program_of_the_documents_serves_until_it_is_told_to_stop(
    scratch, command, tmp_path, migrated_data_in
):
    port, log = free_port(), tmp_path / "log"
    beside = re.search(r"manage\.py (web|worker)", command)  # on the data of the scratch portal
    own = {} if beside else {"PORTAL_VAR_DIR": str(tmp_path / "var")}
    if "make run" in command:  # from nothing starts the scratch portal
        migrated_data_in(tmp_path / "var" / "postgres")
    process = scratch.serve(scratch.meant(command), log, PORT=str(port), **own)
    served = {
        "worker": lambda: len(psutil.Process(process.pid).children(recursive=True)) > 3,
        "sandbox": lambda: '"ready": true' in log.read_text(),
    }
    asked = re.search(r"PORT=(\d+)", scratch.meant(command))
    page = f"http://127.0.0.1:{asked[1] if asked else port}/health/live"
    there = served.get(SERVING.search(command)[1] or "", lambda: answers(page))
    try:
        deadline = time.monotonic() + START_SECONDS
        while not there():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
    finally:
        code = stop(process, signal.SIGTERM if "manage.py" in command else signal.SIGINT)
    assert code in (ENDED if "make" in command else (0,)), log.read_text()
    assert "Traceback" not in log.read_text()
