"""Noise on the photograph: 8 bits, cut off, a function of the pixels, averaged away by resizing."""

import numpy as np
import pytest
from PIL import Image

from guardrail.backends.photographs import noised_photograph, shown_otherwise
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Picture, question


def grey(value: int = 127, size: tuple[int, int] = (120, 80)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def test_its_standard_deviation_is_in_pixel_units() -> None:
    noised = np.asarray(noised_photograph(grey(), noise_std=0.1)) / 255
    assert noised.std() == pytest.approx(0.1, rel=0.03)
    assert noised.mean() == pytest.approx(127 / 255, abs=0.002)


@pytest.mark.parametrize(("value", "kept"), [(0, 0), (255, 255)])
def test_it_is_cut_off_at_black_and_white(value: int, kept: int) -> None:
    noised = np.asarray(noised_photograph(grey(value), noise_std=0.2))
    assert noised.dtype == np.uint8
    assert (noised == kept).mean() == pytest.approx(0.5, abs=0.02)


def test_the_same_pixels_and_seed_give_the_same_noise_and_others_another() -> None:
    once, again = (np.asarray(noised_photograph(grey(), noise_std=0.1)) for _ in range(2))
    assert (once == again).all()
    for other in (
        noised_photograph(grey(128), noise_std=0.1),
        noised_photograph(grey(), noise_std=0.1, seed=1),
    ):
        assert (np.asarray(other) != once).mean() > 0.9


def test_no_noise_changes_no_pixel() -> None:
    image = Image.effect_noise((31, 17), 90).convert("RGB")
    assert (np.asarray(noised_photograph(image, noise_std=0.0)) == np.asarray(image)).all()


def test_resizing_averages_it_away() -> None:
    small = noised_photograph(grey(size=(800, 800)), noise_std=0.1).resize((80, 80), Image.BOX)
    assert np.asarray(small).std() / 255 == pytest.approx(0.01, rel=0.1)


def test_a_conversation_keeps_its_words_and_its_own_pictures() -> None:
    asked = question("What is it?", [Picture(grey(), "d")])
    noised = shown_otherwise(asked, "photo-noise", noise_std=0.1)
    assert [turn.text for turn in noised.turns] == ["What is it?"]
    assert noised.pictures[0].image.size == grey().size
    assert noised.pictures[0].digest != "d"
    assert asked.pictures[0].image.tobytes() == grey().tobytes()


@pytest.mark.parametrize(("kind", "colour"), [("grey", (127, 127, 127)), ("mean", (100, 50, 25))])
def test_other_kinds_are_of_one_colour(kind: Counterfactual, colour: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (4, 2), (200, 100, 50))
    image.paste("black", (0, 0, 2, 2))
    asked = question("What is it?", [Picture(image, "d")])
    [shown] = shown_otherwise(asked, kind, noise_std=0.0).pictures
    assert shown.image.size == image.size
    assert shown.image.getcolors() == [(8, colour)]


@pytest.mark.parametrize("std", [-0.1, 1.1])
def test_a_deviation_out_of_range_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match="noise_std is"):
        shown_otherwise(question("x"), "noise", noise_std=std)
