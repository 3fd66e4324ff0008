"""What is valid in a policy and probably not meant.

Each check is a function that yields findings; a finding has the place in the file that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from guardrail.policy.innocent import INNOCENT, OTHER_LANGUAGES
from guardrail.policy.loader import Loaded
from guardrail.policy.message import in_language
from guardrail.policy.nodes import Mark
from guardrail.policy.policy import Policy
from guardrail.policy.refusals import RefusalMatcher, normalised
from guardrail.policy.rules import CategoryRule
from guardrail.policy.schema import Vocabulary
from guardrail.policy.suggest import did_you_mean, listed, quoted
from guardrail.policy.terms import LOCAL, RULE_FIELDS
from guardrail.policy.watch import NO_WATCH

FEW_TOKENS = 8
"""Readings of the answer that lie closer than this are noted."""

Level = Literal["warning", "note"]
Encode = Callable[[str], list[int]]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class LintFinding:
    """Something to look at.

    Attributes:
        level: `warning`, probably a mistake; `note`, worth knowing.
        check: The check's name, such as `phrase-collides`.
        message: One sentence.
        mark: The place it is about.
    """

    level: Level
    check: str
    message: str
    mark: Mark

    def __str__(self) -> str:
        return f"{self.mark}: {self.level}: {self.message} [{self.check}]"


def lint(loaded: Loaded, encode: Encode | None = None) -> list[LintFinding]:
    """Returns the findings on a loaded policy, in the order of its files.

    Args:
        loaded: What to look at.
        encode: A tokenizer's encoder without special tokens, to check the refusal phrases against
            the model that they are for as well.
    """
    checks = (
        _phrases,
        _languages,
        _tokens,
        _categories,
        _locks,
        _settings,
        _screen,
        _session,
        _watch,
    )
    found = [
        LintFinding(level, check, message, _mark(loaded, path))
        for each in checks
        for level, check, path, message in each(loaded.policy, encode)
    ]
    return sorted(found, key=lambda f: (f.mark.file, f.mark.line or 0, f.mark.column or 0))


_Found = Iterator[tuple[Level, str, Path, str]]


def _mark(loaded: Loaded, path: Path) -> Mark:
    node = loaded.document.at(path)
    return node.key_mark if node.key_mark is not None and len(path) < 3 else node.mark


def _phrases(policy: Policy, encode: Encode | None) -> _Found:
    for language, vocabulary in policy.refusals.items():
        innocent = [(text, normalised(text)) for text in INNOCENT.get(language[:2], ())]
        for index, phrase in enumerate(vocabulary.phrases):
            matches = RefusalMatcher([phrase])
            hit = next((text for text, folded in innocent if matches(folded)), None)
            if hit is not None:
                yield (
                    "warning",
                    "phrase-collides",
                    ("refusals", language, "phrases", index),
                    f"the phrase {quoted(phrase)} begins innocent answers, too, such as "
                    f"{quoted(hit)}: make it longer",
                )
        yield from _shared_words(policy, language, vocabulary)


def _shared_words(policy: Policy, language: str, vocabulary: Vocabulary) -> _Found:
    """Steering touches the first token of a phrase: in another language it may be everyday."""
    others = [code for code in policy.refusals if code[:2] != language[:2]]
    everyday = {
        normalised(text).split(" ")[0].rstrip(","): code
        for code in others
        for text in OTHER_LANGUAGES.get(code[:2], ())
    }
    words = (normalised(phrase).split(" ")[0].rstrip(",") for phrase in vocabulary.phrases)
    shared = sorted({word for word in words if word in everyday})
    if shared:
        yield (
            "note",
            "phrase-shares-word",
            ("refusals", language),
            f"phrases in {language} begin with {listed(map(quoted, shared))}, as do ordinary "
            f"answers in {everyday[shared[0]]}: keep the languages apart with a selection",
        )


def _languages(policy: Policy, encode: Encode | None) -> _Found:
    default = Vocabulary()
    if policy.language[:2] != "en" and in_language(policy.refusals, policy.language) is None:
        why = f"language is {policy.language}, in which there are no refusals: add them, or the"
        yield "warning", "language-missing", ("language",), f"{why} policy's words are English"
    for language, vocabulary in policy.refusals.items():
        foreign = language[:2] != "en"
        if foreign and vocabulary.message == default.message:
            yield (
                "warning",
                "message-missing",
                ("refusals", language),
                f"refusals.{language} has phrases and no message of its own: a blocked request "
                "would be answered in English",
            )
        elif foreign and vocabulary.unchecked == default.unchecked:
            yield (
                "warning",
                "message-missing",
                ("refusals", language),
                f"refusals.{language} has no `unchecked` words of its own: a request that could "
                "not be judged would be answered in English",
            )
        lacking = [
            category.id
            for category in policy.categories
            if language not in category.reason and category.id not in vocabulary.reasons
        ]
        if lacking:
            yield (
                "warning",
                "reason-missing",
                ("refusals", language),
                f"no reason in {language} for {listed(lacking)}: add refusals.{language}.reasons",
            )


def _tokens(policy: Policy, encode: Encode | None) -> _Found:
    """Checks each phrase against the tokenizer, in which the engine follows it."""
    if encode is None:
        return
    for language, vocabulary in policy.refusals.items():
        innocent = [(text, encode(text)) for text in INNOCENT.get(language[:2], ())]
        for index, phrase in enumerate(vocabulary.phrases):
            tokens = encode(phrase)
            place: Path = ("refusals", language, "phrases", index)
            hit = next((t for t, ids in innocent if tokens == ids[: len(tokens)]), None)
            if not tokens:
                yield (
                    "warning",
                    "phrase-unspeakable",
                    place,
                    f"the tokenizer has no tokens for the phrase {quoted(phrase)}: take it out",
                )
            elif hit is not None:
                yield (
                    "warning",
                    "phrase-collides",
                    place,
                    f"in this tokenizer, the phrase {quoted(phrase)} is the beginning of ordinary "
                    f"words, such as {quoted(hit)}: make it longer",
                )


def _categories(policy: Policy, encode: Encode | None) -> _Found:
    questions: dict[str, str] = {}
    for index, (category, rule) in enumerate(zip(policy.categories, policy.rules, strict=True)):
        place: Path = ("categories", index)
        if (why := _never_fires(rule)) is not None:
            yield "warning", "never-fires", place, f"category {category.id} can never fire: {why}"
        elif rule.unsafe_at == rule.safe_below:
            yield (
                "note",
                "no-uncertainty",
                place,
                f"category {category.id} is never uncertain: unsafe_at and safe_below are both "
                f"{rule.unsafe_at:g}",
            )
        if rule.unsafe_at == 0:
            why = "unsafe_at is 0, so every request is unsafe"
            yield "warning", "always-fires", place, f"category {category.id} always fires: {why}"
        asked = normalised(category.question)
        if asked in questions:
            why = f"category {category.id} asks the same question as {questions[asked]}"
            yield "warning", "same-question", place, why
        questions.setdefault(asked, category.id)


def _never_fires(rule: CategoryRule) -> str | None:
    reached = {rule.actions["unsafe"]}
    if rule.unsafe_at != rule.safe_below:
        reached.add(rule.actions["uncertain"])
    if reached == {rule.actions["safe"]}:
        return f"whatever its verdict, the action is {rule.actions['safe']}"
    if rule.unsafe_at == 1 and not rule.leans and rule.actions["uncertain"] == rule.actions["safe"]:
        return "unsafe_at is 1, which needs a probability of exactly 1"
    return None


def _locks(policy: Policy, encode: Encode | None) -> _Found:
    general = {f"verdict.{field}": field for field in RULE_FIELDS}
    for index, lock in enumerate(policy.locked):
        fields = RULE_FIELDS if lock == "verdict" else (general.get(lock),)
        for category in policy.categories:
            own = [
                field
                for field in fields
                if field is not None
                and getattr(category, field) not in (None, getattr(policy.verdict, field))
            ]
            if own:
                yield (
                    "warning",
                    "lock-overridden",
                    ("locked", index),
                    f"{lock} is locked, but category {category.id} has its own {listed(own)}: "
                    f"what is locked there is the category's value",
                )


def _settings(policy: Policy, encode: Encode | None) -> _Found:
    steers = policy.modulation.form != "off"
    if steers and policy.modulation.scale == "confidence":
        yield from _weak_refusals(policy)
    if policy.verdict.on_error in ("comply", "plain"):
        yield (
            "note",
            "error-permits",
            ("verdict", "on_error"),
            f"on_error: {policy.verdict.on_error} answers requests that could not be judged",
        )
    if steers and not policy.phrases:
        why = "there are no refusal phrases, so nothing can be steered: extend refusals/en"
        yield "warning", "no-phrases", ("modulation",), why
    if policy.contrast.guided_steps == 0 and (steers or policy.contrast.when != "never"):
        why = "guided_steps is 0, so neither contrast nor modulation applies"
        yield "warning", "no-steps", ("contrast", "guided_steps"), why
    if policy.judge.contrast.looks and policy.judge.kind not in LOCAL:
        why = f"a judge of kind {policy.judge.kind} is asked once: its contrast does nothing"
        yield "warning", "contrast-ignored", ("judge", "contrast"), why


def _screen(policy: Policy, encode: Encode | None) -> _Found:
    screen = policy.judge.screen
    others = {each.id for each in policy.categories}.difference(screen.covers)
    for index, name in enumerate(screen.covers):
        near = did_you_mean(name, others)  # one that is merely not there may have been taken out
        if near and all(name != rule.id for rule in policy.rules):
            why = f"judge.screen.covers names {quoted(name)}, which is no category{near}"
            place: Path = ("judge", "screen", "covers", index)
            yield "warning", "screen-covers-nothing", place, why
    above: dict[Path, CategoryRule] = {}
    for index, (category, rule) in enumerate(zip(policy.categories, policy.rules, strict=True)):
        if rule.id in screen.covers and screen.below > rule.safe_below:
            own = category.safe_below is not None
            at: Path = ("categories", index) if own else ("verdict", "safe_below")
            above.setdefault(at, rule)
    for at, rule in above.items():
        why = f"judge.screen.below {screen.below:g} is above safe_below {rule.safe_below:g}"
        yield "warning", "screen-unsafe", at, f"{why} ({rule.id}): what it spares is not safe there"


def _session(policy: Policy, encode: Encode | None) -> _Found:
    session, after = policy.session, policy.session.after_refusal
    if session.memory == "off":
        if session.tightens or session.decay != 1.0:
            why = "session.memory is off, so nothing else in session applies: set memory: max"
            yield "warning", "session-ignored", ("session",), why
        return
    if session.decay == 0:
        why = "session.decay is 0, so no probability is remembered past its own request"
        yield "warning", "session-ignored", ("session", "decay"), why
    for field in ("unsafe_at", "safe_below"):
        lowered = getattr(after, field)
        own = [getattr(rule, field) for rule in policy.rules]
        if lowered is not None and lowered >= max(own):
            why = f"session.after_refusal.{field} {lowered:g} lowers no category's {field}"
            yield "warning", "session-ignored", ("session", "after_refusal", field), why


def _watch(policy: Policy, encode: Encode | None) -> _Found:
    watch = policy.watch
    if watch.is_off:
        if watch != NO_WATCH:
            why = "watch.every is 0, so the answer is not watched and nothing else in watch applies"
            yield "note", "watch-ignored", ("watch",), why
        return
    if watch.every < FEW_TOKENS:
        why = f"watch.every is {watch.every}: readings every few tokens cost much"
        yield "note", "watch-costs", ("watch", "every"), f"{why}; {FEW_TOKENS} or more cost less"
    if watch.release == "immediate" and watch.on_unsafe in ("replace", "end"):
        why = f"on_unsafe: {watch.on_unsafe} cannot take back what release: immediate has let out"
        yield "warning", "watch-too-late", ("watch", "release"), f"{why}: set release: judged"
    if watch.safe_below == 0 and watch.on_unsafe != "record" and watch.release == "judged":
        why = "watch.safe_below is 0, so nothing is released before the answer is over"
        yield "warning", "watch-never-releases", ("watch", "safe_below"), why
    if watch.unsafe_at == 0:
        why = "watch.unsafe_at is 0, so every reading is unsafe"
        yield "warning", "always-fires", ("watch", "unsafe_at"), why
    if not {"watch", "watch.every"} & set(policy.locked):
        for index, lock in enumerate(policy.locked):
            if lock.startswith("watch."):
                why = f"{lock} is locked and watch.every is not: it may be set to 0, which is off"
                yield "note", "watch-unlocked", ("locked", index), f"{why}; lock watch"


def _weak_refusals(policy: Policy) -> _Found:
    """An uncertain verdict has confidence 0, and so has what scales with it."""
    weak = {
        index: rule
        for index, rule in enumerate(policy.rules)
        if rule.action_at("uncertain", rule.unsafe_at) == "refuse"
    }
    for index, rule in weak.items():
        own = "uncertain" in rule.own
        place: Path = ("categories", index, "on_uncertain") if own else ("verdict", "on_uncertain")
        yield (
            "warning",
            "refuses-weakly",
            place,
            f"on_uncertain: {'lean' if rule.leans else 'refuse'} has no strength with scale: "
            f"confidence, which is 0 for an uncertain verdict ({rule.id}): set modulation.scale: "
            "fixed",
        )
