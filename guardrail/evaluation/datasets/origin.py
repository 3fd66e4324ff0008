"""Where a data set lies: a path on this machine, or a hub's repository, fetched into its cache.

It knows nothing of layouts. The hub is asked only if a hub id is given by name.
"""

from __future__ import annotations

import re
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets.entry import Entry

_HUB_ID = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*)(@(?P<revision>[\w.\-/]+))?", re.ASCII
)


def located(name: str, entry: Entry, data: str | Path | None) -> tuple[Path, str]:
    """Returns where the data set lies on this machine, and the words for it.

    Args:
        name: The data set's name, for errors.
        entry: Its entry.
        data: A path, a hub id with or without `@REVISION`, or None for a set that is shipped.

    Raises:
        DatasetError: Nothing is given for a set that is not shipped, nothing is there, or the hub
            does not give it.
    """
    if data is None:
        if entry.shipped is None:
            hub = f" (or --data {entry.hub}, from the hub)" if entry.hub else ""
            raise DatasetError(
                f"data set {name!r} does not ship with the package: give --data DIR{hub}"
            )
        return entry.shipped(), "shipped"
    path = _existing(data)
    if path is not None:
        return path, str(data)
    match = _HUB_ID.fullmatch(str(data))
    if match is None:
        raise DatasetError(f"there is no folder {str(data)!r}: give the data set's own folder")
    return _fetched(match["repo"], match["revision"], entry.files)


def _existing(data: str | Path) -> Path | None:
    if not str(data).strip():
        return None
    try:
        path = Path(data).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # a name too long, a null byte, an unknown ~user
        return None


def _fetched(repo: str, revision: str | None, files: tuple[str, ...]) -> tuple[Path, str]:
    """Returns the snapshot's folder, and the id with the commit that was fetched."""
    import huggingface_hub  # comes with transformers
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    wanted = repo if revision is None else f"{repo}@{revision}"
    try:
        folder = huggingface_hub.snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=list(files) or None
        )
    except GatedRepoError as error:
        raise DatasetError(
            f"data set {wanted!r} is gated: accept its terms on the hub and log in with "
            "'hf auth login'"
        ) from error
    except RepositoryNotFoundError as error:
        raise DatasetError(
            f"there is no folder {wanted!r}, and no data set of that name on the hub"
        ) from error
    except LocalEntryNotFoundError as error:
        raise DatasetError(
            f"there is no folder {wanted!r}, and as a hub id it is not in the cache while the hub "
            "cannot be reached: download it elsewhere and give its folder"
        ) from error
    except Exception as error:  # whatever the network, the disk or the hub's client raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            f"data set {wanted!r} could not be fetched from the hub ({reason[:200]}): "
            "download it elsewhere and give its folder"
        ) from error
    place = Path(folder)
    return place, f"{repo}@{place.name}"
