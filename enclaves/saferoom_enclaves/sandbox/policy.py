"""Which system calls may be made, and with which arguments: the allow-lists of the sandbox.

There is one for the enclave, one for its fork server, and one for the fork server's children. What
is not on a list fails with EPERM. What is missing matters as much as what stands here: no call of
an enclave or a child starts a program or a process, reaches another process, dials a socket,
changes a limit, a namespace or a mount, or hands the kernel a program (bpf, io_uring). The fork
server may fork, bind a child closer than itself, and kill it; it starts no program either.
"""

from __future__ import annotations

import signal
import socket
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# What Python, DuckDB, numpy, SQLite, OpenSSL, gRPC and uvloop use once they are loaded.
_FILES: Final = """
    read write readv writev pread64 pwrite64 lseek close fstat newfstatat stat lstat statx fstatfs
    access faccessat faccessat2 open openat readlink readlinkat getdents64 getcwd dup dup2 dup3
    pipe pipe2 fsync fdatasync ftruncate fallocate fadvise64 flock umask unlink unlinkat rename
    renameat renameat2 mkdir mkdirat rmdir
"""
_MEMORY_FILES: Final = """
    memfd_create
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
_CONVERSING: Final = """
    getsockname getpeername getsockopt sendmsg recvmsg sendto recvfrom shutdown
"""
_SERVING: Final = """
    bind listen accept accept4 setsockopt
"""
# Reaping and killing children, and binding them: their limits and namespaces of system calls.
_FORKING: Final = """
    wait4 waitid pidfd_open pidfd_send_signal close_range prctl prlimit64 tgkill seccomp
    landlock_create_ruleset landlock_add_rule landlock_restrict_self
"""


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


# linux/sched.h: a new thread, never a new namespace; only a fork server's flags are a process's.
_CLONE_THREAD: Final = 0x0001_0000
_CLONE_NAMESPACES: Final = 0x7E02_0000
_EXIT_SIGNAL: Final = 0xFF

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


def _of_any(own_pid: int) -> tuple[Conditional, ...]:
    del own_pid
    return (
        Conditional("ioctl", (Argument(1, _IOCTLS),)),
        Conditional("fcntl", (Argument(1, _FCNTLS),)),
    )


def _of_bound(own_pid: int) -> tuple[Conditional, ...]:
    return (
        *_of_any(own_pid),
        Conditional(
            "clone",
            (Argument(0, (_CLONE_THREAD,), mask=_CLONE_THREAD | _CLONE_NAMESPACES),),
        ),
        Conditional("prctl", (Argument(0, (_PR_SET_NAME, _PR_SET_VMA)),)),
        # Its own limits, and only to read them: the pointer to new limits is null.
        Conditional("prlimit64", (Argument(0, (0,)), Argument(2, (0,), wide=True))),
        # The only process that may be sent a signal: abort and raise send one.
        Conditional("tgkill", (Argument(0, (own_pid,)),)),
    )


def _of_enclave(own_pid: int) -> tuple[Conditional, ...]:
    return (
        *_of_bound(own_pid),
        Conditional("socket", _UNIX_STREAMS),
        Conditional("socketpair", _UNIX_STREAMS),
    )


def _of_fork_server(own_pid: int) -> tuple[Conditional, ...]:
    flags = _CLONE_THREAD | _CLONE_NAMESPACES | _EXIT_SIGNAL
    return (
        *_of_any(own_pid),
        # A thread, which its children start; or a process that ends with SIGCHLD.
        Conditional("clone", (Argument(0, (_CLONE_THREAD, signal.SIGCHLD), mask=flags),)),
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """An allow-list.

    Attributes:
        unconditional: calls allowed with any arguments. Which files they reach is Landlock's
            business.
        conditional: gives the calls that depend on their arguments, for the process of a pid.
    """

    unconditional: frozenset[str]
    conditional: Callable[[int], tuple[Conditional, ...]]


def _names(*groups: str) -> frozenset[str]:
    return frozenset(name for group in groups for name in group.split())


_COMMON: Final = (_FILES, _MEMORY, _THREADS, _WAITING, _CONVERSING)

ENCLAVE: Final = Policy(_names(*_COMMON, _MEMORY_FILES, _SERVING), _of_enclave)
FORK_SERVER: Final = Policy(_names(*_COMMON, _FORKING), _of_fork_server)
"""Its children's list is laid over it, so it holds theirs; it makes no socket."""
CHILD: Final = Policy(_names(*_COMMON), _of_bound)
"""What it is given is all that it has: it makes no socket and no file in memory, whose size no
limit on its own memory would bound."""

PRETEND_ABSENT: Final = frozenset({"clone3"})
"""Answered with ENOSYS, on which the C library falls back to an older call that can be checked:
clone3 has its flags in memory."""
