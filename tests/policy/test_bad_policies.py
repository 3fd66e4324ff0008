"""Every bad policy gives one clear line, exit 2, no traceback, within 200 MB.

How long each takes is in `tests.policy.benchmark`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guardrail.cli import main
from tests.policy.bad_policies import CORPUS, Bad


def write(bad: Bad, folder: Path) -> None:
    for name, text in bad.files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, made in bad.made.items():
        path = folder / name
        if made == "folder":
            path.mkdir()
        elif made == "fifo":
            os.mkfifo(path)
        else:
            with path.open("wb") as file:
                file.truncate(int(made))  # sparse: takes no room


def test_the_corpus_is_large_and_its_names_are_distinct() -> None:
    assert len(CORPUS) >= 120
    assert len({bad.name for bad in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("bad", CORPUS, ids=lambda bad: bad.name.replace(" ", "-"))
def test_a_bad_policy_gives_one_clear_line(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(bad, tmp_path)
    monkeypatch.chdir(tmp_path)
    status = main(["policy", "check", "p.yaml"])
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"guardrail: error: {bad.start}: " if bad.start else "guardrail: error: ")
    for word in bad.words:
        assert word in err
    assert "canary" not in err, "an error quotes a file that somebody else named"
    assert len(err) < 1000


_CHILD = """
import json, re, resource, sys
from pathlib import Path
from guardrail.cli import main
statuses = []
for folder in json.load(sys.stdin):
    import os
    os.chdir(folder)
    statuses.append(main(["policy", "check", "p.yaml"]))
status = Path("/proc/self/status")  # getrusage counts the process that this one was forked from
found = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text()) if status.exists() else None
peak_kb = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"statuses": statuses, "peak_mb": peak_kb / 1024}))
"""


def test_the_whole_corpus_stays_within_200_mb(tmp_path: Path) -> None:
    folders = []
    for index, bad in enumerate(CORPUS):
        folder = tmp_path / str(index)
        folder.mkdir()
        write(bad, folder)
        folders.append(str(folder))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(folders),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert set(found["statuses"]) == {2}
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == len(CORPUS)
    assert found["peak_mb"] < 200
