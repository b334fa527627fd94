import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from portal.server.embedded_postgres import AlreadyRunning, Server, attach, running, start
from portal.server.postgres_wheel import StartError
from tests.portal.server.test_children import gone

pytestmark = pytest.mark.slow
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
NOBODY = 65534
# Holds the server of argv[1], tells its URL and its user, and keeps it until standard input closes.
HOLDER = """
import sys
from pathlib import Path
import psutil, psycopg
from portal.server.embedded_postgres import running
with running(Path(sys.argv[1])) as server:
    owner = psutil.Process(server.process.pid) if server.process else None
    print(server.url, owner.uids().real if owner else "-", owner.pid if owner else "-", flush=True)
    sys.stdin.read()
"""

# Starts and stops a server twice in argv[1], as an ordinary user or as a root whose namespaces are
# refused, and tells
# whose server it is and whether it starts again. The interpreter is loaded first: it may lie where
# only root can go.
OTHERWISE = """
import encodings.idna, os, sys
from pathlib import Path
import psutil, psycopg
from portal.server.embedded_postgres import start
from portal.server.postgres_owner import CLONE_NEWUSER, NOBODY

def main():
    first = start(Path(sys.argv[1]), fsync=False)
    owner = psutil.Process(first.process.pid).uids().real
    first.stop()
    second = start(Path(sys.argv[1]), fsync=False)
    print(owner, second.url == first.url, flush=True)
    second.stop()
if sys.argv[2] == "ordinary":
    os.setgroups([]); os.setgid(NOBODY); os.setuid(NOBODY)
    main()
    sys.exit()
ours, theirs = os.pipe(), os.pipe()
if pid := os.fork():
    os.read(ours[0], 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text("0 0 65536")
    os.write(theirs[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.unshare(CLONE_NEWUSER)
os.write(ours[1], b"x")
os.read(theirs[0], 1)
Path("/proc/sys/user/max_user_namespaces").write_text("0")
main()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A directory in which a server once ran and left a row, its name as awkward as people's
    are.
    """
    directory = tmp_path_factory.mktemp("it's a place")
    server = start(directory, fsync=False)
    with psycopg.connect(server.url) as connection:
        connection.execute("create table kept as select 'still here' as word")
    server.stop()
    return directory


@pytest.fixture
def directory(made, tmp_path):
    """A copy of it, for one test."""
    return Path(shutil.copytree(made, tmp_path / "with a space" / "postgres"))


@pytest.fixture
def begin():
    """`start`, for throw-away data unless told otherwise, stopped when the test ends."""
    servers = []

    def begin(directory: Path, *, fsync: bool = False) -> Server:
        servers.append(start(directory, fsync=fsync))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


def word(url: str) -> str:
    with psycopg.connect(url) as connection:
        return connection.execute("select word from kept").fetchone()[0]


def hold(directory: Path) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], stdin=-1, stdout=-1, stderr=-1, text=True
    )
    return process, process.stdout.readline().split()


def test_a_restart_keeps_the_data_and_the_port(directory, begin):
    first = begin(directory)
    first.stop()

    second = begin(directory)

    assert (word(second.url), second.url) == ("still here", first.url)


def test_secrets_are_readable_by_the_owner_alone(directory, begin):
    begin(directory)

    modes = {name: (directory / name).stat().st_mode & 0o777 for name in ("password", "url")}

    assert modes == {"password": 0o600, "url": 0o600}


def test_it_listens_on_loopback_only_and_wants_the_password(directory, begin):
    server = begin(directory)
    url = urlsplit(server.url)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace(url.password, "wrong"))

    with psycopg.connect(server.url) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)


def test_it_starts_again_at_once_after_the_server_was_killed(directory, begin):
    killed = begin(directory, fsync=True)
    with psycopg.connect(killed.url) as connection:
        connection.execute("update kept set word = 'committed'")
    killed.process.kill()
    killed.stop()

    server = begin(directory)

    assert word(server.url) == "committed"


def test_the_server_ends_with_its_killed_starter_and_starts_again_at_once(directory, begin):
    process, (_, _, pid) = hold(directory)
    process.kill()

    server = begin(directory)

    assert word(server.url) == "still here"
    assert gone([int(pid)])
    process.communicate()


def test_two_starters_of_one_directory_share_one_server(directory):
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(directory)], stdin=-1, stdout=-1, text=True
        )
        for _ in range(2)
    ]
    told = [process.stdout.readline().split() for process in starters]

    assert told[0][0] == told[1][0]
    assert [owner for _, owner, _ in told].count("-") == 1
    for process, _ in sorted(zip(starters, told, strict=True), key=lambda pair: pair[1][1] != "-"):
        process.communicate(timeout=30)  # who attached leaves first
    assert attach(directory) is None


def test_whoever_attaches_leaves_the_server_running(directory, begin):
    server = begin(directory)

    with running(directory) as attached:
        assert attached.url == server.url

    assert word(server.url) == "still here"


def test_a_second_start_is_refused_in_one_sentence(directory, begin):
    begin(directory)

    with pytest.raises(
        AlreadyRunning, match=r"^Another process runs the database in .*; stop it first"
    ):
        begin(directory)


def test_it_takes_another_port_when_its_own_is_taken(directory, begin):
    port = int((directory / "port").read_text())
    with socket.create_server(("127.0.0.1", port)):
        server = begin(directory)

    assert urlsplit(server.url).port != port


def test_it_does_not_mistake_another_server_for_its_own(directory, tmp_path, begin):
    begin(directory)
    copy = Path(
        shutil.copytree(
            directory, tmp_path / "copy", ignore=shutil.ignore_patterns("postmaster.pid")
        )
    )

    assert attach(copy) is None  # same password, same port, other data


def test_a_creation_that_was_cut_short_is_begun_anew(tmp_path, begin):
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18")

    server = begin(tmp_path)

    assert server.is_alive


def test_broken_data_is_told_in_one_sentence_with_the_reason(directory, begin):
    (directory / "data" / "global" / "pg_control").unlink()

    with pytest.raises(
        StartError, match=r"^PostgreSQL did not start: .*(pg_control|database system).*see .*log\)$"
    ):
        begin(directory)


@AS_ROOT
@pytest.mark.parametrize("way", ["ordinary", "refused"])
def test_it_works_as_an_ordinary_user_and_for_root_where_namespaces_are_refused(way):
    with tempfile.TemporaryDirectory(prefix="portal test ", dir="/tmp") as var:
        directory = Path(var) / "postgres"
        os.chmod(var, 0o755)  # noqa: S103 - another user must come through
        if way == "ordinary":
            os.chown(var, NOBODY, NOBODY)

        done = subprocess.run(
            [sys.executable, "-c", OTHERWISE, str(directory), way],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert done.stdout.split() == [str(NOBODY), "True"], done.stderr
        assert directory.stat().st_uid == NOBODY
