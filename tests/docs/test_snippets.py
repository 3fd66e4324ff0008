"""Every command and every piece of code on the pages runs, in the order of its page."""

import subprocess
import time
from pathlib import Path

import pytest
import tomllib
import yaml

from tests.docs.session import ROOT, Session, SnippetFailure, run_page
from tests.docs.snippets import RUN, SHOWN, Snippet, SnippetError, named, pages, snippets

PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in pages(ROOT)}


@pytest.mark.parametrize("page", named(ROOT, "fast"))
def test_the_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path / "page", "fast")


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("page", named(ROOT, "slow"))
def test_the_whole_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path / "page", "fast", "slow")


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_of_known_languages_and_read_as_such(page: str) -> None:
    for each in snippets(PAGES[page]):
        where = f"{page}:{each.line}: {each.language!r}"
        assert each.language in (*RUN, *SHOWN), where
        if each.language == "python":
            compile(each.text, where, "exec")
        elif each.language == "yaml":
            yaml.safe_load(each.text)
        elif each.language == "toml":
            tomllib.loads(each.text)


@pytest.mark.parametrize("page", PAGES)
def test_code_stands_in_fences_where_it_is_run(page: str) -> None:
    """An indented block is code as well, and no test would see it."""
    lines = outside(PAGES[page])
    indented = [
        f"{page}:{at + 1}: {line}"
        for at, line in enumerate(lines)
        if line.startswith("    ") and at and not lines[at - 1].strip() and not in_list(lines, at)
    ]
    assert indented == []


def outside(text: str) -> list[str]:
    """A page's lines, those of its fenced blocks emptied."""
    lines = text.splitlines()
    for each in snippets(text):
        for at in range(each.line - 2, each.line + each.text.count("\n")):
            lines[at] = ""
    return lines


def in_list(lines: list[str], at: int) -> bool:
    """Whether the line goes on a list, a note, a tab or HTML, which indent what they hold."""
    for line in reversed(lines[:at]):
        if line.strip() and not line.startswith(" "):
            return line.lstrip().startswith(("- ", "* ", "!!!", "???", "===", "[^", ":", "<")) or (
                line.split(".")[0].isdigit()
            )
    return False


PAGE = """\
# A page

```sh
echo hello > said
```

<!-- run: slow -->
```python
1 / 0
```

<!-- run: no, needs a moon -->
```sh
exit 7
```

- a list

    ```yaml title="acme.yaml"
    # what we want
    version: 1
    name: acme
    extends: baseline
    ```

````text title="What is printed"
```sh
exit 8
```
````
"""


def test_a_block_has_a_place_a_language_a_name_and_a_time() -> None:
    first, second, third, fourth, fifth = snippets(PAGE)
    assert first == Snippet(4, "sh", None, "fast", "", "echo hello > said\n")
    assert (second.line, second.language, second.when) == (9, "python", "slow")
    assert (third.when, third.reason) == ("never", "needs a moon")
    assert str(fourth.file) == "acme.yaml"
    assert fourth.text.splitlines()[1:3] == ["version: 1", "name: acme"]
    assert fourth.is_policy
    assert (fifth.language, fifth.file, fifth.is_policy) == ("text", None, False)
    assert fifth.text == "```sh\nexit 8\n```\n"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```sh\necho\n", "line 1: .* does not end"),
        ("<!-- run: no -->\n```sh\n```\n", "expected 'run: slow', "),
        ("<!-- run: no, -->\n```sh\n```\n", "expected 'run: slow', "),
        ("<!-- run: never, it is dear -->\n```sh\n```\n", "expected 'run: slow', "),
        ("<!-- run: slow, it is dear -->\n```sh\n```\n", "expected 'run: slow', "),
        ("<!-- run: wheel, it is dear -->\n```sh\n```\n", "expected 'run: slow', "),
        ("<!-- run: slow -->\n\n```sh\n```\n", "stands before no block"),
    ],
)
def test_what_cannot_be_meant_is_an_error(page: str, said: str) -> None:
    with pytest.raises(SnippetError, match=said):
        snippets(page)


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (
            "python -m venv v && . v/bin/activate && pip install -e . && guardrail ask",
            "guardrail ask",
        ),
        ('python -m pip install "a[b]" && sh a.sh && pip install c', "sh a.sh && pip install c"),
        ("guardrail ask", "guardrail ask"),
    ],
)
def test_what_a_block_of_the_wheel_installs_first_is_left_out(command: str, left: str) -> None:
    [snippet] = snippets(f"<!-- run: wheel -->\n```sh\n{command}\n```\n")
    assert (snippet.when, snippet.installed) == ("wheel", f"{left}\n")


@pytest.mark.parametrize("title", ["../escaped.sh", "/etc/passwd", "What is printed", ""])
def test_only_the_name_of_a_file_below_is_one(title: str) -> None:
    [snippet] = snippets(f'```text title="{title}"\n```\n')
    assert snippet.file is None


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```sh\ntrue\nfalse\necho on\n```\n", r"page.md:2: exits with 1"),
        ("```sh\necho $UNSET\n```\n", "exits with 2"),
        ("```sh\necho it is broken; exit 3\n```\n", "exits with 3\nit is broken"),
        (
            "```python\na = 1\n```\n```python\nassert a == 2\n```\n",
            "page.md:5: raises, or ends the process\nTraceback",
        ),
        ("```python\nraise SystemExit(0)\n```\n", "page.md:2: raises, or ends the process"),
        ('```yaml title="a.yaml"\nversion: 1\nnam: a\n```\n', "is no valid policy"),
    ],
)
def test_a_block_that_fails_fails_its_page(page: str, said: str, tmp_path: Path) -> None:
    *before, last = snippets(page)
    with Session("page.md", tmp_path / "page") as session:
        for each in before:
            session.run(each)
        with pytest.raises(SnippetFailure, match=said):
            session.run(last)


TOGETHER = """\
```text title="sub/said.txt"
hello
```
```sh
test "$(cat sub/said.txt)" = hello && test -f pictures/cliff-edge.png
sleep 600 &
echo $! > sleeping
```
```python
from pathlib import Path
said = Path("sub/said.txt").read_text()
```
```python
assert said == "hello\\n"
```
"""


def test_blocks_share_a_folder_and_names_and_leave_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    with Session("page.md", folder) as session:
        for each in snippets(TOGETHER):
            session.run(each)
        sleeping = int((folder / "sleeping").read_text())
        assert sleeps(sleeping)
    patience = time.monotonic() + 10
    while sleeps(sleeping) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not sleeps(sleeping)


def sleeps(process: int) -> bool:
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(process)], stdout=subprocess.PIPE)
    return shown.stdout.startswith(b"sleep")
