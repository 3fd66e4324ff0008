"""An approval holds for one escalated request: once, for its content and policy, for a while."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from guardrail.errors import SettingsError
from guardrail.judging.approvals import (
    KEY_VARIABLE,
    Approvals,
    UsedApprovals,
    content_digest,
)
from guardrail.judging.guard import Guard
from guardrail.policy import Policy, load_policy
from guardrail.policy.review import Review
from guardrail.record.answer import Judgement
from guardrail.record.decision import Decision
from guardrail.record.memory import ruling_again
from guardrail.request.answer_form import AnswerForm
from guardrail.request.conversation import Conversation, Picture, Turn, question
from tests.families import picture

KEY = "a key of sixteen bytes or more"
ID = "0" * 32
ASKED = question("How do I climb?", [Picture(picture(0), "a")], session="s")


def policy(**verdict: Any) -> Policy:
    base = load_policy("baseline")
    changed = {**base.verdict.model_dump(), "on_unsafe": "escalate", **verdict}
    return base.model_copy(update={"verdict": changed})


def guard(**options: Any) -> Guard:
    return Guard(**{"policy": policy(), "judge": lambda _: 0.9, **options})


def approval(of: Judgement, **changes: Any) -> Review:
    given = {"request_id": of.decision.request_id, "approved": True, "token": of.token, **changes}
    return Review(**given)


def refused(judged: Judgement, why: str) -> bool:
    """Whether an approval did not count, and the record says why."""
    decision = judged.decision
    assert decision.review is not None
    assert why in decision.errors[0]
    assert decision.model_dump(mode="json")["review"]["honoured"] is False
    return judged.withheld and decision.action == "escalate"


def test_an_approval_holds_once() -> None:
    judges = guard()
    first = judges.decide(ASKED)
    assert first.token
    passed = judges.decide(ASKED, review=approval(first))
    assert (passed.withheld, passed.decision.action, passed.token) == (False, "plain", "")
    again = judges.decide(ASKED, review=approval(first))
    assert refused(again, "it was used already")
    assert again.token != first.token
    assert not judges.decide(ASKED, review=approval(again)).withheld


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"token": None}, "no token"),
        ({"token": ""}, "no token"),
        ({"token": "x"}, "its token is none"),
        ({"token": "1.x"}, "not that of this request"),
        ({"token": "x." + "0" * 64}, "its token is none"),
        ({"token": "9" * 100 + ".x"}, "its token is none"),
        ({"token": "²." + "0" * 64}, "its token is none"),
        ({"request_id": ID}, "not that of this request"),
        ({"request_id": ID, "token": None, "honoured": True}, "no token"),
    ],
)
def test_an_approval_that_nobody_was_asked_for_is_not_honoured(changes: Any, why: str) -> None:
    judges = guard()
    first = judges.decide(ASKED)
    assert refused(judges.decide(ASKED, review=approval(first, **changes)), why)
    assert not judges.decide(ASKED, review=approval(first)).withheld  # it is still good


def test_a_token_of_another_time_is_none() -> None:
    judges = guard()
    first = judges.decide(ASKED)
    issued, mac = first.token.split(".")
    for other in (int(issued) - 1, int(issued) + 1):
        review = approval(first, token=f"{other}.{mac}")
        assert refused(judges.decide(ASKED, review=review), "not that of this request")


CLIMB = {"type": "function", "function": {"name": "climb"}}
OTHERS = [
    question("How do I climb", [Picture(picture(0), "a")]),
    question("How do I climb?", [Picture(picture(1), "b")]),
    question("How do I climb?"),
    question("How do I climb?", [Picture(picture(0), "a")], system="Be kind."),
    replace(ASKED, tools=(CLIMB,)),
    replace(ASKED, form=AnswerForm(schema={"type": "object"})),
    replace(ASKED, turns=(*ASKED.turns, Turn("assistant", (), ({"name": "f", "arguments": {}},)))),
    replace(ASKED, turns=(replace(ASKED.turns[0], role="system"),)),
    Conversation((Turn("user", (*ASKED.turns[0].parts[:1], "How do", " I climb?")),)),
]


@pytest.mark.parametrize("other", OTHERS)
def test_an_approval_holds_for_its_content_alone(other: Conversation) -> None:
    judges = guard()
    first = judges.decide(ASKED)
    assert refused(judges.decide(other, review=approval(first)), "not that of this request")
    assert not judges.decide(ASKED, review=approval(first)).withheld


def test_contents_have_digests_of_their_own_that_do_not_change() -> None:
    digests = [content_digest(each) for each in (ASKED, *OTHERS)]
    assert len(set(digests)) == len(digests)
    same = replace(ASKED, session="another")
    assert content_digest(same) == digests[0]
    assert content_digest(question("a")) == (
        "7431203e76fc6e53b018e55098ccea8b3987ca1833638cd14ea7f41a6ab38edf"
    )  # in every process


def test_an_approval_holds_for_its_policy_alone() -> None:
    judges = guard()
    first = judges.decide(ASKED)
    stricter = policy(unsafe_at=0.5)
    judged = judges.decide(ASKED, policy=stricter, review=approval(first))
    assert refused(judged, "not that of this request")


def test_an_approval_expires() -> None:
    now = [1000.0]
    approvals = Approvals(lifetime_s=60, clock=lambda: now[0], ledger=UsedApprovals())
    for later, why in ((60.0, None), (61.5, "older than 60 s"), (-90.0, "too early")):
        now[0] = 1000.0
        token = approvals.issue(f"{int(later) % 97:032x}", ASKED, "p")
        review = Review(request_id=f"{int(later) % 97:032x}", approved=True, token=token)
        now[0] = 1000.0 + later
        found = approvals.refusal(review, ASKED, "p")
        assert found is None if why is None else why in str(found)


def test_a_key_that_is_shared_lets_another_process_honour_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("guardrail.judging.approvals._PROCESS_KEY", b"the first process's key")
    alone = guard()
    lost, kept = alone.decide(ASKED), guard(approval_key=KEY).decide(ASKED)
    monkeypatch.setattr("guardrail.judging.approvals._PROCESS_KEY", b"the second process's key")
    judged = guard().decide(ASKED, review=approval(lost))
    assert refused(judged, f"made in another process: {KEY_VARIABLE} lets processes share a key")
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert not guard().decide(ASKED, review=approval(kept)).withheld
    assert refused(guard().decide(ASKED, review=approval(kept)), "it was used already")


def test_a_ledger_that_is_shared_makes_an_approval_single() -> None:
    ledger = UsedApprovals()
    one, other = (guard(approval_key=KEY, approval_ledger=ledger) for _ in range(2))
    first = one.decide(ASKED)
    assert not one.decide(ASKED, review=approval(first)).withheld
    assert refused(other.decide(ASKED, review=approval(first)), "it was used already")


def test_an_approval_is_used_once_by_many_threads() -> None:
    judges = guard()
    first = judges.decide(ASKED)
    withheld: list[bool] = []

    def decide() -> None:
        withheld.append(judges.decide(ASKED, review=approval(first)).withheld)

    threads = [threading.Thread(target=decide) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(withheld) == [False, *[True] * 7]


def test_a_full_or_failing_ledger_honours_nothing() -> None:
    class Failing:
        def use(self, token: str, until: float) -> bool:
            raise ConnectionError("secret")

    full = UsedApprovals(capacity=1)
    for ledger, why in ((full, "is full"), (Failing(), "failed (ConnectionError)")):
        judges = guard(approval_ledger=ledger)
        full.use("another", 9e12)
        first = judges.decide(ASKED)
        assert refused(judges.decide(ASKED, review=approval(first)), why)


def test_a_ledger_forgets_what_has_expired_and_nothing_else() -> None:
    now = [0.0]
    ledger = UsedApprovals(capacity=2, clock=lambda: now[0])
    assert ledger.use("a", 10)
    assert ledger.use("b", 20)
    now[0] = 15.0
    assert ledger.use("c", 25)
    assert not ledger.use("b", 20)
    with pytest.raises(SettingsError, match="full"):
        ledger.use("d", 30)


def test_a_rejection_needs_no_token_and_uses_one_up() -> None:
    judges = guard()
    first = judges.decide(ASKED)
    for token in (None, "x", first.token):
        judged = judges.decide(ASKED, review=approval(first, approved=False, token=token))
        assert (judged.decision.action, judged.decision.errors) == ("block", [])
    assert refused(judges.decide(ASKED, review=approval(first)), "it was used already")


def test_a_forged_approval_takes_nothing_out_of_a_sessions_memory() -> None:
    judges = guard(
        policy=policy(on_unsafe="block").model_copy(
            update={"session": {**policy().session.model_dump(), "memory": "max"}}
        ),
        judge=lambda request: 0.9 if "climb" in request.conversation.turns[-1].text else 0.0,
    )
    before = judges.decide(ASKED)
    forged = Review(request_id=before.decision.request_id, approved=True)
    later = judges.decide(question("hello", session="s"), review=forged)
    assert later.decision.session is not None
    assert later.decision.action == "block"


def test_a_token_is_in_no_record_and_a_record_is_ruled_as_it_was() -> None:
    judges = guard()
    first = judges.decide(ASKED)
    passed = judges.decide(ASKED, review=approval(first))
    again = judges.decide(ASKED, review=approval(first))
    mac = first.token.split(".")[1]
    for judged in (first, passed, again):
        plain = judged.decision.model_dump_json()
        assert mac not in plain + repr(judged) + repr(judged.decision)
        found = Decision.model_validate_json(plain)
        verdict = judges.policy
        ruling = ruling_again(verdict, _verdict(found), found)
        assert ruling.action == found.action
    old = json.loads(passed.decision.model_dump_json())
    del old["review"]["honoured"]  # as it was written before approvals had tokens
    assert ruling_again(judges.policy, _verdict(passed.decision), Decision(**old)).action == "plain"


def _verdict(decision: Decision) -> Any:
    from guardrail.policy.verdict import Verdict

    return Verdict(decision.verdict.categories, source=decision.verdict.source)


def test_what_is_escalated_in_shadow_or_off_has_no_token() -> None:
    judges = guard()
    for mode in ("shadow", "off"):
        chosen: Any = mode
        assert judges.decide(ASKED, mode=chosen).token == ""


@pytest.mark.parametrize(
    "options",
    [{"key": "short"}, {"lifetime_s": 0}, {"lifetime_s": float("inf")}, {"lifetime_s": -1}],
)
def test_a_key_or_lifetime_that_protects_nothing_is_refused(options: Any) -> None:
    with pytest.raises(SettingsError):
        Approvals(**options)
