"""Where an answer turns is told exactly, and the long answers of training turn where they say."""

import json
import random
from functools import cache

import pytest

from guardrail import load_policy
from guardrail.embedded import HELDOUT
from guardrail.embedded.load import load_embedded
from guardrail.embedded.training.acts import ACTS, harmful_phrases, phrases_of, tip_heads
from guardrail.embedded.training.dialogues import forced_answer
from guardrail.embedded.training.heldout_turning import TURNING, draw_turning
from guardrail.embedded.training.packing import IGNORE, pack
from guardrail.embedded.training.rewording import plain
from guardrail.embedded.training.scenes import Scene, scene_from_json
from guardrail.embedded.training.stream import draw_scene, is_heldout
from guardrail.embedded.training.trees import END, NEXT, TURN, Node
from guardrail.embedded.training.turning import (
    LongAnswer,
    foreign_to,
    harmful_in,
    long_answer,
    long_request,
)
from guardrail.embedded.training.turning_trees import (
    answer_chain,
    answer_question_node,
    blind_tree,
    sentences_of,
    short_answers_tree,
    split,
    turning_tree,
)
from guardrail.embedded.training.turning_wording import KINDS
from guardrail.embedded.training.wording import ANSWER_QUESTIONS, HARM_REASONS, JUDGE_SUFFIX
from guardrail.embedded.training.world import activities
from guardrail.embedded.turning import first_turn, helps_with, turning_token, turns

CLIFF = Scene("cliff", ("ball", "man"))
BEACH = Scene("beach", ("ball", "man"))
SCENES = [draw_scene(random.Random(n), heldout=False)[0] for n in range(100)]
PHRASES = harmful_phrases(CLIFF)


@cache
def drawn(*, even: bool) -> list[tuple[Scene, LongAnswer]]:
    rng = random.Random(7)
    kinds = [KINDS[name] for name in sorted(KINDS)]
    return [(s, long_answer(rng.choice(kinds), s, rng, even=even)) for s in SCENES]


def test_an_answer_turns_where_a_harmful_phrase_ends() -> None:
    text = "There is a ball at the edge of a cliff. You could run faster here. Warm up, take short"
    turn = first_turn(text, PHRASES)
    assert turn is not None
    assert text[turn.start : turn.end] == "run faster here"
    assert turn.categories == ("physical-danger",)
    assert [each.phrase for each in turns(text, PHRASES)] == ["run faster here", "Warm up, take"]
    assert first_turn(text[: turn.end - 1], PHRASES) is None
    assert helps_with(text, PHRASES) == {"physical-danger"}


def test_the_same_words_are_harmless_where_the_scene_is() -> None:
    assert helps_with("You could run faster here.", harmful_phrases(BEACH)) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "Do not run faster here: this is the edge of a cliff.",
        "I wouldn't run faster here.",
        "Nobody should ever run faster here!",
        "It is no place to run faster here.",
        "I like to rerun faster hereabouts.",
        "",
    ],
)
def test_warnings_and_lookalikes_are_no_help(text: str) -> None:
    assert first_turn(text, PHRASES) is None


@pytest.mark.parametrize(
    "text",
    [
        "Do not hurry. You could run faster here.",
        "No fear: RUN  FASTER\nHERE now",
        "Why wait? Run faster here",
    ],
)
def test_a_warning_ends_with_its_sentence_and_spelling_does_not_matter(text: str) -> None:
    assert first_turn(text, PHRASES) is not None


def test_the_token_is_the_one_that_completes_the_phrase() -> None:
    pieces = ["You", " could", " run", " fas", "ter", " here", ".", " Bye"]
    assert turning_token(pieces, PHRASES) == 5
    assert turning_token(pieces[:5], PHRASES) is None


def test_every_phrase_belongs_to_one_activity_and_hides_in_no_other() -> None:
    assert set(ACTS) == set(activities())
    owners = {phrase: each.key for each in activities().values() for phrase in phrases_of(each)}
    assert len(owners) == sum(len(phrases_of(each)) for each in activities().values())
    for phrase, owner in owners.items():
        inside = {owners[t.phrase] for t in turns(phrase, dict.fromkeys(owners, ()))}
        assert inside == {owner}
    for tip, head in tip_heads().items():
        assert tip.startswith(head)


def test_short_answers_turn_by_their_tips_and_refusals_never() -> None:
    rng, run = random.Random(0), activities()["run"]
    for refuse in (True, False):
        for _ in range(20):
            question = rng.choice(run.questions)
            text = forced_answer(run, question, CLIFF, rng, picture=True, refuse=refuse)
            assert (helps_with(text, PHRASES) == {"physical-danger"}) is not refuse


def test_half_of_what_could_turn_does_and_in_a_later_sentence() -> None:
    could = [answer for scene, answer in drawn(even=False) if harmful_in(scene)]
    turned = [answer for answer in could if answer.turned is not None]
    assert 0.5 < len(turned) / len(could) < 0.85
    assert all(answer.turned and answer.turned >= 2 for answer in turned)
    for scene, answer in drawn(even=False):
        phrases = harmful_phrases(scene)
        until = len(answer.sentences) if answer.turned is None else answer.turned
        assert not helps_with("".join(answer.sentences[:until]), phrases)
        assert bool(helps_with(answer.text, phrases)) == (answer.turned is not None)


def test_whether_it_turns_goes_by_the_kind_of_request() -> None:
    shares = {}
    for name, kind in KINDS.items():
        rng = random.Random(name)
        found = [long_answer(kind, s, rng).turned is not None for s in SCENES if harmful_in(s)]
        shares[name] = sum(found) / len(found)
    assert shares["talk"] < 0.35
    assert min(shares[name] for name in KINDS if name != "talk") > 0.5


def test_long_answers_are_long() -> None:
    tokenizer = load_embedded()[1].tokenizer
    lengths = sorted(len(tokenizer(answer.text).input_ids) for _, answer in drawn(even=False))
    assert lengths[len(lengths) // 10] >= 40
    assert lengths[-1] <= 120


def test_the_questions_are_those_of_the_policy_s_reasons() -> None:
    categories = {each.id: each for each in load_policy("baseline").categories}
    assert set(categories) == set(ANSWER_QUESTIONS)
    for name, reason in HARM_REASONS.items():
        assert categories[name].reason["en"] == reason
        first = f"Does this answer so far help with something by which {reason}?"
        assert ANSWER_QUESTIONS[name][0] == first


def test_a_question_about_an_answer_is_what_the_template_renders() -> None:
    question = f"{ANSWER_QUESTIONS['privacy'][0]}{JUDGE_SUFFIX}"
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "A plan?"}]},
        {"role": "assistant", "content": "You could"},
        {"role": "user", "content": question},
    ]
    node = answer_question_node(ANSWER_QUESTIONS["privacy"][0], True)
    path = f"<|im_start|>user\n<image>\nA plan?{TURN}You could{node.text}"
    render = load_embedded()[1].apply_chat_template
    assert render(messages, add_generation_prompt=True) == path
    assert node.target == f"Yes{END}"


def _paths(node: Node, before: str = "") -> list[tuple[str, str]]:
    """Every target with all the text before it."""
    here = before + node.text
    own = [(here, node.target)] if node.target else []
    return own + [path for child in node.children for path in _paths(child, here)]


def test_questions_about_answers_are_answered_by_what_was_said() -> None:
    seen = {"Yes": 0, "No": 0}
    for number, scene in enumerate(SCENES[:40]):
        rng = random.Random(number)
        asked = rng.choice([a for a in activities().values() if a.applies(scene)])
        for tree in (turning_tree(scene, rng), short_answers_tree(scene, asked, rng)):
            for text, target in _paths(tree):
                so_far, _, question = text.rpartition(NEXT)
                if not so_far:
                    continue  # a question about the request
                harms = helps_with(so_far.rpartition(TURN)[2], harmful_phrases(scene))
                about = [c for c, forms in ANSWER_QUESTIONS.items() for f in forms if f in question]
                truth = bool(set(about) & harms) if about else bool(harms)
                assert target == ("Yes" if truth else "No") + END
                seen[target.removesuffix(END)] += 1
    assert seen["Yes"] > 0.2 * seen["No"]


def test_what_the_table_does_not_speak_of_in_a_scene_is_no_harm() -> None:
    rng = random.Random(3)
    for scene in SCENES:
        foreign = foreign_to(scene)
        assert foreign
        assert not any(each.harms(scene) for each in foreign)
        kind = KINDS[rng.choice(sorted(KINDS))]
        answer = long_answer(kind, scene, rng, even=True, foreign=1.0)
        assert answer.turned is None
        assert any(act in answer.text for each in foreign for act in ACTS[each.key])


def test_requests_for_long_answers_are_judged_harmless() -> None:
    for number, scene in enumerate(SCENES[:30]):
        for text, target in _paths(turning_tree(scene, random.Random(number))):
            if TURN not in text.removesuffix(TURN):
                assert target == f"No{END}"


def test_no_answer_is_cut_within_what_decides() -> None:
    sentence = " Later, now run faster here with a friend."
    cuts = {split(sentence, PHRASES, random.Random(seed)) for seed in range(40)}
    assert cuts == {(" Later, now", " run faster here with a friend."),
                    (" Later, now run faster here", " with a friend."),
                    (" Later, now run faster here with", " a friend."),
                    (" Later, now run faster here with a", " friend.")}  # fmt: skip
    assert split("Climb here", PHRASES, random.Random(0)) == ("Climb here", "")


def test_what_is_learned_of_an_answer_is_the_answer() -> None:
    tokenizer = load_embedded()[1].tokenizer.backend_tokenizer
    for seed in range(12):
        rng = random.Random(seed)
        answer = long_answer(KINDS["ideas"], CLIFF, rng)
        chain = answer_chain(answer.sentences, CLIFF, rng, asked=3, learned=True)
        packed = pack(Node("<|im_start|>user\nIdeas?", children=[chain]), tokenizer)
        learned = packed.labels[(packed.labels != IGNORE) & (packed.weights == 1.0)]
        assert learned.tolist() == tokenizer.encode(answer.text + END).ids


def test_an_answer_s_sentences_are_all_of_it() -> None:
    for _, answer in drawn(even=True):
        parts = sentences_of(answer.text)
        assert "".join(parts) == answer.text
        assert all(part[0] == " " for part in parts[1:])


def test_without_a_clear_picture_nothing_turns() -> None:
    for picture in (True, False):
        targets = [t for _, t in _paths(blind_tree(random.Random(1), picture=picture))]
        assert not any(target.startswith("Yes") for target in targets)
        assert sum("icture." in target for target in targets) == 2


def test_the_held_out_requests_are_what_the_maker_says() -> None:
    shipped = json.loads((HELDOUT / "turning.json").read_text("utf-8"))
    entries = json.loads((HELDOUT / "combined.json").read_text("utf-8"))
    assert shipped == draw_turning(entries)
    assert len(shipped) == len({row["image_path"] for row in shipped}) == TURNING
    for row in shipped:
        scene = scene_from_json(row["scene"])
        assert is_heldout(scene)
        assert row["category"] in row["categories"]
        assert row["harmful_phrases"] == harmful_phrases(scene)
        assert (HELDOUT / row["image_path"]).is_file()
    assert (HELDOUT / "turning.json").stat().st_size < 500_000


def test_held_out_requests_are_no_training_ones() -> None:
    held = {plain(text) for kind in KINDS.values() for text in kind.held_out}
    assert len(held) == sum(len(kind.held_out) for kind in KINDS.values()) == 16
    assert not held & {plain(text) for kind in KINDS.values() for text in kind.requests}
    rng = random.Random(0)
    typed = [plain(long_request(rng)[0]) for _ in range(2000)]
    assert not any(each in text for text in typed for each in held)
