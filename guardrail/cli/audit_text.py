"""How `guardrail audit` looks in a terminal: it lays out what the log holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from guardrail.cli.plain_text import visible
from guardrail.cli.reading_text import bar, readings, rereading
from guardrail.policy.evidence_words import evidence_in_words
from guardrail.record.audit.folder import Checked
from guardrail.record.audit.queries import Summary
from guardrail.record.audit.record import AuditRecord
from guardrail.record.audit.replay import Replay
from guardrail.record.audit.verification import Verification
from guardrail.record.decision import Decision, StepRecord
from guardrail.record.failure import Failure

HEADING = f"{'place':>8}  {'time (UTC)':<19}  {'action':<8}  {'p':>5}  {'category':<24}  policy"


_ANSWERED = ("comply", "plain")
_WITHHELD = ("blocked", "escalated")
"""How an answer ends that the policy withheld, all or some of it."""


def line(found: Summary) -> str:
    """Returns a decision in one line."""
    p = f"{found.p_unsafe:.2f}" if found.p_unsafe is not None else "-"
    when = found.time[:19].replace("T", " ")
    category = visible(found.category or found.error or "-")
    said = [found.mode] if found.mode not in ("", "enforce") else []
    if found.action in _ANSWERED and found.finish in _WITHHELD:
        said.append(f"answer {found.finish}")
    noted = f" ({', '.join(said)})" if said else ""
    return (
        f"{found.seq:>8}  {when}  {found.action:<8}  {p:>5}  {category:<24}  "
        f"{visible(found.policy or '-')}{noted}"
    )


def record(found: AuditRecord) -> Iterator[str]:
    """Yields one record as lines."""
    yield f"record {found.seq} ({found.kind}), {found.time}"
    if found.created is not None:
        created = found.created
        yield f"  log {created.log}, signed with {created.algorithm} key {created.key}"
    if found.checkpoint is not None:
        yield f"  stands for {found.checkpoint.records} records, through {found.checkpoint.through}"
    if found.failure is not None:
        yield from _failure(found.failure)
    decision = found.decision
    if decision is None:
        return
    yield f"  request   {decision.request_id}"
    for category, view in decision.verdict.views.items():
        yield f"  view      {visible(category)}: {visible(view)}"
    for said in evidence_in_words(decision.verdict.believed()):
        yield f"  evidence  {visible(said)}"
    policy = decision.policy
    yield f"  policy    {visible(policy.name)} ({policy.digest[:12]}), {decision.mode}"
    yield f"  action    {decision.action}" + (f" by {decision.rule}" if decision.rule else "")
    if found.kind == "decision":
        refused = {True: ", refused", False: ", did not refuse", None: ""}[decision.outcome.refused]
        replaced = ", by the policy's words" if decision.outcome.replaced else ""
        yield f"  outcome   {decision.outcome.finish_reason}{refused}{replaced}{_ended(decision)}"
    else:
        yield "  outcome   not known when this was written"
    if decision.cached_from is not None:
        yield f"  cached    the answer to request {decision.cached_from}, given again"
    if decision.review is not None:
        word = "approved" if decision.review.approved else "rejected"
        who = f" by {visible(decision.review.by)}" if decision.review.by else ""
        word += "" if decision.review.honoured else " (not honoured)"
        yield f"  review    {word}{who}, request {decision.review.request_id}"
    for reason in decision.reasons:
        yield f"  because   {visible(reason)}"
    for error in decision.errors:
        yield f"  error     {visible(error)}"
    label = decision.verdict.label
    yield f"  verdict   {label or 'not judged'} ({visible(decision.verdict.source)})"
    width = max((len(name) for name in decision.verdict.categories), default=0)
    for name, p in decision.verdict.categories.items():
        yield f"    {visible(name):<{width}}  {p:5.3f}  {bar(p)}{_against(found, name)}"
    for step in decision.steps:
        yield from _step(step)
    yield from readings(found)
    if found.request is not None:
        yield f"  question  digest {found.request.question[:16]}"
        for digest in found.request.pictures:
            yield f"  picture   digest {digest[:16]}"
    if found.content is not None:
        for turn in found.content.turns:
            yield f"  {turn.role:<9} {visible(turn.text, keep_newlines=False)}"
        yield f"  answer    {visible(found.content.answer or '', keep_newlines=False)}"


def _ended(decision: Decision) -> str:
    reading = decision.ended_by
    return "" if reading is None else f", by the reading at {reading.tokens} tokens"


def _failure(failure: Failure) -> Iterator[str]:
    yield f"  request   {failure.request_id}"
    policy = failure.policy
    if policy is not None:
        mode = f", {failure.mode}" if failure.mode else ""
        yield f"  policy    {visible(policy.name)} ({policy.digest[:12]}){mode}"
    yield f"  failed    {visible(failure.error_type)}: {visible(failure.reason)}"
    if failure.detail is not None:
        yield f"  detail    {visible(failure.detail, keep_newlines=False)}"
    yield "  outcome   not judged, nothing generated"


def stats(found: dict[str, Any]) -> Iterator[str]:
    """Yields counts as lines."""
    first, last = found["first_time"] or "-", found["last_time"] or "-"
    yield f"{found['decisions']} decisions, {first} to {last}"
    if found["unfinished"]:
        yield f"{found['unfinished']} requests were opened and have no end on record"
    if found.get("failures"):
        total = sum(found["failures"].values())
        kinds = ", ".join(f"{visible(name)} {count}" for name, count in found["failures"].items())
        yield f"{total} requests failed before they could be judged: {kinds}"
    for name in ("action", "label", "category", "policy", "mode", "finish"):
        counts = ", ".join(f"{visible(str(key))} {count}" for key, count in found[name].items())
        yield f"  {name:<9} {counts or '-'}"
    if found["readings"]:
        acts = ", ".join(f"{visible(act)} {count}" for act, count in found["readings"].items())
        yield f"  readings  {acts}"
    rate = found["refusal_rate"]
    yield f"  refused   {'-' if rate is None else f'{rate:.1%} of the answers'}"
    times = found["total_ms"]
    if times["p50"] is not None:
        yield f"  time      median {times['p50']:.0f} ms, 95% within {times['p95']:.0f} ms"


def verification(found: Verification) -> Iterator[str]:
    """Yields a check's result as lines."""
    if found.problem is not None:
        yield f"NOT VERIFIED: {visible(found.problem.message)}"
        if found.as_written:
            yield f"records {found.first} to {found.last} are as they were written"
        return
    yield f"verified: {found.records} records, {found.first} to {found.last}"
    if found.pruned:
        yield f"a signed checkpoint stands for {found.pruned} records before them"
    if found.continues is not None:
        link = found.continues
        yield f"it continues the log {visible(link.log)} after record {link.seq} ({link.hash})"
    if found.key is not None:
        yield f"signatures checked with key {found.key}"
    else:
        yield "only hashes were checked: whoever alters a log can compute them again"
    yield f"anchor {found.anchor}"


def folder(found: Checked) -> Iterator[str]:
    """Yields what was found of each log in a folder, a line each, and then of all."""
    width = max(len(visible(name)) for name, _ in found.logs)
    for name, each in found.logs:
        named = f"{visible(name):<{width}}"
        if each.problem is not None:
            yield f"NOT VERIFIED  {named}  {visible(each.problem.message)}"
        else:
            pruned = f", {each.pruned} pruned" if each.pruned else ""
            yield f"verified      {named}  {each.records} records{pruned}, anchor {each.anchor}"
    failed = sum(not each.ok for _, each in found.logs)
    yield f"{len(found.logs)} logs, {failed} not verified" if failed else f"{len(found.logs)} logs"
    if not all(each.signed for _, each in found.logs):
        yield "only hashes were checked: whoever alters a log can compute them again"
    if found.others:
        yield f"no logs: {', '.join(map(visible, found.others))}"


def replay(found: Replay, limit: int) -> Iterator[str]:
    """Yields what another policy changes as lines."""
    yield f"{found.decided} decided again under {visible(found.policy)} ({found.digest[:12]})"
    if found.unjudged:
        yield f"{found.unjudged} without a verdict were left out"
    for name, count in found.unasked.items():
        yield f"{count} were not judged on {name}: to this policy, that is unavailable"
    if found.otherwise:
        yield (
            f"{found.otherwise} were contrasted otherwise than by this policy: what its judge "
            "would have said of them is not known"
        )
    if found.unmeasured:
        yield (
            f"{found.unmeasured} comply only if the judge is competent there, which was not "
            "measured: they are taken at their word"
        )
    for (old, new), count in sorted(found.actions.items()):
        yield f"  {old:<8} -> {new:<8} {count:>7}" + ("" if old != new else "  (as before)")
    yield f"{len(found.changes)} would change"
    for change in found.changes[:limit]:
        yield (
            f"  {change.seq:>8}  {change.time[:19].replace('T', ' ')}  {change.action} -> "
            f"{change.new_action}: {visible(change.reason)}"
        )
    if len(found.changes) > limit:
        yield f"  and {len(found.changes) - limit} more (--limit, --json)"
    yield from rereading(found.watched, limit)


def _against(found: AuditRecord, category: str) -> str:
    limits = (found.thresholds or {}).get(category)
    if limits is None:
        return ""
    return f"  safe below {limits.safe_below:g}, unsafe at {limits.unsafe_at:g}"


def _step(step: StepRecord) -> Iterator[str]:
    changed = (
        "" if step.token == step.token_unguarded else f" instead of {_token(step.token_unguarded)}"
    )
    mass = f"refusal mass {step.refusal_mass_before:.3f} -> {step.refusal_mass_after:.3f}"
    yield f"  step {step.step}    {_token(step.token)}{changed}, {mass}"
    for each in step.top:
        noised = f"{each.noised:.3f}" if each.noised is not None else "  -  "
        numbers = f"real {each.real:.3f}  noised {noised}  guarded {each.guarded:.3f}"
        yield f"    {_token(each.token):<16}  {numbers}"


def _token(token: str) -> str:
    return repr(visible(token, keep_newlines=False))
