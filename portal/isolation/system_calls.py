"""The seccomp filter: which system calls of repository code are refused, the broker's, or allowed.

Come here when an honest program is refused a call, or when the kernel has learnt a new way out.
Landlock knows files, signals and TCP ports; this closes what it does not know: other sockets, other
processes, kernel interfaces, and changes of a file's mode or owner. Standard library only: it runs
in the child.
"""

import errno
import platform
import struct
from collections.abc import Iterable, Iterator

Instruction = tuple[int, int, int, int]
Condition = tuple[int, int, tuple[int, ...], bool]
ALLOW, NOTIFY, ERRNO, KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
FIRST_UNKNOWN = 463  # setxattrat and what came after Linux 6.12

NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW… that clone(2) takes
MSG_FASTOPEN = 0x20000000
AF_UNIX, AF_INET, AF_INET6, SOCK_STREAM, IPPROTO_TCP = 1, 2, 10, 1, 6
F_SETLEASE, F_NOTIFY = 1024, 1026
# TIOCSTI, TIOCLINUX, TIOCSCTTY, SETFLAGS
BAD_IOCTLS = (0x5412, 0x541C, 0x540E, 0x40086602, 0x40046602, 0x401C5820)

# Numbers on x86_64 and aarch64; -1 where there is none.
_REFUSED = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "perf_event_open": (298, 241),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # kernel interfaces
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "inotify_init": (253, -1),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "syslog": (103, 116),
    "personality": (135, 92),
    "modify_ldt": (154, -1),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "uselib": (134, -1),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # namespaces, mounts, the machine
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "vhangup": (153, 58),
    # memory and messages shared by name
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # files that Landlock does not look after
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "chown": (92, -1),
    "fchown": (93, 55),
    "lchown": (94, -1),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    # others' sockets
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
}
_ABSENT = {"clone3": (435, 435)}  # its flags lie in memory; every libc falls back to clone
_PRETENDED = {"utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1)}
_PRETENDED |= {"utimensat": (280, 88)}
MODES = {"chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)}
CONNECT = {"connect": (42, 203)}
_OF_SERVERS = {"shmget", "shmat", "shmctl", "bind", "listen", "accept", "accept4"}

# Allowed if, in each line, the word (half an argument, counted from 0) under the mask is (or is
# not) one of these.
_ALL = 0xFFFFFFFF
_SOCKETS: tuple[Condition, ...] = (
    (0, _ALL, (AF_UNIX, AF_INET, AF_INET6), True),
    (2, 0xF, (SOCK_STREAM,), True),
    (4, _ALL, (0, IPPROTO_TCP), True),
)
_OF_ITSELF: list[Condition] = [(0, _ALL, (0,), True)]
_LIMITED: dict[str, tuple[tuple[int, int], list[Condition]]] = {
    "clone": ((56, 220), [(0, NEW_NAMESPACES, (0,), True)]),
    "prlimit64": ((302, 261), _OF_ITSELF),
    "sched_setattr": ((314, 274), _OF_ITSELF),
    "sched_setscheduler": ((144, 119), _OF_ITSELF),
    "sched_setparam": ((142, 118), _OF_ITSELF),
    "sched_setaffinity": ((203, 122), _OF_ITSELF),
    "setpriority": ((141, 140), [(0, _ALL, (0,), True), (2, _ALL, (0,), True)]),
    "ioprio_set": ((251, 30), [(0, _ALL, (1,), True), (2, _ALL, (0,), True)]),
    # no datagrams: they reconnect
    "socketpair": ((53, 199), [(0, _ALL, (AF_UNIX,), True), (2, 0xF, (1, 5), True)]),
    "sendto": (
        (44, 206),
        [(6, MSG_FASTOPEN, (0,), True), (8, _ALL, (0,), True), (9, _ALL, (0,), True)],
    ),
    "sendmsg": ((46, 211), [(4, MSG_FASTOPEN, (0,), True)]),
    "sendmmsg": ((307, 269), [(6, MSG_FASTOPEN, (0,), True)]),
    "ioctl": ((16, 29), [(2, _ALL, BAD_IOCTLS, False)]),
    "fcntl": ((72, 25), [(2, _ALL, (F_SETLEASE, F_NOTIFY), False)]),
}


def known() -> bool:
    """Return whether there is a filter for this machine's processor."""
    return platform.machine() in ARCHITECTURES


def program(*, sockets: bool, broker: bool, server: bool = False) -> bytes:
    """Return the filter as the kernel takes it.

    `sockets`: TCP and Unix ones may be made; `broker`: it connects them, and without it nothing
    does, and modes of files stay as they are. A `server` may listen and share memory.
    """
    audit, column = ARCHITECTURES[platform.machine()]
    lines: list[Instruction] = [(0x20, 0, 0, 4), (0x15, 1, 0, audit), (0x06, 0, 0, KILL)]
    # Also x32, whose numbers are high.
    lines += [(0x20, 0, 0, 0), (0x35, 0, 1, FIRST_UNKNOWN), (0x06, 0, 0, ERRNO | errno.ENOSYS)]
    action = NOTIFY if broker else ERRNO | errno.EPERM
    allowed = _OF_SERVERS if server else ()
    refused = {name: numbers for name, numbers in _REFUSED.items() if name not in allowed}
    verdicts = [
        (refused, ERRNO | errno.EPERM),
        (_ABSENT, ERRNO | errno.ENOSYS),
        (_PRETENDED, ERRNO),
    ]
    for calls, verdict in [*verdicts, (MODES, action), (CONNECT, action)]:
        for numbers in calls.values():
            lines += _when(numbers[column], [(0x06, 0, 0, verdict)])
    socket: list[Condition] = [*_SOCKETS] if sockets else [(0, _ALL, (), True)]
    for numbers, conditions in [*_LIMITED.values(), ((41, 198), socket)]:
        lines += _when(numbers[column], [*_checks(conditions), (0x06, 0, 0, ALLOW)])
    lines.append((0x06, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    """Return `then`, which returns, for the system call of this number."""
    return [(0x15, 0, len(then), number), *then] if number >= 0 else []


def _checks(conditions: Iterable[Condition]) -> Iterator[Instruction]:
    refuse = (0x06, 0, 0, ERRNO | errno.EPERM)
    for word, mask, values, wanted in conditions:
        yield (0x20, 0, 0, 16 + 4 * word)
        yield (0x54, 0, 0, mask)
        for index, value in enumerate(values):
            yield (0x15, len(values) - index, 0, value) if wanted else (0x15, 0, 1, value)
            if not wanted:
                yield refuse
        if wanted:
            yield refuse
