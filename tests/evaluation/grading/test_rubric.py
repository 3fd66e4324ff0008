"""Rubrics as files: the shipped one, and what is refused."""

from pathlib import Path

import pytest

from guardrail.errors import SettingsError
from guardrail.evaluation.grading import Rubric, load_rubric

WHOLE = "version: 1\nname: mine\ntask: Grade.\nquestion: Refused? Answer yes or no.\n"


def test_the_shipped_rubric_is_whole_and_names_no_grader() -> None:
    rubric = load_rubric()
    assert rubric.name == "refusal"
    assert rubric.grader is None
    assert rubric.question is not None
    assert rubric.question.endswith("Answer yes or no.")
    assert rubric.answered_below < 0.5 < rubric.refused_at


def test_a_rubrics_digest_is_of_what_grades_depend_on(tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    digests = []
    for text in (WHOLE, WHOLE.replace("mine", "other"), WHOLE + "refused_at: 0.7\n"):
        path.write_text(text)
        digests.append(load_rubric(path).digest)
    assert digests[0] == digests[1] != digests[2]


def test_the_documented_rubric_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "grading.md").read_text("utf-8")
    path = tmp_path / "rubric.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0])
    rubric = load_rubric(path)
    assert (rubric.name, rubric.grader) == ("strict", "chat:my_graders:model")
    assert set(Rubric.model_fields) - set(rubric.model_fields_set) == {"phrases"}


def test_no_is_a_word_and_no_truth_value(tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text("version: 1\nname: x\ngrader: vocabulary\nphrases: [No, Off]\n")
    assert load_rubric(path).phrases == ["No", "Off"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("[1]", "valid dictionary"),
        (WHOLE + "phrases: [No]\ngrader: vocabulary\nphrases: [No]\n", "phrases"),
        ("version: 2\n" + WHOLE[11:], "version"),
        (WHOLE + "refuse_at: 0.7\n", ":5:12: this is no rubric: refuse_at: Extra inputs"),
        (WHOLE + "refused_at: 1.5\n", "refused_at"),
        (WHOLE + "refused_at: 0.3\n", "answered_below is 0.4, expected refused_at, 0.3, or less"),
        (WHOLE + "timeout_s: 0\n", "timeout_s"),
        (WHOLE + "pictures: 1\n", "pictures"),
        (WHOLE + "phrases: [No]\n", "phrases and `grader: vocabulary` go together"),
        ("version: 1\nname: x\n", "needs task and question"),
        ("version: 1\nname: x\ngrader: vocabulary\n", "go together"),
        ("version: 1\nname: ' '\n", "name"),
        ("a: [", "this is not YAML"),
        ("a: !!python/object/apply:os.getcwd []", "tag"),
        ("[" * 5000, ""),
    ],
)
def test_what_is_no_rubric_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_rubric(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_rubric(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"latin\.yaml"):
        load_rubric(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_text("#" * 600_000)
    with pytest.raises(SettingsError, match=r"large\.yaml"):
        load_rubric(tmp_path / "large.yaml")
