"""The page: what it serves, what it refuses, and how it behaves in a browser."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guardrail.errors import AuditError
from guardrail.record.audit import AuditLog
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.page.report import write_report
from guardrail.record.audit.page.server import AuditServer, make_server
from guardrail.record.audit.queries import LogReader
from guardrail.record.decision import Candidate, StepRecord, WatchRecord
from guardrail.record.digests import CapturedTurn, Content, RequestDigests
from tests.record.audit.browser import CHROMIUM, Browser, axe_source
from tests.record.audit.making import KEY, decision
from tests.record.audit.markup import Page, assert_accessible
from tests.record.audit.watched import answered, logged, watching

SCRIPT = "<script>window.scripted=1</script><img src=x onerror=window.scripted=1>'\"&{{7*7}}"


@pytest.fixture(scope="module")
def server(thousand_path: Path) -> Iterator[AuditServer]:
    made = make_server(thousand_path, port=0, key=KEY)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.close()
    thread.join()


def get(
    server: AuditServer, path: str, *, method: str = "GET", host: str | None = None
) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{server.port}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def refused_seq(path: Path) -> int:
    with LogReader(path) as reader:
        return reader.decisions(Filter(action="refuse"), limit=1)[0].seq


def test_the_list_filters(server: AuditServer, thousand_path: Path) -> None:
    status, html, _ = get(server, "/?action=refuse")
    assert status == 200
    with LogReader(thousand_path) as reader:
        count = reader.count(Filter(action="refuse"))
    assert f"{count} decisions" in html
    rows = html.split("<tbody>")[-1]
    assert 'badge refuse"' in rows
    assert 'badge comply"' not in rows


def test_pages_of_the_list_hold_every_decision_once(server: AuditServer) -> None:
    path: str | None = "/?policy=baseline"
    seen: list[str] = []
    while path is not None:
        _, html, _ = get(server, path)
        seen += re.findall(r'href="/record/(\d+)"', html)
        older = re.search(r'href="(/\?[^"]*before=[^"]*)" rel="next"', html)
        path = older[1].replace("&amp;", "&") if older else None
    assert len(seen) == len(set(seen)) > 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/record/0", 200),
        ("/record/1", 200),
        ("/check", 200),
        ("/static/page.css", 200),
        ("/static/page.js", 200),
        ("/?since=2026-01-01T00:00&until=", 200),
        ("/?since=nonsense", 200),
        ("/?before=99999999999999999999", 200),
        ("/?action=%27%20OR%201=1--", 200),
        ("/record/99999", 404),
        ("/record/99999999999999999999999", 404),
        ("/record/-1", 404),
        ("/record/%C2%B2", 404),
        ("/static/../server.py", 404),
        ("/static/%2e%2e/server.py", 404),
        ("/nothing", 404),
    ],
)
def test_every_path_has_an_answer(server: AuditServer, path: str, status: int) -> None:
    found, _, headers = get(server, path)
    assert found == status
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(server: AuditServer, method: str) -> None:
    assert get(server, "/", method=method)[0] == 501


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example"]
)
def test_other_names_are_refused(server: AuditServer, host: str) -> None:
    assert get(server, "/", host=host)[0] == 403


def test_it_listens_on_this_machine_alone(server: AuditServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_taken_port_is_one_clear_error(server: AuditServer, thousand_path: Path) -> None:
    server_on = server.port
    with pytest.raises(AuditError, match=str(server_on)):
        _Strict(thousand_path, server_on)


def _Strict(path: Path, port: int) -> AuditServer:
    return make_server(path, port=port, key=None)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A log whose every text is an attack."""
    path = tmp_path / "hostile.db"
    top = [Candidate(token=SCRIPT, real=0.4, noised=float("nan"), guarded=7.0)]
    step = StepRecord(step=0, token=SCRIPT, token_unguarded=SCRIPT + "2", refusal_mass_before=0.1,
                      refusal_mass_after=0.2, top=top)  # fmt: skip
    given = decision(
        0, reasons=[SCRIPT], errors=[SCRIPT], rule=SCRIPT, category=SCRIPT, model=SCRIPT,
        trace_id=SCRIPT, steps=[step],
    )  # fmt: skip
    given = given.model_copy(
        update={
            "policy": given.policy.model_copy(update={"name": SCRIPT}),
            "verdict": given.verdict.model_copy(
                update={"categories": {SCRIPT: 0.5}, "source": SCRIPT}
            ),
            "watch": [
                WatchRecord(
                    tokens=8,
                    label="unsafe",
                    act="record",
                    category=SCRIPT,
                    categories={SCRIPT: 0.9},
                    rule=SCRIPT,
                    reasons=[SCRIPT],
                    error=SCRIPT,
                )
            ],
        }
    )
    turn = CapturedTurn(role=SCRIPT, text=SCRIPT, pictures=["javascript:alert(1)", SCRIPT],
                        tool_calls=[{SCRIPT: SCRIPT}])  # fmt: skip
    with AuditLog(path, key=KEY) as log:
        log.append(
            given,
            request=RequestDigests(question=SCRIPT, conversation=SCRIPT, pictures=[SCRIPT]),
            content=Content(turns=[turn], answer=SCRIPT),
        )
    return path


def test_text_of_a_request_cannot_become_markup(hostile: Path, tmp_path: Path) -> None:
    from guardrail.record.audit.page.views import decision_page, list_page

    with LogReader(hostile) as reader:
        record = reader.record(1)
        assert record is not None
        pages = [
            list_page(reader, {"action": SCRIPT, "since": SCRIPT}),
            decision_page(reader, record),
        ]
    write_report(hostile, tmp_path / "r.html", Filter(), key=KEY, limit=10)
    pages.append((tmp_path / "r.html").read_text())
    for html in pages:
        page = Page(html)
        assert page.all("img") == []
        assert all(set(given) == {"src", "defer"} for given in page.all("script"))
        assert not any(name.startswith("on") for _, given in page.tags for name in given)
        assert not any(
            "javascript:" in (value or "") for _, given in page.tags for value in given.values()
        )
        assert "49" not in re.findall(r"\{\{7\*7\}\}|>49<", html)


def test_the_report_loads_nothing_and_runs_nothing(thousand_path: Path, tmp_path: Path) -> None:
    write_report(thousand_path, tmp_path / "r.html", Filter(), key=KEY, limit=50)
    html = (tmp_path / "r.html").read_text()
    page = Page(html)
    assert page.all("script") == []
    assert [given["href"] for given in page.all("link")] == ["data:,"]
    assert "The log verifies" in html
    assert not re.search(r"https?://", html)


@pytest.mark.parametrize(
    "path", ["/", "/?action=refuse&chart=share", "/record/0", "/check", "/nothing", "refused"]
)
def test_pages_are_accessible(server: AuditServer, thousand_path: Path, path: str) -> None:
    html = get(server, f"/record/{refused_seq(thousand_path)}" if path == "refused" else path)[1]
    assert_accessible(html)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme: str) -> None:
    from guardrail.record.audit.page.views import static_file

    blocks = re.findall(r":root \{(.*?)\}", static_file("page.css"), re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))
    for ground in ("ground", "surface"):
        for name in ("text", "muted", "link", "comply", "plain", "refuse", "block", "escalate"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for name in ("real", "noised", "guarded", "a", "b", "c", "d", "e", "f", "mark"):
            assert contrast(colours[name], colours[ground]) >= 3, (name, ground)
    for name in ("bad-ground", "fine-ground"):
        assert contrast(colours["text"], colours[name]) >= 4.5
    assert contrast(colours["surface"], colours["link"]) >= 4.5


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path / "profile")
    yield made
    made.close()


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_person_filters_and_opens_a_decision(
    server: AuditServer, browser: Browser, tmp_path: Path, phone: bool, dark: bool
) -> None:
    browser.size(390 if phone else 1280, 844, phone=phone, dark=dark)
    browser.open(server.url)
    browser.screenshot(tmp_path / "list.png")
    choose = "f = document.querySelector('form'), f.elements.action.value = 'refuse', "
    browser.act(choose + "f.requestSubmit()")
    shown = browser.run(
        "[...document.querySelectorAll('.decisions .badge')].map(b => b.textContent)"
    )
    assert set(shown) == {"refuse"}
    browser.act("document.querySelector('.decisions a').click()")
    assert browser.run("document.querySelector('h1').textContent").startswith("refuse")
    assert browser.run("document.querySelectorAll('.step .triple').length") > 0
    browser.screenshot(tmp_path / "decision.png")
    for path in ("", "record/1", "check"):
        browser.open(server.url + path)
        wide = browser.run(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0
        over = browser.run(
            "[...document.querySelectorAll('section, .step')]"
            ".filter(each => each.scrollWidth > each.clientWidth).length"
        )
        assert over == 0
    assert browser.complaints() == []
    assert all(url.startswith((server.url, "data:")) for url in browser.requested())


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_source(tmp_path_factory.mktemp("axe"))


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_axe_finds_nothing_wrong(
    server: AuditServer, browser: Browser, axe: str, phone: bool, dark: bool
) -> None:
    browser.size(390 if phone else 1280, 844, phone=phone, dark=dark)
    paths = ("", "?action=refuse", "record/1", "record/2", "check", "record/999999999")
    # it did look
    assert max(looked(browser, axe, server.url + path) for path in paths) > 20


def looked(browser: Browser, axe: str, url: str) -> int:
    browser.open(url)
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    browser.run(f"{axe};0")
    found = browser.run(
        "axe.run().then(r => ({passes: r.passes.length, violations: r.violations.map("
        "v => [v.id, v.impact, v.help, v.nodes.map(n => n.html).slice(0, 3)])}))"
    )
    assert found["violations"] == [], url
    return int(found["passes"])


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_the_curve_of_a_watched_answer_fits_and_is_accessible(
    browser: Browser, axe: str, tmp_path: Path, phone: bool, dark: bool
) -> None:
    policy = watching(on_unsafe="record")
    made = answered(policy, (0.1, 0.5, 0.9, "the judge took longer than 10 s"))
    browser.size(390 if phone else 1280, 844, phone=phone, dark=dark)
    with closing(make_server(logged(tmp_path / "a.db", policy, made), port=0, key=KEY)) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        try:
            assert looked(browser, axe, found.url + "record/1") > 20
            browser.screenshot(tmp_path / "curve.png")
            seen = "[...document.querySelectorAll('.curve path.act')].map(e => e.classList[1])"
            assert browser.run(seen)[:4] == ["release", "release", "record", "end"]
            wide = "[document.documentElement, ...document.querySelectorAll('section')]"
            assert not browser.run(f"{wide}.some(each => each.scrollWidth > each.clientWidth)")
            assert browser.complaints() == []
        finally:
            found.shutdown()


@pytest.mark.slow
@needs_chromium
def test_a_person_needs_no_mouse(server: AuditServer, browser: Browser) -> None:
    browser.open(server.url)
    browser.press("j")
    browser.press("j")
    second = browser.run("document.activeElement.getAttribute('href')")
    assert second == browser.run(
        "document.querySelectorAll('.decisions a')[1].getAttribute('href')"
    )
    browser.press("Enter", leads_on=True)
    assert browser.run("location.pathname") == second
    browser.press("k", leads_on=True)
    assert browser.run("location.pathname") != second
    browser.press("u", leads_on=True)
    assert browser.run("location.pathname") == "/"
    browser.press("/")
    assert browser.run("document.activeElement.name") == "action"
    assert browser.complaints() == []


@pytest.mark.slow
@needs_chromium
def test_a_prompt_cannot_script_the_page(hostile: Path, browser: Browser) -> None:
    made = make_server(hostile, port=0, key=KEY)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        for path in ("", "record/1", "?since=%3Cscript%3Ewindow.scripted=1%3C/script%3E"):
            browser.open(made.url + path)
            assert browser.run("window.scripted") is None
        assert browser.complaints() == []
        assert all(url.startswith((made.url, "data:")) for url in browser.requested())
    finally:
        made.shutdown()
        made.close()
        thread.join()
