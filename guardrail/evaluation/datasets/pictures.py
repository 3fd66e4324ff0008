"""Pictures that lie inside other files, made into files of their own, once.

Sets that are published as Parquet or as an archive hold gigabytes of pictures: they are kept on
disk and not in memory, so that a sample's picture is always a path. They lie in `$GUARDRAIL_CACHE`,
by default `guardrail` in the user's cache folder; deleting it costs the time to write it again. It
decodes no picture.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError

_BEGINNINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp"}


def cache_folder() -> Path:
    """Returns where pictures are kept: `$GUARDRAIL_CACHE`, or below `$XDG_CACHE_HOME`."""
    named = os.environ.get("GUARDRAIL_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "guardrail"


def kept(value: Any, where: str) -> Path:
    """Returns the file of an embedded picture, named by the SHA-256 of its bytes.

    Args:
        value: Encoded bytes, or the hub's map with them under `bytes`.
        where: Where it stands, for errors.

    Raises:
        DatasetError: There are no bytes, or the cache cannot be written.
    """
    encoded = value.get("bytes") if isinstance(value, Mapping) else value
    if not isinstance(encoded, bytes) or not encoded:
        raise DatasetError(f"{where} holds no bytes of a picture")
    digest = hashlib.sha256(encoded).hexdigest()
    suffix = next((end for start, end in _BEGINNINGS.items() if encoded.startswith(start)), "")
    file = cache_folder() / "pictures" / digest[:2] / f"{digest}{suffix}"
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Written beside its place and moved: a killed run leaves no half picture behind.
            with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as half:
                half.write(encoded)
            os.replace(half.name, file)
        except OSError as error:
            raise _unwritable(file.parent, error) from error
    return file


def unpacked(archive: Path) -> Path:
    """Returns the folder that a tar archive was unpacked into; the second time it is there.

    Links, devices and names that lead out of the folder are refused by `tarfile` itself.

    Raises:
        DatasetError: It is no archive, holds what is refused, or the cache cannot be written.
    """
    state = archive.stat()
    key = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}".encode()
    folder = cache_folder() / "unpacked" / hashlib.sha256(key).hexdigest()[:32]
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder.parent, error) from error
    try:
        with tarfile.open(archive) as content:
            content.extractall(half, filter="data")
        os.replace(half, folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        if folder.is_dir():  # another process was quicker
            return folder
        raise DatasetError(f"{str(archive)!r} cannot be unpacked ({error})") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return folder


def _unwritable(folder: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"the cache {str(folder)!r} cannot be written ({error.strerror or error}): "
        "name another folder in GUARDRAIL_CACHE"
    )
