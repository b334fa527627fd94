"""What hostile code is to reach: files, a process with secrets, sockets, memory, all made for it
and gone afterwards.
"""

# ruff: noqa: E501

import json
import os
import secrets
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
_VICTIM = """
import ctypes, json, os, signal, socket, sys, threading
where = sys.argv[1]; secret = ctypes.create_string_buffer(b'CANARY in memory')
heard = open(where + '/heard', 'ab', buffering=0)
for number in (signal.SIGUSR1, signal.SIGIO, signal.SIGURG): signal.signal(number, lambda *_: heard.write(b'x'))
held = os.open(where + '/held', os.O_RDWR | os.O_CREAT, 0o600); os.write(held, b'CANARY'); os.unlink(where + '/held')
def serve(family, address, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind); s.bind(address)
    def answer():
        while True:
            if kind == socket.SOCK_STREAM: c = s.accept()[0]; c.sendall(b'CANARY'); c.close()
            else:
                _, back = s.recvfrom(99)
                if back: s.sendto(b'CANARY', back)
    if kind == socket.SOCK_STREAM: s.listen(64)
    threading.Thread(target=answer, daemon=True).start(); return s.getsockname()
abstract = '\\0hostile-' + str(os.getpid())
serve(socket.AF_UNIX, where + '/unix'); serve(socket.AF_UNIX, where + '/dgram', socket.SOCK_DGRAM); serve(socket.AF_UNIX, abstract)
libc = ctypes.CDLL(None); key = os.getpid()
i = libc.shmget(key, 4096, 0o1600); libc.shmat.restype = ctypes.c_void_p; ctypes.memmove(libc.shmat(i, None, 0), b'CANARY', 6)
try: tcp6 = serve(socket.AF_INET6, ('::1', 0))[1]
except OSError: tcp6 = 1
print(json.dumps({'victim': os.getpid(), 'address': ctypes.addressof(secret), 'held': held, 'key': key, 'abstract': abstract,
  'unix': where + '/unix', 'unix_dgram': where + '/dgram', 'heard': where + '/heard', 'tcp6': tcp6,
  'tcp': serve(socket.AF_INET, ('127.0.0.1', 0))[1], 'udp': serve(socket.AF_INET, ('127.0.0.1', 0), socket.SOCK_DGRAM)[1]}), flush=True)
sys.stdin.read(); libc.shmctl(i, 0, None)
"""


@contextmanager
def victims(database: str, *, without: bool) -> Iterator[dict[str, Any]]:
    """What `hostile_ways` calls C."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name, _terminal() as terminal:
        place = Path(name)
        for directory in ("var", "home", "out", "other", "venv", "sockets"):
            (place / directory).mkdir(mode=0o700)
        files = {
            "secret": "var/secret_key",
            "env": "var/.env",
            "home": "home/id_ed25519",
            "spare": "var/a",
            "spare2": "var/b",
            "spare3": "var/c",
            "spare3b": "var/d",
            "secret_link": "var/e",
            "other_run": "other/1.py",
        }
        for path in [*files.values(), "var/f"]:
            (place / path).write_text("CANARY")
            (place / path).chmod(0o600)
        for path in (place, place / "sockets"):  # an attacker may see what came of it
            path.chmod(0o755)
        shm = Path("/dev/shm") / f"hostile-{secrets.token_hex(4)}"
        shm.write_text("CANARY")
        parts = urlsplit(database)
        victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, str(place / "sockets")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"TOKEN": "CANARY"},
        )
        try:
            told = json.loads(victim.stdout.readline())  # type: ignore[union-attr]
            yield (
                told
                | {name: str(place / path) for name, path in files.items()}
                | {
                    "tmp": str(place / "other/1.py"),
                    "var": str(place / "var"),
                    "out": str(place / "out"),
                    "venv": str(place / "venv"),
                    "shm": str(shm),
                    "source": str(ROOT / "portal/settings.py"),
                    "packages": sysconfig.get_path("purelib"),
                    "terminal": terminal,
                    "without": without,
                    "child": str(ROOT / "environments/schema/run/alembic_env/env.py"),
                    "database": (parts.hostname, parts.port),
                }
            )
        finally:
            victim.stdin.close()  # type: ignore[union-attr]
            victim.wait(10)
            shm.unlink(missing_ok=True)


@contextmanager
def _terminal() -> Iterator[str]:
    ours, theirs = os.openpty()
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)
