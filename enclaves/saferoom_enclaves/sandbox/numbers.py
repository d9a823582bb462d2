"""The numbers of the Linux system calls that the sandbox names, for each machine it runs on.

Source: Linux uapi headers, `asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64). A test
compares every number with the headers of the host. Calls that aarch64 never had are None there.
"""

from __future__ import annotations

from typing import Final

# Each name is followed by its numbers on x86_64 and aarch64.
# fmt: off
_TABLE: Final[dict[str, tuple[int, int | None]]] = {
    # Files and descriptors.
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66),
    "pread64": (17, 67), "pwrite64": (18, 68), "lseek": (8, 62), "close": (3, 57),
    "fstat": (5, 80), "newfstatat": (262, 79), "stat": (4, None), "lstat": (6, None),
    "statx": (332, 291), "fstatfs": (138, 44), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "open": (2, None), "openat": (257, 56), "readlink": (89, None),
    "readlinkat": (267, 78), "getdents64": (217, 61), "getcwd": (79, 17), "dup": (32, 23),
    "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59),
    "fsync": (74, 82), "fdatasync": (75, 83), "ftruncate": (77, 46), "fallocate": (285, 47),
    "fadvise64": (221, 223), "flock": (73, 32), "umask": (95, 166), "memfd_create": (319, 279),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "ioctl": (16, 29), "fcntl": (72, 25),
    # Memory.
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "madvise": (28, 233), "brk": (12, 214), "mlock": (149, 228), "munlock": (150, 229),
    "msync": (26, 227), "mincore": (27, 232), "membarrier": (324, 283),
    # Threads, signals and the process itself.
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99),
    "get_robust_list": (274, 100), "rseq": (334, 293), "set_tid_address": (218, 96),
    "gettid": (186, 178), "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "getcpu": (309, 168), "exit": (60, 93),
    "exit_group": (231, 94), "restart_syscall": (219, 128), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132), "tgkill": (234, 131), "clone": (56, 220), "clone3": (435, 435),
    "prctl": (157, 167), "prlimit64": (302, 261), "getrusage": (98, 165), "times": (100, 153),
    "sysinfo": (99, 179), "uname": (63, 160), "getrandom": (318, 278),
    # Time.
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101), "gettimeofday": (96, 169), "time": (201, None),
    # Waiting.
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72), "eventfd2": (290, 19),
    "timerfd_create": (283, 85), "timerfd_settime": (286, 86),
    # Sockets.
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "getsockname": (51, 204),
    "getpeername": (52, 205), "getsockopt": (55, 209), "setsockopt": (54, 208),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "sendto": (44, 206), "recvfrom": (45, 207),
    "shutdown": (48, 210),
    # What builds the sandbox; none of these is on the enclave's allow-list, or a child's.
    "unshare": (272, 97), "capset": (126, 91), "seccomp": (317, 277),
    "personality": (135, 92),
    "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    # What a fork server does besides.
    "wait4": (61, 260), "waitid": (247, 95), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "close_range": (436, 436),
}
# fmt: on

MACHINES: Final[dict[str, dict[str, int]]] = {
    "x86_64": {name: numbers[0] for name, numbers in _TABLE.items()},
    "aarch64": {name: numbers[1] for name, numbers in _TABLE.items() if numbers[1] is not None},
}
"""System call numbers by machine (as `os.uname().machine` names it) and by name."""
