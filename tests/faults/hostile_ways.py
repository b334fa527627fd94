"""The ways out that hostile code tries: each is Python that returns what it got hold of, or raises.

Come here to add one; what lies in wait in a repository is in `hostile_plants`.

`C` is what an attacker may know: paths, numbers of processes, ports. Nothing here does harm where
it succeeds: the victims are made for it. `needs`: "root" or "user" where only these could do it
anyway; "" else. Those of a rehearsal are SQL.
"""

# ruff: noqa: E501

from dataclasses import dataclass

from tests.faults.hostile_plants import PLACES, daemons

HEAD = """
import array, ctypes, errno, fcntl, os, pathlib, select, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    found = libc.syscall(number, *args)
    if found < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found or True
def checked(found):
    if found != 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True
"""


@dataclass(frozen=True)
class Way:
    """One way out. `where`: render, run, install or command; `needs`: root, or nothing."""

    name: str
    code: str
    where: str = "render"
    needs: str = ""
    # it has won if its process outlives the run; the guard sees to that, also without the door
    lasts: bool = False


_READ = "return open(C['{}'], 'rb').read()"
_FILES = {
    "read the secret key": _READ.format("secret"),
    "read .env": _READ.format("env"),
    "read what lies in the home directory": _READ.format("home"),
    "read another's file below /tmp": _READ.format("tmp"),
    "read the portal's source": "return open(C['source']).read()",
    "read a revision of another run": _READ.format("other_run"),
    "list var": "return os.listdir(C['var'])",
    "read /dev/shm": _READ.format("shm"),
    "append to the secret key": "return open(C['secret'], 'ab')",
    "make a file in var": "p = C['var'] + '/made'; open(p, 'w').close(); os.unlink(p); return p",
    "make a directory in var": "p = C['var'] + '/dir'; os.mkdir(p); os.rmdir(p); return p",
    "delete a file": "os.unlink(C['spare']); return True",
    "truncate by path": "os.truncate(C['spare2'], 0); return True",
    "empty a file on opening": "return os.open(C['spare2'], os.O_RDONLY | os.O_TRUNC)",
    "change a mode": "os.chmod(C['secret'], 0o640); return True",
    "change a mode by a handle": (
        "f = os.open(C['secret'], os.O_PATH); os.chmod(f'/proc/self/fd/{f}', 0o640); return True"
    ),
    "change a time": "os.utime(C['secret'], (1, 1)); return os.stat(C['secret']).st_mtime == 1",
    "change an attribute": "os.setxattr(C['secret'], 'user.x', b'y'); return True",
    "read through a symbolic link": (
        "p = C['out'] + '/l1'; os.symlink(C['secret'], p); return open(p).read()"
    ),
    "read through a hard link": (
        "p = C['out'] + '/l2'; os.link(C['secret'], p); return open(p).read()"
    ),
    "rename a file out": "p = C['out'] + '/l3'; os.rename(C['spare3'], p); return open(p).read()",
    "exchange two files": (
        "p = C['out'] + '/l4'; open(p, 'w').close(); return call(316, -100, p.encode(), -100,"
        " C['spare3b'].encode(), 2)"
    ),
    "link a nameless file into var": "f = os.open(C['var'], os.O_TMPFILE | os.O_WRONLY); return f",
    "make a device": "p = C['out'] + '/dev'; os.mknod(p, 0o60660, os.makedev(254, 0)); return True",
    "mount": (
        "return checked(libc.mount(b'none', C['out'].encode(), b'tmpfs', 0, None)) and"
        " checked(libc.umount2(C['out'].encode(), 2))"
    ),
    "change the root": (
        "if not (pid := os.fork()):\n        try: os.chroot(C['var'])\n        except OSError:"
        " os._exit(1)\n        os._exit(0)\n    return os.waitpid(pid, 0)[1] == 0"
    ),
    "open by handle": (
        "h = (ctypes.c_uint * 34)(128); m = ctypes.c_int()\n    "
        "call(303, -100, C['secret'].encode(), h, ctypes.byref(m), 0)\n    "
        "f = call(304, os.open(C['var'], os.O_RDONLY), h, 0); return os.read(f, 99)"
    ),
    "write beside our packages": (
        "p = C['packages'] + '/zz_hostile.txt'; open(p, 'w').close(); os.unlink(p); return p"
    ),
    "write to the alembic package": "return open(C['packages'] + '/alembic/__init__.py', 'ab')",
    "write to the child's own program": "return open(C['child'], 'ab')",
    "write a kernel setting": "return open('/proc/sys/kernel/core_pattern', 'w')",
    "read a kernel setting": "return open('/proc/sys/kernel/core_pattern').read()",
    "watch others' files": (
        "f = libc.inotify_init(); checked(0 if libc.inotify_add_watch(f, C['var'].encode(), 0xfff)"
        " > 0 else -1); return True"
    ),
    "write on another's terminal": (
        "return os.write(os.open(C['terminal'], os.O_WRONLY | os.O_NOCTTY), b'x')"
    ),
    "type into another's terminal": (
        "fcntl.ioctl(os.open(C['terminal'], os.O_RDWR | os.O_NOCTTY), 0x5412, b'x'); return True"
    ),
    "hold a file by a lease": (
        "f = os.open(C['secret_link'], os.O_RDONLY); fcntl.fcntl(f, 1024, 1); return True"
    ),
}
_ROOT = {
    "make a device",
    "mount",
    "change the root",
    "open by handle",
    "write beside our packages",
    "write to the alembic package",
    "write to the child's own program",
    "write a kernel setting",
    "type into another's terminal",
}
_PROCESSES = {
    "another's environment": (
        "return b'CANARY' in open(f\"/proc/{C['victim']}/environ\", 'rb').read()"
    ),
    "another's memory": (
        "f = open(f\"/proc/{C['victim']}/mem\", 'rb', 0); f.seek(C['address']); return f.read(6) =="
        " b'CANARY'"
    ),
    "another's map of memory": "return open(f\"/proc/{C['victim']}/maps\").read()",
    "another's open files": (
        "return b'CANARY' in open(f\"/proc/{C['victim']}/fd/{C['held']}\", 'rb').read()"
    ),
    "another's root directory": "return os.listdir(f\"/proc/{C['victim']}/root\")",
    "another's command line": "return open(f\"/proc/{C['victim']}/cmdline\").read()",
    "the list of processes": "return len([p for p in os.listdir('/proc') if p.isdigit()]) > 3",
    "the guard's environment": (
        "return open(f'/proc/{os.getppid()}/environ', 'rb').read() is not None"
    ),
    "ptrace": (
        "call(101, 16, C['victim'], 0, 0); os.waitpid(C['victim'], 0x40000000); call(101, 17,"
        " C['victim'], 0, 0); return True"
    ),
    "read memory across processes": (
        "b = ctypes.create_string_buffer(6); l = struct.pack('QQ', ctypes.addressof(b), 6); r ="
        " struct.pack('QQ', C['address'], 6)\n    n = ctypes.c_ulong;"
        " libc.process_vm_readv(C['victim'], l, n(1), r, n(1), n(0)); return b.raw == b'CANARY'"
    ),
    "take another's descriptor": (
        "p = os.pidfd_open(C['victim']); f = call(438, p, C['held'], 0); return os.pread(f, 9, 0)"
    ),
    "a signal": "os.kill(C['victim'], signal.SIGUSR1); return True",
    "a signal to everybody": (
        "before = os.path.getsize(C['heard']); os.kill(-1, signal.SIGURG); time.sleep(.3); return"
        " os.path.getsize(C['heard']) > before"
    ),
    "a signal to the guard": "os.kill(os.getsid(0), signal.SIGCONT); return True",
    "a signal by descriptor": (
        "signal.pidfd_send_signal(os.pidfd_open(C['victim']), signal.SIGUSR1); return True"
    ),
    "a signal to a thread": "return call(234, C['victim'], C['victim'], int(signal.SIGUSR1))",
    "a queued signal": (
        "i = struct.pack('iiiii', int(signal.SIGUSR1), 0, -1, os.getpid(), os.getuid()) +"
        " bytes(108); return call(129, C['victim'], int(signal.SIGUSR1), i)"
    ),
    "a signal by a socket's owner": (
        "before = os.path.getsize(C['heard']); a, b = socket.socketpair(); fcntl.fcntl(a,"
        " fcntl.F_SETOWN, C['victim']); fcntl.fcntl(a, 10, int(signal.SIGUSR1))\n    fcntl.fcntl(a,"
        " fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK); b.send(b'x'); time.sleep(.3); return"
        " os.path.getsize(C['heard']) > before"
    ),
    "another's limits": (
        "import resource; resource.prlimit(C['victim'], resource.RLIMIT_NOFILE, (99, 999)); return"
        " True"
    ),
    "another's priority": "os.setpriority(os.PRIO_PROCESS, C['victim'], 5); return True",
    "another's processors": "os.sched_setaffinity(C['victim'], {0}); return True",
    "another's scheduling": (
        "os.sched_setscheduler(C['victim'], os.SCHED_BATCH, os.sched_param(0)); return True"
    ),
    "another's input and output priority": "return call(251, 1, C['victim'], 3 << 13)",
    "compare kernel objects": "return call(312, os.getpid(), C['victim'], 0, 0, 1) is not None",
    "performance events": (
        "a = struct.pack('IIQ', 1, 128, 0) + bytes(24) + struct.pack('Q', 0b1100001) + bytes(80);"
        " return call(298, a, os.getpid(), -1, -1, 0)"
    ),
    "real-time scheduling": (
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); os.sched_setscheduler(0,"
        " os.SCHED_OTHER, os.sched_param(0)); return True"
    ),
    "a lower niceness": (
        "before = os.nice(0); lower = os.nice(-1); os.nice(1); return lower < before"
    ),
    "another user": (
        "if not (pid := os.fork()):\n        try: os.setresuid(4242, 4242, 4242)\n        except"
        " OSError: os._exit(1)\n        os._exit(0)\n    return os.waitpid(pid, 0)[1] == 0"
    ),
    "a capability": (
        "h, d = struct.pack('Ii', 0x20080522, 0), ctypes.create_string_buffer(24);"
        " checked(libc.capget(h, d)); return struct.unpack('6I', d.raw)[0] & ~4"
    ),
    "a namespace of users": (
        "if not (pid := os.fork()):\n        try: os.unshare(0x10000000)\n        except OSError:"
        " os._exit(1)\n        os._exit(0)\n    return os.waitpid(pid, 0)[1] == 0"
    ),
    "a namespace by clone": (
        "pid = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)\n    if pid == 0: os._exit(0)\n   "
        " return pid > 0 and os.waitpid(pid, 0)[1] == 0"
    ),
}
_PROCESSES_ROOT = {"real-time scheduling", "a lower niceness", "another user", "a capability"}
# Of the guard, which leads the session: what it left open, its log, its channel of events, its own
# process.
_PARENT = {
    "a descriptor that the parent left open": (
        "found, known = [], ('/proc/', 'pipe:', '/dev/null', C['out'], C['packages'])\n    for f in"
        " range(3, 600):\n        try: found.append((f, os.readlink(f'/proc/self/fd/{f}')))\n      "
        "  except OSError: pass\n    found = [(f, one) for f, one in found if not"
        " one.startswith(known) and '/lib' not in one and not one.endswith('.py')]\n    own ="
        " lambda f: socket.socket(fileno=os.dup(f)).getpeername()[1:2] == (C['database'][1],)\n   "
        " return [one for f, one in found if not (one.startswith('socket:') and own(f))]"
    ),
    "the parent's standard input": (
        "return os.read(os.open(f'/proc/{os.getsid(0)}/fd/0', os.O_RDONLY | os.O_NONBLOCK), 99)"
    ),
    "the parent's log, as the parent": (
        "return os.write(os.open(f'/proc/{os.getsid(0)}/fd/1', os.O_WRONLY), b'forged\\n')"
    ),
    "the parent's memory": "return open(f'/proc/{os.getsid(0)}/mem', 'rb+', 0)",
    "the parent's descriptor of the broker": "return call(438, os.pidfd_open(os.getsid(0)), 4, 0)",
    "what was said on standard input": "return os.read(0, 99)",
    "a stop to the parent": "os.kill(os.getsid(0), signal.SIGSTOP); return True",
    "a kill of the parent": "os.kill(os.getsid(0), signal.SIGKILL); return True",
    "a kill of the parent's group": (
        "os.killpg(os.getpgid(os.getsid(0)), signal.SIGURG); return os.getpgid(os.getsid(0)) !="
        " os.getpgid(0)"
    ),
    "to trace the parent": "return call(101, 16, os.getsid(0), 0, 0)",
    "to be traced by another": "return call(101, 0, 0, 0, 0)",
}
_SOCKETS = {
    "TCP to this machine": (
        "s = socket.create_connection(('127.0.0.1', C['tcp']), 3); return s.recv(6) == b'CANARY'"
    ),
    "TCP to this machine over IPv6": (
        "s = socket.create_connection(('::1', C['tcp6']), 3); return s.recv(6) == b'CANARY'"
    ),
    "TCP to the portal's database": (
        "s = socket.create_connection(C['database'], 3); s.send(struct.pack('!ii', 8, 80877103));"
        " return s.recv(1)"
    ),
    "UDP to this machine": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.sendto(b'x',"
        " ('127.0.0.1', C['udp'])); return s.recv(6)"
    ),
    "a Unix socket by path": (
        "s = socket.socket(socket.AF_UNIX); s.connect(C['unix']); return s.recv(6)"
    ),
    "a Unix socket by path, with datagrams": (
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'x', C['unix_dgram']);"
        " return True"
    ),
    "an abstract Unix socket": (
        "s = socket.socket(socket.AF_UNIX); s.connect(C['abstract']); return s.recv(6)"
    ),
    "a pair of sockets, reconnected": (
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.connect(C['unix_dgram']);"
        " a.send(b'x'); return True"
    ),
    "TCP that connects while it sends": (
        "s = socket.socket(); s.sendto(b'x', 0x20000000, ('127.0.0.1', C['tcp'])); return s.recv(6)"
        " == b'CANARY'"
    ),
    "netlink": (
        "s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); s.bind((0, 0)); return True"
    ),
    "raw packets": "return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "packets of a network card": "return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "the host of this machine (vsock)": "return socket.socket(40, socket.SOCK_STREAM)",
    "to listen": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return True",
    "multipath TCP": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.settimeout(3);"
        " s.connect(('127.0.0.1', C['tcp'])); return s.recv(6) == b'CANARY'"
    ),
    "io_uring": "return call(425, 4, (ctypes.c_uint * 30)())",
    "32-bit system calls": (
        "import mmap; m = mmap.mmap(-1, 4096, prot=7); m.write(bytes.fromhex('b814000000cd80c3'));"
        " f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n   "
        " if not (pid := os.fork()): os._exit(0 if f() > 0 else 1)\n    return os.waitpid(pid,"
        " 0)[1] == 0"
    ),
}
_SOCKETS_ROOT = {"raw packets", "packets of a network card"}
_SHARED = {
    "System V memory": (
        "i = libc.shmget(C['key'], 0, 0); libc.shmat.restype = ctypes.c_void_p; p = libc.shmat(i,"
        " None, 4096); return ctypes.string_at(p, 6) == b'CANARY'"
    ),
    "System V messages": "checked(0 if libc.msgget(C['key'], 0o1600) >= 0 else -1); return True",
    "a POSIX message queue": (
        "return call(240, b'hostile_queue', os.O_CREAT | os.O_RDWR, 0o600, None) and"
        " libc.syscall(241, b'hostile_queue') == 0"
    ),
    "POSIX memory": "p = '/dev/shm/hostile'; open(p, 'w').close(); os.unlink(p); return p",
    "the keyring": "return call(250, 0, -4, 1)",
    "a new key": "return call(248, b'user', b'hostile', b'x', 1, -1)",
    "userfaultfd": "return call(323, 1 | os.O_CLOEXEC)",
    "bpf": "return call(321, 0, struct.pack('IIIII', 2, 4, 8, 1, 0) + bytes(108), 128)",
    "memory that no bound counts": "return call(319, b'x', 0)",
}
_SHARED_ROOT = {"userfaultfd", "bpf"}
_BOMBS = {
    "a bomb of processes": (
        "n = 0\n    for _ in range(300):\n        try: pid = os.fork()\n        except OSError:"
        " break\n        if not pid: time.sleep(3); os._exit(0)\n        n += 1\n    return n > 200"
    ),
    "a bomb of memory": (
        "b = [bytearray(b'x' * (50 << 20)) for _ in range(16)]; time.sleep(2); return len(b) == 16"
    ),
    "a bomb of descriptors": "return len([os.open('/dev/null', 0) for _ in range(900)]) == 900",
    "a large file": (
        "p = C['out'] + '/large'; f = open(p, 'wb'); f.truncate(400 << 20); os.unlink(p); return"
        " True"
    ),
    "core dumps": "import resource; return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0",
}

_RUN_SHARES = (
    "TCP to this machine",
    "TCP to this machine over IPv6",
    "UDP to this machine",
    "a Unix socket by path",
    "a Unix socket by path, with datagrams",
    "an abstract Unix socket",
    "TCP that connects while it sends",
    "a pair of sockets, reconnected",
    "to listen",
    "multipath TCP",
    "netlink",
)
_RUN = {
    **{name: _SOCKETS[name] for name in _RUN_SHARES},
    "an address changed while it is looked at": (
        "good = b'\\x02\\0' + struct.pack('!H', C['database'][1]) + socket.inet_aton('127.0.0.1') +"
        " bytes(8)\n    bad = b'\\x02\\0' + struct.pack('!H', C['tcp']) +"
        " socket.inet_aton('127.0.0.1') + bytes(8)\n    b = ctypes.create_string_buffer(good, 16);"
        " end = time.monotonic() + 2\n    def flip():\n        while time.monotonic() < end:"
        " ctypes.memmove(b, bad, 16); ctypes.memmove(b, good, 16)\n   "
        " threading.Thread(target=flip, daemon=True).start()\n    while time.monotonic() < end:\n  "
        "      s = socket.socket(); s.setsockopt(1, 20, struct.pack('ll', 0, 50000))\n        if"
        " libc.connect(s.fileno(), b, 16) == 0:\n            try:\n                if s.recv(6) =="
        " b'CANARY': return True\n            except OSError: pass\n        s.close()\n    return"
        " False"
    ),
    "a name server of the attacker's choice": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3);"
        " s.connect(('127.0.0.1', C['udp'])); s.send(b'x'); return s.recv(6)"
    ),
    "read the secret key": _FILES["read the secret key"],
    "change a mode": _FILES["change a mode"],
    "change a mode through a link of its own": (
        "p = 'l9'; os.path.lexists(p) and os.unlink(p); os.symlink(C['secret'], p); os.chmod(p,"
        " 0o640); return True"
    ),
    "change a mode while the path is swapped": (
        "os.path.lexists('own') or os.mkdir('own'); open('own/f', 'w').close();"
        " os.path.lexists('away') or os.symlink(C['var'], 'away'); end = time.monotonic() + 2\n   "
        " def flip():\n        while time.monotonic() < end:\n            try: os.rename('own',"
        " 'o2'); os.rename('away', 'own'); os.rename('own', 'away'); os.rename('o2', 'own')\n      "
        "      except OSError: pass\n    threading.Thread(target=flip, daemon=True).start(); before"
        " = os.stat(C['var'] + '/f').st_mode\n    while time.monotonic() < end:\n        try:"
        " os.chmod('own/f', 0o640)\n        except OSError: pass\n    return os.stat(C['var'] +"
        " '/f').st_mode != before"
    ),
    "a large file": "f = open('large', 'wb'); f.truncate(400 << 20); return True",
    "another's memory": _PROCESSES["another's memory"],
    "a signal": _PROCESSES["a signal"],
    "a socket into the list of processes": _PROCESSES["the list of processes"],
    **_PARENT,
}
_INSTALL = {
    "read the secret key": _FILES["read the secret key"],
    "TCP to this machine": _SOCKETS["TCP to this machine"],
    "UDP to this machine": _SOCKETS["UDP to this machine"],
    "an abstract Unix socket": _SOCKETS["an abstract Unix socket"],
    "TCP to the portal's database": _SOCKETS["TCP to the portal's database"],
    "write into another's environment": (
        "p = C['venv'] + '/evil.pth'; open(p, 'w').close(); os.unlink(p); return True"
    ),
    "write beside our packages": _FILES["write beside our packages"],
    "change a mode": _FILES["change a mode"],
    "another's environment": _PROCESSES["another's environment"],
    "ptrace": _PROCESSES["ptrace"],
    "a bomb of processes": (
        _BOMBS["a bomb of processes"].replace("300", "1200").replace("200", "1000")
    ),
}
_COMMAND = {
    "read the secret key": _FILES["read the secret key"],
    "write into its own environment": (
        "p = C['venv'] + '/evil.pth'; open(p, 'w').close(); os.unlink(p); return True"
    ),
    "TCP to this machine": _SOCKETS["TCP to this machine"],
    "a signal": _PROCESSES["a signal"],
    "a signal to the guard": _PROCESSES["a signal to the guard"],
    "another's memory": _PROCESSES["another's memory"],
    "the list of processes": _PROCESSES["the list of processes"],
    **_PARENT,
}


# SQL of a revision, sent by a superuser of the scratch server on which a rehearsal runs.
_REHEARSAL = {
    "a program of the machine": "copy (select 1) to program 'true'",
    "read a file": "select pg_read_file('{secret}')",
    "list a directory": "select pg_ls_dir('{var}')",
    "write a file": "copy (select 1) to '{var}/made'",
    "write a large object into a file": (
        "select lo_from_bytea(99999, 'x'); select lo_export(99999, '{var}/made2')"
    ),
    "another's environment": "select pg_read_binary_file('/proc/{victim}/environ')",
    "TCP to this machine": (
        "create extension dblink; select dblink_connect('host=127.0.0.1 port={tcp} user=x')"
    ),
}


def ways() -> list[Way]:
    """All of them."""
    rendering = {**_FILES, **_PROCESSES, **_PARENT, **_SOCKETS, **_SHARED, **_BOMBS}
    root = _ROOT | _PROCESSES_ROOT | _SOCKETS_ROOT | _SHARED_ROOT
    found = [
        Way(name, code, "render", "root" if name in root else "")
        for name, code in rendering.items()
    ]
    found += [Way(name, code, "run") for name, code in _RUN.items()]
    found += [
        Way(name, code, "install", "root" if name in root else "")
        for name, code in _INSTALL.items()
    ]
    # As root the scratch server runs in a namespace of users, from where it sees no environment
    # anyway.
    user = {"another's environment"}
    found += [
        Way(name, code, "rehearsal", "user" if name in user else "")
        for name, code in _REHEARSAL.items()
    ]
    found += [Way(name, code, "command") for name, code in _COMMAND.items()]
    return found + [
        Way(name, code, place, lasts=True) for place in PLACES for name, code in daemons(place)
    ]


def program(way: Way, constants: dict[str, object]) -> str:
    """Python that tries `way` when it is loaded, and leaves `WON` ("" or what it got) and `WHY`
    behind.
    """
    return (
        f"{HEAD}\nC = {constants!r}\ndef attack():\n    {way.code}\ntry:\n    WON, WHY ="
        " str(attack() or '')[:40], 'nothing was got'\nexcept BaseException as error:\n    WON,"
        " WHY = '', f'{type(error).__name__}: {error}'[:90]\n"
    )
