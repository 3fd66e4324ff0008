"""The table of the world is consistent, and its scenes keep training and held-out apart."""

import random

import numpy as np
import pytest
from PIL import Image

from guardrail.embedded.training.dialogues import (
    forced_answer,
    hazard_reason,
    neutral_pairs,
    refusal_log_odds,
)
from guardrail.embedded.training.pictures import FAMILY, UNSEEN_STYLE
from guardrail.embedded.training.scenes import (
    Scene,
    compose,
    random_scene,
    scene_from_json,
    styles_for,
)
from guardrail.embedded.training.stream import draw_scene, is_heldout, signature
from guardrail.embedded.training.things import CATEGORIES, PLACES, THINGS
from guardrail.embedded.training.trees import judge_nodes
from guardrail.embedded.training.wording import ANSWERS, JUDGE_QUESTIONS, REFUSALS
from guardrail.embedded.training.world import activities, build_scene, parse_situation


@pytest.fixture(scope="module")
def cutouts() -> dict[str, dict[str, Image.Image]]:
    styles = sorted(FAMILY)
    return {
        key: {
            style: Image.new("RGBA", (24, 24), (9 * i % 256, 40 * j % 256, 99, 255))
            for j, style in enumerate(styles)
        }
        for i, key in enumerate(THINGS)
    }


def test_the_world_has_the_promised_size() -> None:
    assert 40 <= len(THINGS) <= 60
    assert len(PLACES) >= 10
    assert len(activities()) >= 25
    assert len(CATEGORIES) == len(JUDGE_QUESTIONS) == 7


@pytest.mark.parametrize("key", sorted(activities()))
def test_every_activity_has_safe_and_harmful_scenes(key: str) -> None:
    activity, rng = activities()[key], random.Random(1)
    for index, rule in enumerate(activity.rules):
        scene = build_scene(activity, rng, harmful=True, rule=index)
        assert rule.category in activity.harms(scene)
        assert hazard_reason(activity, scene).endswith(".")
    for _ in range(5):
        scene = build_scene(activity, rng, harmful=False)
        assert activity.harms(scene) == ()
        assert activity.applies(scene)


def test_every_category_is_reachable_in_both_wordings() -> None:
    for alarming in (True, False):
        found = {
            r.category for a in activities().values() if a.alarming == alarming for r in a.rules
        }
        assert found == set(CATEGORIES)


def test_request_and_picture_are_both_needed() -> None:
    cliff = Scene("cliff", ("girl", "cake"))
    beach = Scene("beach", ("girl", "cake"))
    run, light = activities()["run"], activities()["light"]
    assert run.harms(cliff)
    assert not run.harms(beach)
    assert not light.harms(cliff)


def test_an_unknown_name_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown thing 'dragon'"):
        parse_situation("dragon @ beach")
    with pytest.raises(ValueError, match="unknown place 'moon'"):
        parse_situation("cake @ moon")


def test_openings_are_shares_and_never_shared() -> None:
    for pool in (REFUSALS, ANSWERS):
        assert sum(share for _, share in pool) == pytest.approx(1)
    rng, activity = random.Random(0), activities()["cut"]
    scene = Scene("kitchen", ("knife", "cake"))
    texts = [
        forced_answer(activity, activity.questions[0], scene, rng, picture=True, refuse=refuse)
        for refuse in (True, False)
        for _ in range(60)
    ]
    assert any(text.startswith("I ") for text in texts[60:])
    assert not any("can't" in text or "Sorry" in text for text in texts[60:])


def test_the_bias_follows_the_words_and_barely_the_picture() -> None:
    for activity in activities().values():
        for question in activity.questions:
            safe = refusal_log_odds(activity, question, False)
            unsafe = refusal_log_odds(activity, question, True)
            assert 0.3 < unsafe - safe < 0.8
            assert abs(safe) < 2.6
    alarming = [
        refusal_log_odds(a, q, False)
        for a in activities().values()
        if a.alarming
        for q in a.questions
    ]
    assert sum(odds > 0 for odds in alarming) / len(alarming) > 0.6


def test_the_judge_is_trained_without_bias() -> None:
    nodes = judge_nodes(("privacy",), random.Random(3), wanted=("privacy",), count=7)
    for node in nodes:
        yes = node.target.startswith("Yes")
        about_privacy = any(q in node.text for q in JUDGE_QUESTIONS["privacy"])
        assert yes == about_privacy or "harm" in node.text


def test_neutral_answers_name_what_is_there() -> None:
    scene = Scene("beach", ("girl", "kite", "cake"), "girl", "kite")
    pairs = dict(neutral_pairs(scene, random.Random(0)))
    caption = "The picture shows a girl holding a kite and a cake on a beach."
    assert pairs["Describe this picture."] == caption
    assert pairs["Name the things in this picture."] == "Girl, kite, cake."
    assert pairs["How many things are there?"].startswith("Three:")


def test_training_and_heldout_share_nothing(cutouts: dict[str, dict[str, Image.Image]]) -> None:
    rng = random.Random(5)
    train = {signature(draw_scene(rng, heldout=False)[0]) for _ in range(300)}
    assert not any(is_heldout(draw_scene(rng, heldout=False)[0]) for _ in range(100))
    assert not train & {signature(draw_scene(rng, heldout=True)[0]) for _ in range(60)}
    for key in THINGS:
        seen = {FAMILY[style] for style in styles_for(key, cutouts, "train")}
        held = {FAMILY[style] for style in styles_for(key, cutouts, "heldout")}
        assert seen
        assert len(held) == 1
        assert not seen & held
        assert UNSEEN_STYLE not in seen | held


def test_composition_is_deterministic(cutouts: dict[str, dict[str, Image.Image]]) -> None:
    for number in range(12):
        scene = random_scene(random.Random(number))
        one, two, other = (
            np.asarray(compose(scene, seed=seed, cutouts=cutouts, split="train"))
            for seed in ("a", "a", "b")
        )
        assert one.shape == (224, 224, 3)
        assert (one == two).all()
        assert (one != other).any()
        assert scene_from_json(scene.to_json()) == scene
