"""The server's own pages: what they say, what they may load, and that they are markup of ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from guardrail import ChatSafeCoDe, SafeCoDe
from guardrail.record.audit.page.views import source_hash
from guardrail.record.version import __version__
from guardrail.serving.app import create_app
from guardrail.serving.page.examples import EXAMPLES
from guardrail.serving.page.reference import operations_of, shapes_of
from guardrail.serving.page.views import reference_page
from guardrail.serving.tenants import LOOPBACK, Tenant, Tenants
from tests.record.audit.markup import Page, assert_accessible
from tests.serving.served import backend, chat, client, hashed

ROOT = Path(__file__).parents[3]
SCRIPT = "<script>window.scripted=1</script><img src=x onerror=window.scripted=1>'\"&{{7*7}}"
KEYS = Tenants([(hashed("k"), Tenant("shop"))])


def html(path: str = "/", app: Any = None, **sent: str) -> str:
    found = client(app).get(path, headers=sent)
    assert found.status_code == 200
    return found.text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_may_load_and_run_what_it_holds_and_nothing_else(path: str) -> None:
    found = client().get(path)
    policy = found.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"unsafe-|https?:|\*", policy)
    for directive in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert directive in policy
    [style] = re.findall(r"<style>(.*?)</style>", found.text, re.S)
    assert f"style-src '{source_hash(style)}';" in policy
    scripts = re.findall(r"<script>(.*?)</script>", found.text, re.S)
    assert len(scripts) == (path == "/")
    for script in scripts:
        assert f"script-src '{source_hash(script)}';" in policy
    assert ("script-src" in policy) == bool(scripts)
    page = Page(found.text)
    loaded = [tag.get("src") or "" for tag in (*page.all("img"), *page.all("script"))]
    assert all(each.startswith("examples/") for each in loaded if each)
    assert [each["href"] for each in page.all("link")] == ["data:,"]
    assert not any(name.startswith("on") or name == "style" for _, on in page.tags for name in on)


@pytest.mark.parametrize("path", ["/", "/docs", "/examples/cliff-edge.png"])
def test_other_sites_may_not_use_a_page(path: str) -> None:
    found = client().head(path)
    assert found.status_code == 200
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["cross-origin-resource-policy"] == "same-origin"
    assert client().get(path, headers={"host": "evil.test"}).status_code == 403
    assert client().post(path).status_code == 405


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("tenants", [None, KEYS])
def test_pages_are_accessible(path: str, tenants: Tenants | None) -> None:
    assert_accessible(html(path, create_app(chat(), tenants=tenants, hosts=LOOPBACK)))


def test_the_start_page_says_what_runs_without_a_script() -> None:
    found = re.sub(r"<script>.*?</script>", "", html(host="localhost:8080"), flags=re.S)
    policy = chat().engine.policy_for()
    for said in (
        __version__,
        ">embedded<",
        f">{policy.name}</span>, version {policy.version}",
        policy.digest[:12],
        "not needed",
        "ready, 0 under way",
        "curl -s http://localhost:8080/v1/chat/completions",
        'href="openapi.json"',
        "<noscript>",
    ):
        assert said in found, said
    assert 'type="password"' not in found
    assert "$KEY" not in found


def test_where_keys_are_needed_the_page_asks_for_one_and_needs_none_itself() -> None:
    found = html(app=create_app(chat(), tenants=KEYS))
    [field] = [each for each in Page(found).all("input") if each["type"] == "password"]
    assert field["autocomplete"] == "off"
    assert "name" not in field
    assert "authorization: Bearer $KEY" in found
    [compare] = [each for each in Page(found).all("input") if each["id"] == "compare"]
    assert "checked" not in compare


@pytest.mark.parametrize(("compares", "fields"), [(True, 1), (False, 0)])
def test_comparing_is_offered_where_it_can_be_had(compares: bool, fields: int) -> None:
    page = Page(html(app=create_app(chat(), hosts=LOOPBACK, compares=compares)))
    assert len([each for each in page.all("input") if each["id"] == "compare"]) == fields


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_a_server_that_does_not_guard_says_so(mode: str) -> None:
    made = chat()
    made.mode = mode
    assert f"The mode is <b>{mode}</b>: answers are not guarded" in html(app=create_app(made))
    assert "are not guarded" not in html()


def test_names_cannot_become_markup() -> None:
    engine = SafeCoDe(backend=backend(), policy="baseline", name=SCRIPT)
    page = Page(html(app=create_app(ChatSafeCoDe(engine=engine), hosts=LOOPBACK)))
    assert len(page.all("script")) == 1
    assert all(each.get("src") != "x" for each in page.all("img"))
    described = {
        "paths": {"/" + SCRIPT: {"get": {"summary": SCRIPT, "description": f"{SCRIPT}`{SCRIPT}`"}}},
        "components": {"schemas": {SCRIPT: {"properties": {SCRIPT: {"const": SCRIPT}}}}},
    }
    page = Page(reference_page(described).html)
    assert page.all("script") == page.all("img") == []


@pytest.mark.parametrize("host", ["a'$(reboot)", "a;b", "<b>", "a b"])
def test_an_address_that_a_shell_would_run_is_not_shown(host: str) -> None:
    found = html(app=create_app(chat()), host=host)
    [address] = re.findall("curl -s (.*)/v1/chat/completions", found)
    assert re.fullmatch(r"http://[\w.:]+", address)


def test_every_path_and_every_shape_is_described() -> None:
    app = create_app(chat(), hosts=LOOPBACK)
    api, found = client(app).get("/openapi.json").json(), html("/docs", app)
    assert "/v1/guardrail/compare" in api["paths"]
    assert "/docs" not in api["paths"]
    for path in api["paths"]:
        assert f"<code>{path}</code></h2>" in found
    links = {each["href"] for each in Page(found).all("a")}
    ids = {given.get("id") for _, given in Page(found).tags}
    assert {f"#shape-{name}" for name in ("ChatBody", "Message", "Call")} <= links
    assert all(each[1:] in ids for each in links if each is not None and each.startswith("#"))
    assert "HTTPValidationError" not in api["components"]["schemas"]
    started = {each["href"] for each in Page(html(app=app)).all("a")}
    ours = {each.removeprefix("docs#") for each in started if each and "docs#" in each}
    assert len(ours) == len(operations_of(api))
    assert ours <= ids


def test_a_description_becomes_rows() -> None:
    api = {
        "paths": {
            "/a/{id}": {
                "post": {
                    "description": "Does\nit.\n\nAnd `more`.",
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
                    ],
                    "requestBody": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/B"}}
                        }
                    },
                }
            }
        },
        "components": {
            "schemas": {
                "B": {
                    "required": ["n"],
                    "properties": {
                        "n": {"anyOf": [{"type": "number", "minimum": 0.0}, {"type": "null"}]},
                        "each": {"type": "array", "items": {"$ref": "#/components/schemas/B"}},
                        "kind": {"enum": ["a", "b"], "default": "a"},
                    },
                }
            }
        },
    }
    [operation] = operations_of(api)
    assert (operation.method, operation.summary, operation.more) == (
        "POST",
        "Does it.",
        ("And `more`.",),
    )
    assert operation.body == (("B", "B"),)
    assert [(each.name, each.place, each.required) for each in operation.parameters] == [
        ("id", "path", True)
    ]
    [shape] = shapes_of(api)
    kinds = ["".join(text for text, _ in each.kind) for each in shape.fields]
    assert kinds == ["number or null", "list of B", '"a" or "b"']
    assert [each.required for each in shape.fields] == [True, False, False]
    assert (shape.fields[0].limits, shape.fields[2].default) == ("at least 0", '"a"')


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_ship_with_the_package(name: str) -> None:
    found = client().get(f"/examples/{name}.png")
    assert found.headers["content-type"] == "image/png"
    assert found.content == (ROOT / "examples" / "pictures" / f"{name}.png").read_bytes()


@pytest.mark.parametrize("name", ["none", "..%2f..%2fpyproject", "%2e%2e/agent", "drum-practice"])
def test_no_other_file_is_shown(name: str) -> None:
    assert client().get(f"/examples/{name}.png").status_code == 404


def test_the_script_stores_nothing_and_makes_no_markup() -> None:
    [script] = re.findall(r"<script>(.*?)</script>", html(), re.S)
    wrong = (
        "innerHTML|outerHTML|insertAdjacentHTML|document.write|eval|Storage|cookie|indexedDB|://"
    )
    assert set(re.findall(wrong, script)) <= {"://"}
    assert re.findall(r"\w+://[^\"']+", script) == ["http://www.w3.org/2000/svg"]


@pytest.mark.slow
def test_a_wheel_holds_the_pages(tmp_path: Path) -> None:
    unmade = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", "tests")
    clone = shutil.copytree(ROOT, tmp_path / "clone", ignore=unmade)  # no build before this one
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), "."]
    subprocess.run(build, cwd=clone, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    folder = ROOT / "guardrail" / "serving"
    ours = {
        str(path.relative_to(ROOT))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert len(ours) > 15
    assert ours <= held
