"""The door itself: what it lets see, and the broker that connects.

`tests/faults/hostile_code.py` tries to get out.
"""

import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from portal import isolation
from portal.isolation import broker

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(bool(isolation.why_not()), reason=isolation.why_not() or "-")
# In a process of its own, for to go through the door cannot be undone.
ASKER = """
import os, socket, sys
from pathlib import Path
from portal import isolation
from portal.isolation import broker, confine
server = socket.create_server(("127.0.0.1", 0)); port = server.getsockname()[1]
door = isolation.door(Path(sys.argv[1]), writes=False, hosts=[("db.example.test", port)])
for path in door["owned"]: os.chown(path, door["uid"], -1)
real = broker._resolved
broker._resolved = lambda host, to: real("127.0.0.1" if host == "db.example.test" else host, to)
ours, theirs = socket.socketpair()
if not (pid := os.fork()):
    os.environ["RES_OPTIONS"] = "use-vc"
    confine.hand_over(confine.enter(door, keep=(theirs.fileno(),)), theirs)
    for name in ("db.example.test", "other.example.test"):
        try:
            reached = socket.create_connection((name, port), 5).getpeername()
            print(name, reached == ("127.0.0.1", port), flush=True)
        except OSError as error: print(name, type(error).__name__, flush=True)
    os._exit(0)
theirs.close()
broker.Broker(door, broker.receive(ours)).start()
os.waitpid(pid, 0)
"""


def test_the_broker_answers_for_the_databases_name_and_for_no_other(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ASKER, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.split("\n")[:2] == ["db.example.test True", "other.example.test gaierror"], (
        done.stderr
    )


def test_nothing_of_the_portal_is_readable_but_what_the_child_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PORTAL_VAR_DIR", str(tmp_path / "var"))
    door = isolation.door(tmp_path / "work")

    seen = [Path(path) for path in door["readable"]]
    ours = [ROOT / path for path in ("portal/settings.py", ".env", "var")]
    for kept_out in (*ours, tmp_path / "var", Path.home(), tmp_path / "other"):
        assert not [path for path in seen if kept_out.is_relative_to(path)], kept_out
    inside = [path.relative_to(ROOT).parts[0] for path in seen if path.is_relative_to(ROOT)]
    assert set(inside) <= {".venv", "environments"} and door["writable"] == [str(tmp_path / "work")]


def test_installing_reaches_public_addresses_and_those_that_the_operator_names(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PORTAL_PACKAGE_HOSTS", "10.1.2.3:3141, 127.0.0.1")
    asked = broker.Broker(isolation.door(tmp_path, packages=True), -1)

    allowed = [
        address
        for address in [
            ("151.101.0.223", 443),
            ("10.1.2.3", 3141),
            ("127.0.0.1", 443),
            ("10.1.2.3", 22),
            ("127.0.0.1", 8000),
            ("169.254.169.254", 80),
            ("::1", 443),
            ("192.168.0.1", 443),
        ]
        if next(asked._places(address), None)
    ]

    assert allowed == [("151.101.0.223", 443), ("10.1.2.3", 3141), ("127.0.0.1", 443)]


def test_an_answer_of_the_name_server_has_the_asked_kind_of_address():
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x00\x00\x01\x00\x01"
    name, kind, end = broker._question(query)

    four = broker._reply(query, kind, end, ["127.0.0.1", "::1"])
    none = broker._reply(query, kind, end, [])

    assert (name, kind, end) == ("db", 1, len(query))
    assert (
        four.endswith(socket.inet_aton("127.0.0.1")) and struct.unpack_from("!H", four, 6)[0] == 1
    )
    assert none[3] & 0xF == 3


def test_a_mapped_address_is_the_one_that_it_stands_for():
    raw = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", 5432, 0)
    raw += socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1") + bytes(4)

    assert broker._address(raw) == ("127.0.0.1", 5432)
