"""How far one answer has been read and cleared, and what has been given out of it.

It knows what an answer says and how long it is. It reads nothing and rules on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from guardrail.judging.draft import Draft
from guardrail.judging.reply import Reply
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.watch import Watch
from guardrail.request.delta import Delta

UNTURNED = "this answer cannot be steered in its middle: the policy's words end it"
"""What is on record where `watch.on_unsafe: steer` has to be done otherwise."""

_EARLY = 0.75
"""From which part of the distance between two readings on the end of a sentence brings the next."""

_ENDS = (".", "!", "?", "…", "\n", "。", "！", "？", "।", "؟", "۔")
_CLOSING = "\"')]}*_”’»」』）"


@dataclass
class Watched:
    """One answer that is watched.

    Attributes:
        draft: Its record.
        watch: What the policy says of it.
        acts: Whether what is ruled is done; in `shadow` it is only recorded.
        may_turn: Whether the model can be steered in the middle of an answer; where it cannot, and
            where it was already, the policy's words stand for a refusal of its own.
        held: What has been said and not been given out.
    """

    draft: Draft
    watch: Watch
    acts: bool
    may_turn: bool = False
    held: list[Delta] = field(default_factory=list)
    _read_at: int = 0
    _over: bool = False
    _given: Reply = field(default_factory=Reply)

    @property
    def withholds(self) -> bool:
        """Whether nothing goes out before it has been cleared."""
        return self.acts and self.watch.release == "judged"

    def is_due(self, *, over: bool) -> bool:
        """Whether the answer is to be read now.

        Args:
            over: Whether it is whole.
        """
        reply = self.draft.reply
        more = reply.generated - self._read_at
        if more <= 0 or reply.replaced or not reply.whole:
            return False
        if over or more >= self.watch.every:
            return True
        return more >= _EARLY * self.watch.every and _ends_a_sentence(reply.whole)

    def take(self, deltas: list[Delta]) -> list[Delta]:
        """Takes what has been said; returns what of it goes out at once."""
        self.held += deltas
        return [] if self.withholds else self._give(over=False)

    def rule(self, ruling: WatchRuling, *, over: bool) -> list[Delta]:
        """Takes what was ruled on the answer up to here; returns what goes out.

        Where it does not go on, `draft.halt` says so, and `draft.reply` is what is left of it: what
        has gone out, and after it the policy's words where these take the rest's place.

        Args:
            ruling: What the policy made of it.
            over: Whether the answer is whole.
        """
        self._read_at = self.draft.reply.generated
        if not self.acts or ruling.clears:
            return self._give(over=over)
        if ruling.act == "hold":
            return []
        turns = ruling.act == "steer" and self._can_turn(over=over)
        self.draft.halt = ruling
        if not turns and ruling.act in ("replace", "steer"):
            return self.in_words()
        self.cut()
        if not turns:
            self._over = True
            self.draft.finish = "escalated" if ruling.act == "escalate" else "blocked"
        return []

    def _can_turn(self, *, over: bool) -> bool:
        if not self.may_turn:
            self.draft.note_error(UNTURNED)
        return self.may_turn and not over and self.draft.halt is None

    def in_words(self) -> list[Delta]:
        """Puts the policy's words in the place of what has not gone out; returns them."""
        self._over = True
        if self.draft.finish != "cancelled":
            self.draft.finish = "blocked"
        self.cut()
        words = self.space + self.draft.refusal
        self.draft.reply = self.draft.reply.followed_by(words)
        return [Delta(words)]

    @property
    def space(self) -> str:
        """What stands between what has gone out and what follows instead of the rest."""
        return "\n\n" if self._given.text else ""

    @property
    def is_left_open(self) -> bool:
        """Whether something was said that nobody has cleared: the request was given up before."""
        reply = self.draft.reply
        unread = reply.generated > self._read_at and bool(reply.whole) and not reply.replaced
        return self.acts and not self._over and (unread or bool(self.held))

    def cut(self) -> None:
        """Leaves of the answer what has gone out."""
        draft, given = self.draft, self._given
        self.held = []
        draft.reply = given.cut(draft.reply.generated)
        draft.steps = draft.steps[: len(given.token_ids)]  # they spell what was not cleared

    def _give(self, *, over: bool) -> list[Delta]:
        """Lets go of what was said: of a call, and what stands beside it, not before the end."""
        if self.acts and not over and any(each.call is not None for each in self.held):
            return []
        given, self.held = self.held, []
        self._given = self.draft.reply.copied()
        return given


def _ends_a_sentence(text: str) -> bool:
    return text.rstrip(" ").rstrip(_CLOSING).endswith(_ENDS)
