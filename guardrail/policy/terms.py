"""The words of a policy: its actions, labels and modes, and how they are ordered."""

from __future__ import annotations

from typing import Final, Literal

Action = Literal["comply", "refuse", "plain", "block", "escalate"]
Uncertain = Literal[Action, "lean"]
"""What may be asked for of an uncertain verdict: `lean` is what is asked for on its side."""
Label = Literal["safe", "uncertain", "unsafe", "unavailable"]
Mode = Literal["enforce", "shadow", "off"]
Counterfactual = Literal["noise", "grey", "mean", "photo-noise"]
"""What the picture is contrasted with: itself with noise (where the model sees it, or on the
photograph before it is resized), a grey one, or its own mean colour."""

LOCAL: Final = frozenset({"self", "caption", "model"})
"""Kinds of judges that are looked at in turn: others are taken at their word, and asked once."""

Evidence = Literal["familiar", "picture", "none"]
"""What a judge's competence is measured by."""
MEASURED: Final[dict[Evidence, frozenset[str]]] = {
    "familiar": frozenset({"request", "description"}),
    "picture": frozenset({"pictures"}),
}
"""The parts that each kind of evidence has, as a verdict names them."""

AnswerAction = Literal["replace", "end", "steer", "escalate", "record"]
"""What a policy may ask for where a reading of the growing answer is unsafe."""
Act = Literal["release", "hold", AnswerAction]
"""What is done after a reading of the growing answer."""
Release = Literal["judged", "immediate"]
Thinking = Literal["shown", "withheld"]
"""What becomes of the thinking that an answer begins with."""

# From the most permissive to the strictest.
ACTIONS: Final[tuple[Action, ...]] = ("comply", "plain", "refuse", "escalate", "block")
STRICTNESS: Final[dict[Action, int]] = {action: rank for rank, action in enumerate(ACTIONS)}

# From the mildest to the strictest. What is released or recorded goes out; what is held or steered
# may yet go out, what is escalated if a human says so; what is ended does not, and what is
# replaced is told so in the policy's words.
ACTS: Final[tuple[Act, ...]] = (
    *("release", "record", "hold", "steer"),
    *("escalate", "end", "replace"),
)
STRICTNESS_OF_ACT: Final[dict[Act, int]] = {act: rank for rank, act in enumerate(ACTS)}
CLEARING: Final[frozenset[Act]] = frozenset({"release", "record"})
"""Acts by which an answer may go out up to where it was read."""

# From the mildest to the most severe.
LABELS: Final[tuple[Label, ...]] = ("safe", "uncertain", "unsafe", "unavailable")
SEVERITY: Final[dict[Label, int]] = {label: rank for rank, label in enumerate(LABELS)}

FIELD_OF_LABEL: Final[dict[Label, str]] = {
    "safe": "on_safe",
    "uncertain": "on_uncertain",
    "unsafe": "on_unsafe",
    "unavailable": "on_error",
}
RULE_FIELDS: Final = ("unsafe_at", "safe_below", *FIELD_OF_LABEL.values())
WORDS: Final = frozenset(
    (
        *(*ACTIONS, *LABELS, "enforce", "shadow", "off", "default", "paper", "phrase", "always"),
        *("published-code", "opening"),
        *("at-stake", "never", "confidence", "fixed", "fail", "continue", "on_error", "max"),
        *("lean", "familiar", "picture", "mirror", "none"),
        *("noise", "grey", "mean", "photo-noise"),
        *(*ACTS, "judged", "immediate", "shown", "withheld"),
    )
)
"""What fields take of a closed choice: no such word gives away whose file it stands in."""
