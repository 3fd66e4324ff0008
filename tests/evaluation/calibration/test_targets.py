import pytest

from guardrail.errors import SettingsError
from guardrail.evaluation.calibration.targets import Target, parse_targets


@pytest.mark.parametrize(
    "text", ["wrong_refusals <= 0.02", "wrong_refusals<=2%", " wrong_refusals <= .02 "]
)
def test_a_target_may_be_written_in_several_ways(text: str) -> None:
    assert parse_targets([text]) == (Target("wrong_refusals", 0.02),)


def test_targets_come_in_a_fixed_order() -> None:
    found = parse_targets(["wrong_answers <= 0.1", "wrong_refusals <= 0.2"])
    assert [str(each) for each in found] == ["wrong_refusals <= 0.2", "wrong_answers <= 0.1"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "no target is given"),
        (["wrong_refusal <= 0.02"], "target is 'wrong_refusal <= 0.02'"),
        (["wrong_refusals < 0.02"], "expected 'wrong_refusals <= RATE'"),
        (["wrong_refusals <= 0"], "above 0 and below 1"),
        (["wrong_refusals <= 100%"], "above 0 and below 1"),
        (["wrong_refusals <= nan"], "expected 'wrong_refusals <= RATE'"),
        (["wrong_refusals <= 1e-3"], "expected 'wrong_refusals <= RATE'"),
        (["wrong_refusals <= 0.1", "wrong_refusals <= 0.2"], "two targets for wrong_refusals"),
    ],
)
def test_what_is_no_target_is_said(texts: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("(", r"\(")):
        parse_targets(texts)
