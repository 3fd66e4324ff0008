"""Where the commands of an environment are found, whether or not it is active."""

import os
import sys
from pathlib import Path

THIS = Path(sys.executable)


def path_of_commands(python: Path = THIS) -> str:
    """A `PATH` on which those of a Python's environment come first.

    Those of the environment that runs the tests are not on that of another one.
    """
    kept = os.environ["PATH"].split(os.pathsep)
    if python != THIS and sys.prefix != sys.base_prefix:
        kept = [each for each in kept if Path(each) != THIS.parent]
    return os.pathsep.join((str(python.parent), *kept))
