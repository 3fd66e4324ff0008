"""Every public name is on a page of the reference."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.snippets import pages, snippets

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "guardrail": "guardrail/__init__.py",
    "guardrail.backends": "guardrail/backends/__init__.py",
    "guardrail.backends.server": "guardrail/backends/server/__init__.py",
    "guardrail.evaluation": "guardrail/evaluation/__init__.py",
    "guardrail.policy": "guardrail/policy/__init__.py",
    "guardrail.record.audit": "guardrail/record/audit/__init__.py",
    "guardrail.shared": "guardrail/shared/__init__.py",
}
# The same thing by its room's name, which pages may use as well.
ELSEWHERE = {
    "guardrail.chat.agents.GuardrailMiddleware": "guardrail.GuardrailMiddleware",
    "guardrail.policy.Policy": "guardrail.Policy",
    "guardrail.policy.load_policy": "guardrail.load_policy",
}
ON_PAGES = {
    name
    for page in (ROOT / "docs" / "reference" / "api").glob("*.md")
    for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
}
CODE = [
    *(
        (f"{page.name}:{each.line}", each.text)
        for page in pages(ROOT)
        for each in snippets(page.read_text("utf-8"))
        if each.language == "python"
    ),
    *(
        (str(path.relative_to(ROOT)), path.read_text("utf-8"))
        for folder in ("examples", "adapters")
        for path in (ROOT / folder).glob("*.py")
    ),
]


def exported(source: str) -> list[str]:
    for each in ast.parse((ROOT / source).read_text("utf-8")).body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__":
            return list(ast.literal_eval(each.value))
    raise AssertionError(f"{source} has no __all__")


@pytest.mark.parametrize("module", PUBLIC)
def test_every_exported_name_is_on_a_page(module: str) -> None:
    names = [f"{module}.{name}" for name in exported(PUBLIC[module])]
    assert [each for each in names if ELSEWHERE.get(each, each) not in ON_PAGES] == []


def test_every_error_is_on_a_page() -> None:
    source = ast.parse((ROOT / "guardrail" / "errors.py").read_text("utf-8"))
    errors = [each.name for each in source.body if isinstance(each, ast.ClassDef)]
    assert "Escalation" in errors
    assert [each for each in errors if f"guardrail.errors.{each}" not in ON_PAGES] == []


def test_what_pages_examples_and_adapters_import_is_on_a_page() -> None:
    imported = {
        f"{each.module}.{alias.name}": where
        for where, text in CODE
        for each in ast.walk(ast.parse(text))
        if isinstance(each, ast.ImportFrom) and (each.module or "").split(".")[0] == "guardrail"
        for alias in each.names
    }
    assert "guardrail.ChatSafeCoDe" in imported
    inner = {
        name: where
        for name, where in imported.items()
        if ELSEWHERE.get(name, name) not in ON_PAGES
        and not name.startswith("guardrail.adapters.")  # adapters beside each other
    }
    assert inner == {}
