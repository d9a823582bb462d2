"""Which system calls an enclave may make, and with which arguments: the allow-list of the sandbox.

Everything that is not here fails with EPERM. What is missing matters as much as what stands here:
no call starts a program or a process, reaches another process, dials a socket, changes a limit, a
namespace or a mount, or hands the kernel a program (bpf, io_uring).
"""

from __future__ import annotations

import socket
import termios
from dataclasses import dataclass
from typing import Final

# What Python, DuckDB, numpy, SQLite, OpenSSL, gRPC and uvloop use once they are loaded.
_FILES: Final = """
    read write readv writev pread64 pwrite64 lseek close fstat newfstatat stat lstat statx fstatfs
    access faccessat faccessat2 open openat readlink readlinkat getdents64 getcwd dup dup2 dup3
    pipe pipe2 fsync fdatasync ftruncate fallocate fadvise64 flock umask memfd_create unlink
    unlinkat rename renameat renameat2 mkdir mkdirat rmdir
"""
_MEMORY: Final = """
    mmap munmap mprotect mremap madvise brk mlock munlock msync mincore membarrier
"""
_THREADS: Final = """
    futex futex_waitv set_robust_list get_robust_list rseq set_tid_address gettid getpid getppid
    getuid geteuid getgid getegid sched_yield sched_getaffinity sched_getparam sched_getscheduler
    sched_get_priority_max sched_get_priority_min getcpu exit exit_group restart_syscall
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait sigaltstack getrusage times sysinfo
    uname getrandom
"""
_WAITING: Final = """
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time epoll_create1 epoll_ctl
    epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 eventfd2 timerfd_create
    timerfd_settime
"""
_SERVING: Final = """
    bind listen accept accept4 getsockname getpeername getsockopt setsockopt sendmsg recvmsg sendto
    recvfrom shutdown
"""
UNCONDITIONAL: Final = frozenset(
    name for group in (_FILES, _MEMORY, _THREADS, _WAITING, _SERVING) for name in group.split()
)
"""Calls allowed with any arguments. Which files they reach is Landlock's business."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A condition on one argument: after masking, it must be one of the allowed values.

    Attributes:
        index: which argument, from 0.
        allowed: the values that pass.
        mask: applied first.
        wide: whether the kernel reads all 64 bits; of an `int` it reads the low 32.
    """

    index: int
    allowed: tuple[int, ...]
    mask: int = 0xFFFF_FFFF
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Conditional:
    """A call that is allowed only when every condition on its arguments holds."""

    call: str
    arguments: tuple[Argument, ...]


# linux/sched.h: a new thread, never a process, never a new namespace.
_CLONE_THREAD: Final = 0x0001_0000
_CLONE_NAMESPACES: Final = 0x7E02_0000

# Only streams. A datagram socket needs no connect to reach another process: sendmsg names the
# address, in memory that a filter cannot read.
_UNIX_STREAMS: Final = (
    Argument(0, (socket.AF_UNIX,)),
    Argument(1, (socket.SOCK_STREAM,), mask=0xF),  # the bits above are flags; net/socket.h
)

# linux/prctl.h: naming a thread, and naming an anonymous mapping.
_PR_SET_NAME: Final = 15
_PR_SET_VMA: Final = 0x5356_4D41

# asm-generic/ioctls.h. TIOCSTI, which types into a terminal, is one of the many left out.
_IOCTLS: Final = (
    termios.TCGETS,
    termios.TIOCGWINSZ,
    termios.FIONREAD,
    termios.FIONBIO,
    termios.FIOCLEX,
    termios.FIONCLEX,
)

# linux/fcntl.h: duplicate (0, 1030), flags (1 to 4), record locks (5 to 7, 36 to 38), memfd seals
# (1033, 1034). F_SETOWN and F_SETSIG, which send signals to others, are left out.
_FCNTLS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1033, 1034)


def conditional(own_pid: int) -> tuple[Conditional, ...]:
    """Returns the calls that depend on their arguments.

    Args:
        own_pid: the only process that may be sent a signal (abort and raise send one).
    """
    return (
        Conditional(
            "clone",
            (Argument(0, (_CLONE_THREAD,), mask=_CLONE_THREAD | _CLONE_NAMESPACES),),
        ),
        Conditional("socket", _UNIX_STREAMS),
        Conditional("socketpair", _UNIX_STREAMS),
        Conditional("prctl", (Argument(0, (_PR_SET_NAME, _PR_SET_VMA)),)),
        Conditional("ioctl", (Argument(1, _IOCTLS),)),
        Conditional("fcntl", (Argument(1, _FCNTLS),)),
        # Its own limits, and only to read them: the pointer to new limits is null.
        Conditional("prlimit64", (Argument(0, (0,)), Argument(2, (0,), wide=True))),
        Conditional("tgkill", (Argument(0, (own_pid,)),)),
    )


PRETEND_ABSENT: Final = frozenset({"clone3"})
"""Answered with ENOSYS, on which the C library falls back to an older call that can be checked:
clone3 has its flags in memory."""
