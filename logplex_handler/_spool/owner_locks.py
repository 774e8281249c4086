"""Which owners of a spool are alive: each holds a lock on one byte of a file next to it.

The locks are POSIX record locks. The system releases them when their process ends, however it ends,
and a forked child does not inherit them, unlike those of `flock`. A process that is stopped for a
while keeps its locks; a lease would expire.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import struct
import sys
import threading
from dataclasses import dataclass, field

from logplex_handler._process import forks

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows: a spool is rejected there
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".lock"
# An owner's number is the offset of its byte, from 1. The file need not be that long.
MAX_OWNER = 2**62
# A process can always acquire a record lock that it holds, so one that another interpreter of this
# process holds is only seen by Linux's locks of open files, which are in the way of all others.
_OF_OPEN_FILE = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
# A lock, as Linux has it: its type, what its start counts from, start, length and process.
_LOCK = struct.Struct("hhqqi")


@dataclass
class _File:
    """The lock file of one spool, as this process (`pid`) has it open.

    There is one descriptor, because closing any descriptor of a file releases all of the process's
    locks in it.
    """

    descriptor: int
    # The file's device and inode.
    identity: tuple[int, int]
    pid: int
    # The owners whose locks this process holds.
    owners: set[int] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        """Whether the file is still open: a program that becomes a daemon closes everything."""
        try:
            return _identity(self.descriptor) == self.identity
        except OSError:
            return False


class _Files(dict[str, _File]):
    """The files that this process has opened, by the path of their spool."""

    def __init__(self) -> None:
        super().__init__()
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Guards `_files` and its files. New in a child, because a thread of the parent may have
        # held the old one.
        self.lock = threading.RLock()


_files = _Files()


def are_possible() -> bool:
    """Return whether this system has POSIX record locks."""
    return fcntl is not None


class OwnerLock:
    """A new owner of the spool at a path, alive until `release` or the end of the process.

    Raises:
        OSError: The lock file cannot be created.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.owner = secrets.randbelow(MAX_OWNER) + 1
        with _files.lock:
            old = file = _files.get(path)
            if file is None or file.pid != os.getpid() or not file.is_open:
                descriptor = _opened(path)
                file = _files[path] = _File(descriptor, _identity(descriptor), os.getpid())
            if old is not None and old is not file:
                if old.pid == file.pid:
                    # The owners' locks ended when the program closed the descriptor.
                    file.owners |= {owner for owner in old.owners if _acquired(file, owner)}
                else:
                    # The file is the parent's. Closing it here does not release the parent's locks.
                    _close(old)
            if not _acquired(file, self.owner):
                self._close_if_unused(file)
                raise OSError(0, "its file of locks cannot be locked")
            file.owners.add(self.owner)

    def try_claim(self, owner: int) -> bool:
        """Return whether the owner is dead, and no other process is taking over from it.

        If so, the caller holds the claim until `release_claim`.
        """
        with _files.lock:
            file = _files.get(self._path)
            if file is None or owner in file.owners or not file.is_open:
                return False
            return _claimed(file, owner)

    def release_claim(self, owner: int) -> None:
        with _files.lock:
            file = _files.get(self._path)
            if file is None or not file.is_open:
                return
            fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 1, owner)
            if _OF_OPEN_FILE is not None:
                with contextlib.suppress(OSError):
                    _request(file, _OF_OPEN_FILE, fcntl.F_UNLCK, owner)

    def release(self) -> None:
        """Let any process take over the chunks of this owner."""
        with _files.lock:
            file = _files.get(self._path)
            if file is None or file.pid != os.getpid() or self.owner not in file.owners:
                return
            file.owners.discard(self.owner)
            if file.is_open:
                fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 1, self.owner)
            self._close_if_unused(file)

    def _close_if_unused(self, file: _File) -> None:
        if not file.owners and not _is_locked_here(file):
            del _files[self._path]
            _close(file)


def _close(file: _File) -> None:
    if file.is_open:
        os.close(file.descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _acquired(file: _File, owner: int) -> bool:
    try:
        fcntl.lockf(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, owner)
    except OSError:
        return False
    return True


def _claimed(file: _File, owner: int) -> bool:
    if _OF_OPEN_FILE is not None:
        try:
            _request(file, _OF_OPEN_FILE, fcntl.F_WRLCK, owner)
            return True
        except OSError as error:
            if error.errno != errno.EINVAL:
                return False
            # Something that only resembles Linux does not know these locks.
    return _acquired(file, owner)


def _request(file: _File, command: int, kind: int, start: int, length: int = 1) -> tuple[int, ...]:
    """Acquire, release or look for a lock of the open file; return the lock that is in the way."""
    lock = _LOCK.pack(kind, os.SEEK_SET, start, length, 0)
    return _LOCK.unpack(fcntl.fcntl(file.descriptor, command, lock))


def _is_locked_here(file: _File) -> bool:
    """Return whether another interpreter of this process has owners, whose locks would be lost."""
    if _OF_OPEN_FILE is None or not file.is_open:
        return False
    # The system returns any lock in a range, not the first one: look before it and behind it.
    ranges = [(1, MAX_OWNER)]
    with contextlib.suppress(OSError):
        while ranges:
            start, end = ranges.pop()
            kind, _, found, length, pid = _request(
                file, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, start, end - start + 1
            )
            if kind == fcntl.F_UNLCK:
                continue
            if pid == os.getpid():
                return True
            # A lock without a length has no end.
            behind = found + length if length else end + 1
            ranges += [one for one in ((start, found - 1), (behind, end)) if one[0] <= one[1]]
    return False


def _opened(path: str) -> int:
    """Open the lock file for the spool at a path; it belongs to the spool's user."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(path + _SUFFIX, flags, 0o600)
    try:
        owner = os.stat(path)
        status = os.fstat(descriptor)
        if status.st_uid != owner.st_uid:
            if status.st_uid != os.geteuid():
                # Another user could hold any lock.
                raise PermissionError(0, f"{_SUFFIX} belongs to another user")
            # Root has created it for the spool's user.
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
