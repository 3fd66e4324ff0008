"""The changelog keeps to its form, and a release is made only of what it says."""

import pytest

from tests.release.changelog import CHANGELOG, faults, notes, releases

GOOD = """# Changelog

## [Unreleased]

## [0.10.0] - 2027-02-01

### Added

- This.

## [0.9.1] - 2027-01-01

### Fixed

- That.

[Unreleased]: ../../compare/v0.10.0...HEAD
[0.10.0]: ../../compare/v0.9.1...v0.10.0
[0.9.1]: ../../releases/tag/v0.9.1
"""


def test_the_changelog_keeps_to_its_form() -> None:
    assert faults(CHANGELOG.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("was", "then", "said"),
    [
        ("## [Unreleased]", "## [0.11.0] - 2027-03-01", "first section"),
        ("## [0.9.1] - 2027-01-01", "## 0.9.1 - 2027-01-01", "0.9.1 has no link"),
        ("[0.9.1]: ", "[0.9.2]: ", "0.9.1 has no link"),
        ("2027-02-01", "2027-02-31", "0.10.0 has the date"),
        (" - 2027-02-01", "", "0.10.0 has the date None"),
        ("### Fixed", "### Mended", "0.9.1 has Mended"),
        ("### Added", "### Added\n\n- More.\n\n### Added", "heading twice"),
        ("[0.9.1]", "[0.11.1]", "newest is not first"),
    ],
)
def test_what_breaks_the_form_is_named(was: str, then: str, said: str) -> None:
    assert faults(GOOD) == []
    assert any(said in each for each in faults(GOOD.replace(was, then)))


def test_a_release_says_its_own_section_and_no_other() -> None:
    assert notes("v0.10.0", GOOD, "0.10.0") == "### Added\n\n- This."
    assert releases(GOOD)[-1].text == "### Fixed\n\n- That."


@pytest.mark.parametrize(
    ("tag", "version", "text"),
    [
        ("v0.9.1", "0.10.0", GOOD),
        ("0.10.0", "0.10.0", GOOD),
        ("v0.11.0", "0.11.0", GOOD),
        ("v0.10.0", "0.10.0", GOOD.replace("## [0.10.0]", "### Added\n\n- Late.\n\n## [0.10.0]")),
    ],
)
def test_a_tag_without_its_section_is_no_release(tag: str, version: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"tag|section|left"):
        notes(tag, text, version)
