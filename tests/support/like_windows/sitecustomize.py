"""Loaded by Python at its start where this folder is on its path: a system that has no more than Windows has.

What POSIX has beyond that is missing, a file that is open can be neither renamed nor deleted nor replaced, nothing is
below /proc and /sys, a lock comes from `msvcrt`, and text that minigan reads or writes without naming its encoding is
an error. What stays as it is here: the kind of paths (`os.name`), the console, how processes and signals end a program.
"""

import builtins
import contextlib
import fcntl
import io
import os
import signal
import subprocess  # noqa: F401 (loaded before there is a module msvcrt, by which it would know Windows)
import sys
import types
import warnings

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix_ipc", "syslog", "readline")
OF_OS = (
    "fork forkpty register_at_fork sched_getaffinity sched_setaffinity sysconf O_NOFOLLOW O_DIRECTORY getuid geteuid "
    "getgid getegid getpgid setsid killpg fchmod fchown chown mkfifo nice wait wait3 wait4 getloadavg pread"
)
OF_SIGNAL = (
    "SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGCHLD pthread_kill pthread_sigmask sigwait alarm setitimer"
)
SYSTEM = ("/proc/", "/sys/")
OF_LIBRARIES = ("/proc/self/maps", "/dev/shm/")  # what Python and threadpoolctl need, where this system is Linux

_listed, _led, _open = os.listdir, os.readlink, io.open


def _windows_locks():
    """A stand-in for msvcrt's locks, which begin where the file's position is."""
    made = types.ModuleType("msvcrt")
    made.LK_NBLCK, made.LK_UNLCK = 2, 0

    def locking(handle, mode, count):
        assert os.lseek(handle, 0, os.SEEK_CUR) >= 1 << 20, "others could not read what lies in front"
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if mode == made.LK_NBLCK else fcntl.LOCK_UN)

    made.locking = locking
    return made


def _opened():
    """The paths of this process's open files."""
    for handle in _listed("/proc/self/fd"):
        with contextlib.suppress(OSError):
            yield _led(f"/proc/self/fd/{handle}")


def _kept_open(name, paths=1):
    """Have os.NAME refuse a path that is open, or a folder with something in it that is."""
    before = getattr(os, name)

    def checked(*arguments, **options):
        for path in map(os.path.abspath, map(os.fspath, arguments[:paths])):
            held = any(opened == path or opened.startswith(f"{path}/") for opened in _opened())
            if held and not path.startswith(OF_LIBRARIES):
                raise PermissionError(13, "The process cannot access the file because it is open", path)
        return before(*arguments, **options)

    setattr(os, name, checked)


def _without_system_files(file, *arguments, **options):
    asked = os.fspath(file) if isinstance(file, str | os.PathLike) else ""
    if isinstance(asked, str) and asked.startswith(SYSTEM) and not asked.startswith(OF_LIBRARIES):
        raise FileNotFoundError(2, "No such file or directory", asked)
    return _open(file, *arguments, **options)


for module in MODULES:
    sys.modules[module] = None
sys.modules["msvcrt"] = _windows_locks()
for name in OF_OS.split():
    if hasattr(os, name):
        delattr(os, name)
for name in OF_SIGNAL.split():
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("unlink", "remove", "rmdir"):
    _kept_open(name)
for name in ("rename", "replace"):
    _kept_open(name, 2)
io.open = builtins.open = _without_system_files
warnings.filterwarnings("error", category=EncodingWarning, module=r"minigan(\.|$)")
