"""Damaged policies, by number: the same number is the same policy for ever."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import yaml

from guardrail.policy.loader import load_any

_BLANKS = "\u00a0\u200b\u200d\u2060\u3000\u2028\x85\ufeff\u00ad\u202f\u202e\t\r\0\x1b"
_SCALARS = (
    "null", "~", "true", "off", "1e999", ".nan", "-.inf", "0x1f", "1_000", "99999999999999999999",
    "''", '"\\ud800"', '"\\0"', "!!python/object:os.system x", "!!int 5", "&a 1", "*a", "<<",
    "{}", "[]", "[[[[]]]]", "{a: {a: {a: 1}}}", "|\n x", ">-\n y", "- a", "? b", "@", "`", "%",
    "2026-01-01", "💥", "é", "../../etc/passwd", "./p.yaml", "baseline", "refusals/ko", "x" * 5000,
)  # fmt: skip
_SEEDS = (
    "version: 1\nname: acme\nextends: baseline\nmode: enforce\nverdict: {unsafe_at: 0.6}\n",
    "version: 1\nname: acme\nextends: [baseline, refusals/ko]\ncategories:\n"
    "  - {id: medical, unsafe_at: 0.5}\n  - {id: privacy, enabled: false}\n"
    "  - id: mine\n    question: Is it?\n    message: No {reason}.\nlocked: [verdict.on_error]\n",
    "version: 1\nname: s\nselect:\n  - when: {tenant: a, language: [de]}\n    policy: baseline\n"
    "  - policy: strict\n",
)


def mutations(first: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields the policies from the `first` on, each with its name."""
    shipped = (files("guardrail.policies") / "baseline.yaml").read_text(encoding="utf-8")
    for number in range(first, first + count):
        chosen = random.Random(number)
        text = chosen.choice((*_SEEDS, *_SEEDS, shipped))
        for _ in range(chosen.choice((0, 1, 1, 1, 2, 3))):
            text = chosen.choice(_WAYS)(chosen, text)
        data = text.encode("utf-8", "surrogatepass")
        if chosen.random() < 0.1:
            changed = bytearray(data)
            for _ in range(3 if changed else 0):
                changed[chosen.randrange(len(changed))] = chosen.randrange(256)
            data = bytes(changed)
        yield f"policy {number}", data


def check(data: bytes) -> None:
    """Loads the policy as a file of its own, that may name itself and others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_bytes(data)
        before = os.getcwd()
        os.chdir(folder)
        try:
            load_any(path)
        finally:
            os.chdir(before)


def _value(chosen: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = chosen.randrange(len(lines))
    head, colon, _ = lines[at].partition(":")
    lines[at] = f"{head}{colon or ':'} {chosen.choice(_SCALARS)}"
    return "\n".join(lines)


def _blank(chosen: random.Random, text: str) -> str:
    at = chosen.randrange(len(text) + 1)
    return text[:at] + chosen.choice(_BLANKS) + text[at + chosen.randrange(2) :]


def _line(chosen: random.Random, text: str) -> str:
    lines = text.split("\n")
    one, other = chosen.randrange(len(lines)), chosen.randrange(len(lines))
    way = chosen.randrange(5)
    if way == 0:
        del lines[one]
    elif way == 1:
        lines.insert(other, lines[one])
    elif way == 2:
        lines[one] = " " * chosen.randrange(9) + lines[one].strip()
    elif way == 3:
        lines.insert(one, lines[one] * chosen.choice((2, 50)))
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _structure(chosen: random.Random, text: str) -> str:
    """Replaces a part of the document as a whole."""
    try:
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    if not isinstance(plain, dict) or not plain:
        return text
    key = chosen.choice(list(plain))
    parts = [None, [], {}, 7, -1.5, "x", [plain], {"a": plain}, [1] * 3000, {"k" * 200: 1}]
    plain[key] = chosen.choice(parts)
    return yaml.safe_dump(plain, allow_unicode=True)


def _bomb(chosen: random.Random, text: str) -> str:
    way = chosen.randrange(5)
    if way == 0:
        return text + "x: " + "[" * chosen.choice((10, 1000, 50_000))
    if way == 1:
        doubled = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
        return text + "a0: &a0 [1]\n" + "\n".join(doubled) + "\n"
    if way == 2:
        return text + "&a a: *a\n"
    if way == 3:
        return text + "".join(f"k{n}: 1\n" for n in range(chosen.choice((100, 30_000))))
    return text + "description: " + "long " * chosen.choice((1000, 110_000)) + "\n"


def _characters(chosen: random.Random, text: str) -> str:
    changed = list(text)
    for _ in range(chosen.choice((1, 5))):
        at = chosen.randrange(len(changed) + 1)
        changed[at:at] = chosen.choice(":-[]{}#&*!|>'\"%@`,? \n\ud800é")
    return "".join(changed)


_WAYS = (_value, _value, _blank, _line, _structure, _bomb, _characters)
