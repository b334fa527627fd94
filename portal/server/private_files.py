"""What the portal keeps on disk is its own user's: directories 0700, files 0600, old ones too."""

import os
from contextlib import suppress
from pathlib import Path

OTHERS = 0o077


def keep_private(directory: Path) -> None:
    """Make `directory` if it is missing, and take all that is in it away from other users.

    From now on this process makes no file that others can read. What belongs to somebody else is
    left to them.
    """
    os.umask(OTHERS)
    directory.mkdir(parents=True, exist_ok=True)
    if directory.is_symlink() or not directory.stat().st_mode & OTHERS:
        return
    with suppress(PermissionError):
        directory.chmod(0o700)  # first: nobody gets in while the rest is looked through
    for parent, directories, files in os.walk(directory):
        for name in (*directories, *files):
            _take_from_others(Path(parent, name))


def _take_from_others(path: Path) -> None:
    """Leave the owner's own permissions alone; a link has none of its own."""
    with suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        if not path.is_symlink() and mode & OTHERS:
            path.chmod(mode & 0o700)


def let_through(directory: Path) -> None:
    """Let the user whose `directory` is (PostgreSQL's, who cannot be root) pass our parents of it,
    and not look.
    """
    for parent in directory.parents:
        about = parent.stat()
        if about.st_uid != os.geteuid() or about.st_mode & OTHERS:
            return
        parent.chmod(0o711)


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all, readable by us alone."""
    part = path.with_name(path.name + ".new")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)
