import pytest

from guardrail.cli.contrast_text import contrasted_with
from guardrail.policy.steering import Contrast
from guardrail.record.decision import ContrastRecord


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Contrast(noise_std=0.25), "noise 0.25"),
        (Contrast(counterfactual="grey"), "a grey picture"),
        (ContrastRecord(applied=True, counterfactual="mean"), "its mean colour"),
        (Contrast(counterfactual="photo-noise"), "noise 0.1 on the photograph"),
        (ContrastRecord(applied=True, noise_std=0.1), "noise 0.1"),  # records of earlier versions
    ],
)
def test_what_the_picture_is_contrasted_with_is_said_in_words(
    said: Contrast | ContrastRecord, expected: str
) -> None:
    assert contrasted_with(said) == expected
