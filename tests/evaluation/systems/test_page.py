"""The page of systems says what the catalogue says."""

import re

from guardrail.evaluation.systems import SYSTEMS

from .page import PAGE, page


def test_the_page_is_the_catalogue_s() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.evaluation.systems.page"


def test_every_system_has_one_row() -> None:
    table = PAGE.read_text("utf-8").split("## What is said")[0]
    assert re.findall(r"^\| `([\w-]+)` \|.*\|$", table, re.M) == list(SYSTEMS)
