"""Where the commands of this environment are found, whether or not it is active."""

import os
import sys
from pathlib import Path


def path_of_commands() -> str:
    """A `PATH` on which they come first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
