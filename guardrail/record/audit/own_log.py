"""The log of one process among others: where a folder is named, each process has its own in it."""

from __future__ import annotations

import os
import re
import socket


def is_folder(path: str) -> bool:
    """Whether a path is that of a folder: one that is there, or whose name ends in a slash."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def own_log(folder: str) -> str:
    """Returns the path of this process's own log in a folder, by its host and its number."""
    host = re.sub(r"[^\w.-]+", "-", socket.gethostname())
    return os.path.join(folder, f"guardrail-{host}-{os.getpid()}.db")
