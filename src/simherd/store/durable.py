"""Writing files so that they are whole after a power cut, and never through a planted symbolic link.

The order on every file system is: write all bytes, fsync the file, give it its name, fsync the folder.
Who renames first may find an empty file under the name after a power cut [1]_.

References
----------
.. [1] T. S. Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "PARTIAL",
    "append_lines",
    "make_folders",
    "open_file",
    "open_inside",
    "remove_inside",
    "remove_leftovers",
    "replace_file",
    "sync_files",
    "sync_folder",
    "write_all",
]

PARTIAL = ".partial"


def open_file(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open a file, unless its name is a symbolic link, and return its descriptor.

    In a folder that others may write, a link leads to whatever file of this user they choose.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


@contextmanager
def _real_folder(path: Path) -> Iterator[int]:
    """Give the descriptor of a folder, unless its name is a symbolic link.

    What is opened, renamed or removed relative to it is in that folder, whatever takes its name meanwhile.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError as error:  # what Linux says of a link
        if not path.is_symlink():
            raise
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    try:
        yield descriptor
    except OSError as error:
        if error.filename is not None:  # relative to the folder
            error.filename = str(path / error.filename)
        raise
    finally:
        os.close(descriptor)


def open_inside(path: Path, flags: int) -> int:
    """Open a file in a folder of a store, unless the name of either is a symbolic link."""
    with _real_folder(path.parent) as folder:
        return os.open(path.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)


def remove_inside(path: Path) -> None:
    """Remove a file in a folder of a store, if it is there, unless the folder's name is a symbolic link."""
    with suppress(FileNotFoundError), _real_folder(path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)


def replace_file(path: Path, data: bytes | memoryview, *, is_durable: bool = True) -> None:
    """Write a file that replaces the one of its name: readers see the whole old or the whole new one.

    Parameters
    ----------
    path : Path
        The file.
    data : bytes
        Its content.
    is_durable : bool, optional
        Fsync the content before it gets its name. The name is durable after `sync_files` of the file
        or of another file in the folder.

    Raises
    ------
    OSError
        If the file system does not take it; the old file is as before.
    """
    partial = f"{path.name}.{uuid.uuid4().hex}{PARTIAL}"
    with _real_folder(path.parent) as folder:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(partial, flags, 0o666, dir_fd=folder)
            try:
                write_all(descriptor, data)
                if is_durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(partial, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            raise


def append_lines(path: Path, data: bytes) -> None:
    """Append whole lines to a file, made if need be, and wait until they are on the disk.

    They begin on a new line, also after one that a killed process did not finish.

    Raises
    ------
    OSError
        If the file system does not take all of them; the file is as long as before.
    """
    descriptor = open_inside(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        try:
            write_all(descriptor, b"\n" + data if is_cut else data)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if not size:
        sync_folder(path.parent)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all bytes: the system may take a part at a time, and says only next time why not more."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folders(path: Path) -> None:
    """Make a folder and its parents where they are missing, and wait until their names are on the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_files(paths: Iterable[Path]) -> None:
    """Wait until files, and their names in their folders, are on the disk."""
    folders = set()
    for path in paths:
        _sync(path)
        folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of writers that were killed, below a folder that nobody writes to."""
    for path in folder.rglob(f"*{PARTIAL}"):
        if not path.is_dir():  # nothing that simherd or Zarr writes: it may hold anything
            path.unlink(missing_ok=True)
