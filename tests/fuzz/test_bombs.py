"""No picture takes more than its time and room, whatever it asks for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.bombs import BOMBS

MOST_MB = 512
# The claim is 2 s; a shared machine of tests may be several times slower than anybody's.
MOST_S = 6.0


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_read_or_refused_within_time_and_room(name: str, tmp_path: Path) -> None:
    made = BOMBS[name]()
    path = tmp_path / (name + (".txt" if isinstance(made, str) else ".bin"))
    path.write_bytes(made.encode() if isinstance(made, str) else made)
    given = path.stat().st_size / 1e6
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.child", "bomb", str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert done.stderr == "", "a decoder wrote past Python"
    assert found["slowest_s"] < MOST_S
    # A text larger than any picture is the caller's own, twice while it is made.
    assert found["peak_mb"] < MOST_MB + (2 * given if isinstance(made, str) else 0)
