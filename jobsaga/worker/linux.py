"""What children need of the operating system and Python has no name for. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

from jobsaga.messages import CancelKind

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

#: The last word before SIGKILL, and who says it: raises JobCancellation in the main thread of a process child.
#: Signals of our own, since everybody sends SIGTERM: service managers send it to each process they find.
LAST_CALL: dict[CancelKind, int] = (
    {
        CancelKind.USER: signal.SIGRTMIN + 10,
        CancelKind.SHUTDOWN: signal.SIGRTMIN + 11,
        CancelKind.TIMEOUT: signal.SIGRTMIN + 12,
        CancelKind.STALLED: signal.SIGRTMIN + 13,
        CancelKind.MEMORY: signal.SIGRTMIN + 14,
    }
    if hasattr(signal, "SIGRTMIN")
    else {}
)


def available() -> bool:
    """Can this system run children at all? It needs pidfds (Linux 5.3) and real-time signals."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return bool(LAST_CALL)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, in whatever way. Leaves at once if it has ended already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def prefer_as_victim() -> None:
    """If memory runs out, this process shall be ended rather than the instance."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")


def resident_bytes(pid: int | str = "self") -> int:
    """How much memory a process uses; 0 of one that has ended."""
    return _pages(pid, 1)


def data_bytes() -> int:
    """How much private data this process has asked for, used or not: what RLIMIT_DATA is about."""
    return _pages("self", 5)


def _pages(pid: int | str, column: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[column]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def is_joined_in_session() -> bool:
    """Whether another process belongs to the session that this one leads."""
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            with suppress(OSError), open(f"/proc/{pid}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[3]) == os.getpid():
                    return True
    return False


def kill_group(pid: int, number: int) -> None:
    """Send a signal to a child's process group, as far as there is one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def signal_process(pidfd: int, number: int) -> None:
    """Send a signal to this very process, if it is still there."""
    with suppress(OSError):
        signal.pidfd_send_signal(pidfd, number)
