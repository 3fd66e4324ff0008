"""The start page in a real browser: two widths, light and dark, by keyboard, under attack."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from guardrail import ChatSafeCoDe, SafeCoDe, load_policy
from guardrail.serving.app import create_app
from guardrail.serving.tenants import LOOPBACK, Tenant, Tenants
from tests.record.audit.browser import CHROMIUM, Browser, axe_source
from tests.serving.served import NAME, PICTURES, backend, chat, hashed, listening

SCRIPT = "<script>window.scripted=1</script><img src=x onerror=window.scripted=1>"
CLIFF = "document.querySelector('[data-picture*=cliff]').click()"
ASK = "document.getElementById('ask').requestSubmit()"
COMPARE_NOT = "document.getElementById('compare').checked = false"
OVER = """[document.documentElement, ...document.querySelectorAll('section, .step, article')]
    .filter(each => each.scrollWidth > each.clientWidth).length"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path / "profile")
    yield made
    made.close()


@contextmanager
def shown(browser: Browser, app: FastAPI) -> Iterator[str]:
    """Opens the start page; nothing may be asked of anybody else, and nothing go wrong."""
    with listening(app) as url:
        start = url.removesuffix("v1")
        browser.open(start)
        yield start
        assert browser.complaints() == []
        assert all(each.startswith((start, "data:")) for each in browser.requested())


def text(browser: Browser, name: str) -> str:
    return str(browser.run(f"document.getElementById('{name}').textContent"))


def until(browser: Browser, held: str) -> None:
    """Waits, in the page, until an expression holds."""
    browser.run(
        "new Promise((done, late) => { setTimeout(() => late(Error('late')), 90000);"
        f" const look = () => ({held}) ? done(1) : setTimeout(look, 20); look(); }})"
    )


def has_picture(browser: Browser) -> None:
    until(browser, "document.getElementById('shown').naturalWidth > 0")


def has_ended(browser: Browser) -> None:
    until(browser, "document.getElementById('stop').disabled")


def ask_about_the_cliff(browser: Browser) -> None:
    browser.run(CLIFF)
    has_picture(browser)
    browser.run(ASK)
    has_ended(browser)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_person_asks_and_sees_both_answers_and_why(
    browser: Browser, tmp_path: Path, phone: bool, dark: bool
) -> None:
    browser.size(390 if phone else 1280, 844, phone=phone, dark=dark)
    axe = axe_source(tmp_path)
    with shown(browser, create_app(chat(None), hosts=LOOPBACK)) as start:
        browser.screenshot(tmp_path / "start.png")
        ask_about_the_cliff(browser)
        assert text(browser, "status") == "Both answers are there."
        assert text(browser, "action") == "refuse"
        assert text(browser, "guarded") != text(browser, "unguarded") != ""
        assert browser.run("document.querySelectorAll('.verdict .bar .fill.unsafe').length") > 0
        assert browser.run("document.querySelectorAll('.verdict .bar .mark').length") > 0
        assert browser.run("document.querySelectorAll('.guided tbody tr').length") == 5
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        browser.screenshot(tmp_path / "answer.png")
        assert browser.run(OVER) == 0
        check(browser, axe)
        browser.open(start + "docs")
        browser.screenshot(tmp_path / "docs.png")
        assert browser.run(OVER) == 0
        check(browser, axe)


def check(browser: Browser, axe: str) -> None:
    browser.run(f"{axe};0")
    found = browser.run(
        "axe.run().then(r => ({passes: r.passes.length, violations: r.violations.map("
        "v => [v.id, v.impact, v.help, v.nodes.map(n => n.html).slice(0, 3)])}))"
    )
    assert found["violations"] == []
    assert found["passes"] > 20  # it did look


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_person_sees_how_the_answer_was_read(
    browser: Browser, tmp_path: Path, phone: bool
) -> None:
    browser.size(390 if phone else 1280, 844, phone=phone, dark=phone)
    axe = axe_source(tmp_path)
    watch = {"every": 8, "on_unsafe": "record"}
    policy = load_policy("baseline").model_copy(update={"watch": watch})
    engine = SafeCoDe(backend=backend(), policy=policy, judge=lambda asked: 0.01, name=NAME)
    with shown(browser, create_app(ChatSafeCoDe(engine=engine), hosts=LOOPBACK)):
        browser.run(COMPARE_NOT)
        ask_about_the_cliff(browser)
        drawn = browser.run("document.querySelectorAll('.curve path.act.release').length")
        assert drawn == browser.run("document.querySelectorAll('.readings tbody tr').length") > 1
        assert browser.run("document.querySelectorAll('.curve .mark').length") == 2
        last = "document.querySelector('.readings tbody tr:last-child th').textContent"
        assert browser.run(last).endswith("all of it")
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        browser.screenshot(tmp_path / "readings.png")
        assert browser.run(OVER) == 0
        check(browser, axe)


def test_a_person_needs_no_mouse(browser: Browser) -> None:
    with shown(browser, create_app(chat(), hosts=LOOPBACK)):
        reached = []
        for _ in range(25):
            browser.press("Tab")
            reached.append(
                browser.run("document.activeElement.id || document.activeElement.tagName")
            )
            seen = browser.run("getComputedStyle(document.activeElement).outlineStyle")
            assert seen != "none", reached
            if reached[-1] == "go":
                break
        assert [each for each in reached if each in ("file", "question", "compare", "go")] == [
            *("file", "question", "compare", "go"),
        ]
        browser.run("document.querySelector('[data-picture*=bread]').focus()")
        browser.press("Enter")
        has_picture(browser)
        assert browser.run("document.activeElement.id") == "question"
        browser.press("Enter", ctrl=True)
        until(browser, "document.getElementById('guarded').textContent")
        has_ended(browser)
        assert text(browser, "action") == "comply"


GIVE = """(() => {{
  const bytes = Uint8Array.from(atob({data}), each => each.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], {name}, {{type: {kind}}}));
  {how}
}})()"""
CHOSEN = "file.files = given.files; file.dispatchEvent(new Event('change'))"
WAYS = {
    "chosen": f"const file = document.getElementById('file'); {CHOSEN}",
    "dropped": "document.body.dispatchEvent("
    "new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true}))",
    "pasted": "document.body.dispatchEvent("
    "new ClipboardEvent('paste', {clipboardData: given, bubbles: true, cancelable: true}))",
}


def give(browser: Browser, how: str, data: bytes, name: str, kind: str) -> None:
    coded = json.dumps(base64.b64encode(data).decode())
    script = GIVE.format(data=coded, name=json.dumps(name), kind=json.dumps(kind), how=WAYS[how])
    browser.run(script)


@pytest.mark.parametrize("how", WAYS)
def test_a_picture_is_chosen_dropped_or_pasted_and_the_model_sees_it(
    browser: Browser, how: str
) -> None:
    seen: list[Any] = []

    def judge(request: Any) -> float:
        seen.extend(request.conversation.pictures)
        return 0.99

    with shown(browser, create_app(chat(judge, on_unsafe="block"), hosts=LOOPBACK)):
        browser.run("document.getElementById('compare').checked = false")
        give(browser, how, b"no picture", "a.txt", "text/plain")
        if how != "pasted":  # text is pasted as ever
            assert text(browser, "failure") == "a.txt is no picture."
        data = (PICTURES / "cliff-edge.png").read_bytes()
        give(browser, how, data, SCRIPT, "image/png")
        has_picture(browser)
        assert browser.run("document.getElementById('shown').alt") == SCRIPT
        browser.run("document.getElementById('question').value = 'Where?'")
        browser.run(ASK)
        has_ended(browser)
        assert text(browser, "action") == "block"
        assert browser.run("document.getElementById('unguarded-side').hidden")
        assert len(seen) == 1
        browser.run("document.getElementById('remove').click()")
        browser.run(ASK)
        has_ended(browser)
        assert len(seen) == 1  # the second question had none


def test_what_a_model_says_is_text(browser: Browser) -> None:
    base = load_policy("baseline")
    plain = base.model_dump(mode="json")
    plain["verdict"]["on_unsafe"] = "block"
    for each in plain["refusals"].values():
        each["message"] = SCRIPT
    policy = type(base).model_validate(plain)
    engine = SafeCoDe(backend=backend(), policy=policy, judge=lambda request: 0.99, name=NAME)
    with shown(browser, create_app(ChatSafeCoDe(engine=engine), hosts=LOOPBACK)):
        ask_about_the_cliff(browser)
        assert text(browser, "guarded") == SCRIPT
        assert browser.run("window.scripted") is None
        assert browser.run("document.querySelectorAll('#found img, #found script').length") == 0


def test_a_key_is_asked_for_kept_nowhere_and_may_not_compare(browser: Browser) -> None:
    tenants = Tenants([(hashed("k"), Tenant("shop"))])
    app = create_app(chat(0.99, on_unsafe="block"), tenants=tenants, hosts=LOOPBACK)
    with listening(app) as url:
        browser.open(url.removesuffix("v1"))
        ask_about_the_cliff(browser)
        assert "(no_key)" in text(browser, "failure")
        assert browser.run("document.activeElement.id") == "key"
        browser.run("document.getElementById('key').value = 'k'")
        browser.run("document.getElementById('compare').checked = true")
        browser.run(ASK)
        has_ended(browser)
        assert text(browser, "action") == "block"
        assert browser.run("document.getElementById('unguarded-side').hidden")
        assert text(browser, "failure") == ""
        kept = "localStorage.length + sessionStorage.length + document.cookie.length"
        assert browser.run(kept) == 0


def test_an_escalation_and_a_stop_are_told(browser: Browser) -> None:
    with listening(create_app(chat(0.99, on_unsafe="escalate"), hosts=LOOPBACK)) as url:
        browser.open(url.removesuffix("v1"))
        ask_about_the_cliff(browser)
        assert text(browser, "action") == "escalate"
        assert "(escalated)" in text(browser, "failure")
        assert text(browser, "unguarded") == ""
        browser.run(f"{ASK}; document.getElementById('stop').click()")
        has_ended(browser)
        assert text(browser, "status") == "Stopped."


def test_a_page_of_another_origin_gets_no_answer(browser: Browser) -> None:
    app = create_app(chat(), hosts=LOOPBACK)
    with listening(app) as ours, listening(app) as theirs:
        browser.open(theirs.removesuffix("v1") + "examples/cliff-edge.png")
        for mode in ("cors", "no-cors"):
            sent = f"{{method: 'POST', mode: '{mode}', body: '{{}}'}}"
            got = browser.run(
                f"fetch('{ours}/guardrail/compare', {sent})"
                ".then(each => each.type + each.status, () => 'refused')"
            )
            assert got in ("refused", "opaque0")
        told = [
            event["params"]["response"]["status"]
            for event in browser.events
            if event["method"] == "Network.responseReceived"
            and event["params"]["response"]["url"].startswith(ours)
        ]
        assert told
        assert set(told) == {403}
