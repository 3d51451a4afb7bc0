"""Gives up, for the process that calls it, what reading a file never needs: networks, programs, changes to files.

A filter of Linux's own (seccomp) answers such calls with "not permitted", also for code within native libraries. On
other systems, and other processors than these two, there is none, and the limits of
:mod:`steward.models.sandbox.limited` have to do.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Final

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_DENY: Final = 0x00050000 | errno.EPERM
_WRITING: Final = 0o1 | 0o2 | 0o100 | 0o1000
"""The flags of ``open`` that write, create or truncate."""
_NUMBER, _ARCHITECTURE, _SECOND, _THIRD = 0, 4, 24, 32
"""Where the kernel puts what a call is, for which processor, and its second and third argument."""


_MACHINES: Final[Mapping[str, int]] = {"x86_64": 0, "aarch64": 1}
"""The place of a processor's numbers in the tables."""
_AUDITED: Final = (0xC000003E, 0xC00000B7)
_FOREIGN_FROM: Final = (0x40000000, 0xFFFFFFFF)
"""From here on the numbers are those of another convention (x32), which no library uses."""
_DENIED: Final[Mapping[str, tuple[int, int | None]]] = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "execve": (59, 221), "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130),
    "pidfd_send_signal": (424, 424), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34),
    "rmdir": (84, None), "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "unlink": (87, None), "unlinkat": (263, 35), "truncate": (76, 45), "creat": (85, None), "chmod": (90, None),
    "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "lchown": (94, None), "fchown": (93, 55),
    "fchownat": (260, 54), "mknod": (133, None), "mknodat": (259, 33), "setxattr": (188, 5), "utime": (132, None),
    "utimensat": (280, 88), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "pivot_root": (155, 41),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "openat2": (437, 437),
    "open_by_handle_at": (304, 265), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "setuid": (105, 146),
    "setgid": (106, 144),
}  # fmt: skip
"""What is not permitted, with its number on either processor."""
_OPENS: Final[tuple[Sequence[tuple[int, int]], ...]] = (((2, _SECOND), (257, _THIRD)), ((56, _THIRD),))
"""The calls that open a file, with the argument that says what for."""


def forbid() -> bool:
    """Give it up, for good; return whether this machine has such a filter.

    Example:
        >>> forbid.__name__
        'forbid'
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or not sys.platform.startswith("linux"):
        return False
    steps = _program(machine)
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HxxxxxxP", len(steps), ctypes.addressof(code)))
    control = ctypes.CDLL(None).prctl
    control.argtypes = (ctypes.c_int, *4 * (ctypes.c_ulong,))
    return bool(
        control(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
        and control(_SET_SECCOMP, _FILTER, ctypes.addressof(program), 0, 0) == 0
    )


def _program(machine: int) -> Sequence[tuple[int, int, int, int]]:
    """Return the filter: pairs of a comparison and what follows from it, each falling through to the next."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _AUDITED[machine]), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _FOREIGN_FROM[machine]), (_RETURN, 0, 0, _KILL),
    ]  # fmt: skip
    for numbers in _DENIED.values():
        number = numbers[machine]
        steps += [] if number is None else [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _DENY)]
    for number, flags in _OPENS[machine]:
        steps += [
            (_EQUAL, 0, 4, number), (_LOAD, 0, 0, flags), (_ANY_BIT, 0, 1, _WRITING), (_RETURN, 0, 0, _DENY),
            (_RETURN, 0, 0, _ALLOW),
        ]  # fmt: skip
    return [*steps, (_RETURN, 0, 0, _ALLOW)]
