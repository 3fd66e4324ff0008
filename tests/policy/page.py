"""The page of every key of a policy file: `python -m tests.policy.page` writes it anew.

Its entries are what `guardrail policy keys` says, and of selections and cases files their JSON
Schemas. The words around them stand here.
"""

# ruff: noqa: E501  (a row of a table is one line)

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from guardrail.policy.cases import cases_schema
from guardrail.policy.json_schema import selection_schema
from guardrail.policy.reference import Key, keys
from guardrail.policy.shapes import Shape

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"

_HEAD = """\
# Every key of a policy

<!-- Written by `python -m tests.policy.page`; do not edit. -->

What a policy file may say, in the order of the file. [How to write one](../policy.md) is a page of its own. In a
terminal, `guardrail policy keys` lists all keys, and `guardrail policy keys on_error` says what is said here of every
key of that name. `guardrail policy schema > policy.schema.json` writes the JSON Schema, by which editors complete and
check.

- **Takes** is what is accepted; anything else, and any other key, is an error that names file, line and column.
- **Without it** is what holds where neither the file nor anything that it extends says it. Most policies extend
  `baseline`; where that says something else, it stands beside it.
- **Lock** is what `locked` has to name so that no policy that extends this one can change it. `<id>` stands for a
  category's id, `<language>` for a language's code.
- Each example is a piece of a file. With `version: 1`, a `name` and `extends: baseline` above it, it loads.

A category's probability of harm `p` is labelled, and each label has an action:

| label | where | key |
|---|---|---|
| *safe* | `p < safe_below` | `on_safe` |
| *uncertain* | between the two | `on_uncertain` |
| *unsafe* | `p >= unsafe_at` | `on_unsafe` |
| *unavailable* | the judge failed | `on_error` |

| action | what becomes of the answer |
|---|---|
| `comply` | the model answers, and is kept from refusing without reason |
| `plain` | the model answers, its picture brought out by contrast; refusals are neither boosted nor suppressed |
| `refuse` | the model is steered to refuse, in its own words |
| `escalate` | nothing is generated, and a human is asked |
| `block` | nothing is generated; the policy's own words are the answer |

The list is from the mildest to the strictest. Of several categories the strictest action wins, and within a category no
action may be milder than that of a better label.
"""

_OTHERS = """
# Selections

A selection says which policy is for which request. `guardrail policy schema --selection` writes its JSON Schema.

```yaml
version: 1
name: acme-rollout
select:
  - when: {{tenant: kids-club}}
    policy: kids
  - when: {{route: /beta/*, language: [en, de]}}
    policy: strict
  - policy: shadow
```

{selection}
# Cases

A cases file tests a policy: `guardrail policy test`. It lies beside it, as `acme.cases.yaml` beside `acme.yaml`.
`guardrail policy schema --cases` writes its JSON Schema.

```yaml
policy: baseline
cases:
  - name: nothing is the matter
    verdict: {{}}
    expect: comply
  - name: the judge fails
    error: timed out
    expect: {{action: block, rule: verdict.on_error}}
```

{cases}"""


def page() -> str:
    """The whole page."""
    others = _OTHERS.replace("\n# ", "\n## ").format(
        selection=_table(
            selection_schema(),
            {
                "": (),
                "select[].": ("select", 0),
                "select[].when.": ("select", 0, "when"),
            },
        ),
        cases=_table(
            cases_schema(),
            {"": (), "cases[].": ("cases", 0), "cases[].expect.": ("cases", 0, "expect")},
        ),
    )
    return _HEAD + "".join(map(_entry, keys())) + others


def _entry(key: Key) -> str:
    level = "##" if "." not in key.path else "###"
    lines = ("", f"{level} `{key.path}`", "", _wrapped(key.means), "", *_facts(key))
    return "\n".join(lines) + "\n"


def _facts(key: Key) -> Iterator[str]:
    facts = [f"**Takes** {_coded(key.takes)}"]
    if key.needed:
        facts.append("a file has to have it")
    elif key.default is not None:
        facts.append(f"**without it** {_value(key.default)}")
    if key.baseline is not None:
        facts.append(f"in `baseline` {_value(key.baseline)}")
    facts.append(f"**lock** `{key.lock}`" if key.lock else "no lock")
    yield _wrapped("; ".join(facts) + ".")
    yield ""
    yield _wrapped(f"**To an answer:** {key.does}")
    yield ""
    yield f"```yaml\n{key.example}\n```"


def _wrapped(text: str) -> str:
    return fill(text, 118, break_long_words=False, break_on_hyphens=False)


def _value(value: str) -> str:
    return f"`{value}`" if value else "nothing"


def _coded(takes: str) -> str:
    """Puts the words of a closed choice into code marks."""
    start, found, rest = takes.partition("one of ")
    choices = ", ".join(f"`{each}`" for each in rest.split(", "))
    return f"{start}{found}{choices}" if found else takes


def _table(schema: dict[str, Any], sections: dict[str, tuple[str | int, ...]]) -> str:
    """A table of the keys of a file that is no policy."""
    rows = ["| key | takes | |\n|---|---|---|\n"]
    for before, at in sections.items():
        for option in Shape(schema, at).options:
            for name, found in option.get("properties", {}).items():
                takes = Shape(schema, (*at, name)).accepted.replace(" or nothing", "")
                row = (f"`{before}{name}`", takes, found["description"])
                rows.append(f"| {' | '.join(row)} |\n")
    return "".join(rows)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
