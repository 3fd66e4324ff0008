"""Trees of questions about an answer so far, cut at any place, and of the requests before it.

Questions are answered by what the answer has said: yes, once it has helped with what the table
calls harmful in the scene. Knows nothing of tokens or pixels.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from guardrail.embedded.training.acts import harmful_phrases
from guardrail.embedded.training.dialogues import forced_answer
from guardrail.embedded.training.rewording import question_of
from guardrail.embedded.training.scenes import Scene
from guardrail.embedded.training.things import CATEGORIES
from guardrail.embedded.training.trees import (
    END,
    JUDGE_WEIGHT,
    NEXT,
    TURN,
    Node,
    judge_nodes,
    prefix,
)
from guardrail.embedded.training.turning import harmful_in, long_answer, long_request
from guardrail.embedded.training.wording import (
    ANSWER_QUESTIONS,
    GENERAL_ANSWER_QUESTIONS,
    JUDGE_SUFFIX,
    NOTHING_CLEAR,
)
from guardrail.embedded.training.world import Activity, activities
from guardrail.embedded.turning import HarmfulPhrases, helps_with, turns

CANONICAL = 0.7
"""How often an answer question is put as a policy's reason makes it."""
GENERAL = 0.08
BIASED = 0.5
"""Share of the long answers that are learned; the others are only asked about."""
MID_SENTENCE = 0.3
WIDE, WIDE_FOREIGN = 0.12, 0.5
"""Weight of a question about any category; the same where answers speak of what is foreign."""
HELPED = 0.75
"""Share of the short answers asked about that are help, not a refusal."""


def answer_question(category: str, rng: random.Random) -> str:
    """A question about the answer so far, for a category of harm."""
    options = ANSWER_QUESTIONS[category]
    return options[0] if rng.random() < CANONICAL else rng.choice(options)


def answer_question_node(question: str, answer: bool) -> Node:
    """A user's turn about the answer so far, which it closes, with a sound yes or no."""
    text = f"{NEXT}{question}{JUDGE_SUFFIX}{TURN}"
    return Node(text, ("Yes" if answer else "No") + END, weight=JUDGE_WEIGHT)


def sentences_of(text: str) -> list[str]:
    """An answer's sentences; each but the first begins with its space."""
    return re.split(r"(?<=[.!?])(?= )", text)


def split(sentence: str, phrases: HarmfulPhrases, rng: random.Random) -> tuple[str, str]:
    """Cuts a sentence before a word: before its first harmful phrase begins, or after it ended.

    Within the phrase it is anybody's guess whether the answer has helped yet.
    """
    found = next(iter(turns(sentence, phrases)), None)
    spaces = [m.start() for m in re.finditer(r"(?<=\w) ", sentence)]
    clear = [at for at in spaces if not found or at < found.start or at >= found.end]
    if not clear:
        return sentence, ""
    at = rng.choice(clear)
    return sentence[:at], sentence[at:]


def answer_chain(
    sentences: Sequence[str],
    scene: Scene,
    rng: random.Random,
    *,
    asked: int,
    learned: bool,
    wide: float = WIDE,
) -> Node:
    """The assistant's turn: pieces of the answer one below the other, with questions at cuts.

    Args:
        sentences: The answer; each sentence but the first begins with a space.
        scene: What is to be seen.
        rng: Random source.
        asked: How many questions.
        learned: Whether the answer itself is to be learned.
        wide: Weight of asking about any category, whether or not something tempts to say yes.
    """
    phrases = harmful_phrases(scene)
    pieces: list[str] = []
    for sentence in sentences:
        halves = split(sentence, phrases, rng) if rng.random() < MID_SENTENCE else (sentence,)
        pieces += [half for half in halves if half]
    so_far = ["".join(pieces[: number + 1]) for number in range(len(pieces))]
    harms = [helps_with(text, phrases) for text in so_far]
    cuts = _cuts(harms, rng, asked)
    top = at = Node(TURN)
    later = harms[-1]
    for number, piece in enumerate(pieces):
        node = Node(piece, learned=learned)
        for _ in range(cuts.count(number)):
            node.children.append(_asked(harms[number], later, scene, rng, wide))
        at.children.append(node)
        at = node
    if learned:
        at.children.append(Node(END, learned=True))
    return top


def _cuts(harms: Sequence[frozenset[str]], rng: random.Random, count: int) -> list[int]:
    """Where questions are put: just before and just after a turn first, then anywhere."""
    turn = next((n for n, each in enumerate(harms) if each), None)
    if turn is None:
        return [len(harms) - 1, *(rng.randrange(len(harms)) for _ in range(count - 1))]
    wanted = [turn, *([turn - 1] if turn else []), rng.randrange(turn, len(harms))]
    wanted += [rng.randrange(len(harms)) for _ in range(count)]
    return wanted[:count]


def _asked(
    harms: frozenset[str], later: frozenset[str], scene: Scene, rng: random.Random, wide: float
) -> Node:
    """One question about what has been said: what it helps with, or what tempts to say so."""
    if rng.random() < GENERAL:
        return answer_question_node(rng.choice(GENERAL_ANSWER_QUESTIONS), bool(harms))
    tempting = {name for each in harmful_in(scene) for name in each.harms(scene)}
    pools = [harms, later - harms, tempting - harms, frozenset(CATEGORIES)]
    weights = (0.6, 0.35, 0.3, wide)
    open_pools = [(sorted(p), w) for p, w in zip(pools, weights, strict=True) if p]
    [pool] = rng.choices([p for p, _ in open_pools], [w for _, w in open_pools])
    category = rng.choice(pool)
    return answer_question_node(answer_question(category, rng), category in harms)


def turning_tree(scene: Scene, rng: random.Random, *, foreign: float = 0.0) -> Node:
    """A tree of one request for a long answer, with questions about it and about its answer.

    Half the answers are drawn by the bias and learned. The others are drawn evenly and only asked
    about, so that the questions go by what is said, and not by where and how it is.

    Args:
        scene: What is to be seen.
        rng: Random source.
        foreign: See `turning.long_answer`.
    """
    request, kind = long_request(rng)
    node = Node(request)
    root = Node(prefix(rng, picture=True), children=[node])
    learned = rng.random() < BIASED
    tempting = sorted({name for each in harmful_in(scene) for name in each.harms(scene)})
    if learned or rng.random() < 0.3:
        node.children += judge_nodes((), rng, wanted=tuple(tempting[:2]), count=2)
    answer = long_answer(kind, scene, rng, even=not learned, foreign=foreign)
    wide = WIDE_FOREIGN if foreign else WIDE
    asked = 3 if learned else 4
    chain = answer_chain(answer.sentences, scene, rng, asked=asked, learned=learned, wide=wide)
    node.children.append(chain)
    return root


def blind_tree(rng: random.Random, *, picture: bool) -> Node:
    """A tree of requests for long answers where nothing is clear, or there is no picture."""
    root = Node(prefix(rng, picture=picture))
    said = NOTHING_CLEAR if picture else "There is no picture."
    for _ in range(2):
        request = Node(long_request(rng)[0], children=[Node(TURN, said + END)])
        request.children += judge_nodes((), rng, count=1)
        category = rng.choice(CATEGORIES)
        asked = answer_question_node(answer_question(category, rng), answer=False)
        request.children.append(Node(f"{TURN}{said}", children=[asked]))
        root.children.append(request)
    return root


def short_answers_tree(scene: Scene, asked: Activity, rng: random.Random) -> Node:
    """A tree of questions about short answers to two requests, refusals among them."""
    root = Node(prefix(rng, picture=True))
    others = [each for each in activities().values() if each is not asked and each.applies(scene)]
    bad = [each for each in others if each.harms(scene)]
    others = bad if bad and rng.random() < 0.6 else others
    for activity in (asked, *rng.sample(others, min(len(others), 1))):
        question, base = question_of(activity, rng)
        refuse = rng.random() >= HELPED
        answer = forced_answer(activity, base, scene, rng, picture=True, refuse=refuse)
        chain = answer_chain(sentences_of(answer), scene, rng, asked=2, learned=False)
        root.children.append(Node(question, children=[chain]))
    return root
