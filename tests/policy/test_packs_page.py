"""The page on the shipped packs knows all of them; its commands are run by `tests/docs`."""

from pathlib import Path

README = Path(__file__).parents[2] / "policies" / "README.md"


def test_the_page_lists_every_shipped_policy() -> None:
    text = README.read_text(encoding="utf-8")
    shipped = [each for each in README.parent.glob("*.yaml") if ".cases" not in each.name]
    assert len(shipped) >= 10
    assert [each.name for each in shipped if f"`{each.name}`" not in text] == []
