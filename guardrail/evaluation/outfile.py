"""Files that a command writes at its end: looked at before it begins, then written whole or not."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from guardrail.errors import SettingsError


def check_place(path: Path, option: str) -> None:
    """Checks that a file can be written, and leaves no trace of having tried.

    Args:
        path: The file; it need not be there, and its folder need not either.
        option: What it was given as, such as `--report`.

    Raises:
        SettingsError: It cannot be written there.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(0, "it is write-protected")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _refused(path, option, error) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that it holds all of `content` or, if the process is killed, what it held.

    Args:
        path: Where to; replaced if it is there. A link is followed, and stays one.
        content: What; of a text, a character that UTF-8 does not know is written as its escape.

    Raises:
        OSError: It cannot be written.
    """
    place = path.resolve()
    part = place.with_name(f".{place.name}.{secrets.token_hex(8)}.part")
    try:
        data = (
            content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
        )
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            part.chmod(place.stat().st_mode & 0o777)
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_out(path: Path, content: str | bytes, option: str) -> None:
    """As `write_whole`, for a file that was given as an option.

    Raises:
        SettingsError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise _refused(path, option, error) from error


def _refused(path: Path, option: str, error: OSError) -> SettingsError:
    return SettingsError(f"{option} {str(path)!r} cannot be written: {error.strerror or error}")
