"""The library keeps its order: rooms on floors, arrows downwards, heavy packages in their place."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import tomllib

from tests.rooms import DOORS, LAYERS, arrows, circle, floors, inside, library, room_of

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "guardrail"
MOST_LINES = 350
HEAVY = {"torch", "transformers"}
RUNS_MODELS = {"backends.transformers", "embedded", "embedded.training"}
LANGCHAIN = {"langchain", "langchain_core", "langgraph"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return library()


def test_every_module_stands_in_a_room(graph: grimp.ImportGraph) -> None:
    loose = [each for each in inside(graph) if room_of(each) is None and each not in DOORS]
    assert loose == []
    assert sorted(path.name for path in LIBRARY.glob("*.py")) == [
        "__init__.py",
        "__main__.py",
        "errors.py",
    ]


def test_every_room_is_installed_with_its_pages() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    made = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in LIBRARY.rglob("__init__.py")
        if "training" not in path.parts
    }
    assert made == {each for each in tool["packages"] if each not in tool["package-dir"]}
    pages = {each for each in made if each.endswith(".page")}
    assert pages
    for each in pages:
        assert tool["package-data"][each] == ["templates/*.html", "static/*"]


def test_arrows_go_downwards_only(graph: grimp.ImportGraph) -> None:
    floor = {room: at for at, layer in enumerate(reversed(LAYERS)) for room in layer}
    upward = [
        (room, target)
        for room, targets in arrows(graph).items()
        for target in targets
        if floor[target] >= floor[room]
    ]
    assert upward == []
    assert set(arrows(graph)) == set(floor)


def test_nothing_goes_round_in_a_circle(graph: grimp.ImportGraph) -> None:
    files = {each: graph.find_modules_directly_imported_by(each) for each in inside(graph)}
    assert circle(files) == []
    assert circle(arrows(graph)) == []


def test_there_are_ten_floors_at_most(graph: grimp.ImportGraph) -> None:
    assert max(floors(arrows(graph)).values()) <= 10


def test_a_circle_and_an_upward_arrow_would_be_found() -> None:
    graph = library()
    graph.add_import(importer="guardrail.policy.rules", imported="guardrail.steering.safecode")
    files = {each: graph.find_modules_directly_imported_by(each) for each in inside(graph)}
    assert circle(files)
    assert "steering" in arrows(graph)["policy"]


def test_only_backends_know_torch_and_transformers(graph: grimp.ImportGraph) -> None:
    knowing = {
        room_of(module)
        for each in HEAVY
        for module in graph.find_modules_that_directly_import(each)
    }
    assert knowing == RUNS_MODELS


def test_only_chat_knows_langchain_but_for_a_chat_model_as_a_judge(
    graph: grimp.ImportGraph,
) -> None:
    knowing = {
        module
        for each in LANGCHAIN & set(graph.modules)
        for module in graph.find_modules_that_directly_import(each)
    }
    elsewhere = {module for module in knowing if room_of(module) not in ("chat", "chat.agents")}
    assert elsewhere == {"guardrail.judging.chat_judge"}


def test_what_made_the_model_is_not_imported_at_run_time(graph: grimp.ImportGraph) -> None:
    importers = {
        module
        for each in graph.find_descendants("guardrail.embedded.training")
        for module in graph.find_modules_that_directly_import(each)
    }
    assert {room_of(module) for module in importers} == {"embedded.training"}


def test_no_file_is_longer_than_a_reader_bears() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*LIBRARY.rglob("*.py"), *(ROOT / "adapters").glob("*.py")]
        if "training" not in path.parts
        and (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_the_page_of_rooms_names_every_room(graph: grimp.ImportGraph) -> None:
    page = (LIBRARY / "README.md").read_text("utf-8")
    for room in arrows(graph):
        assert f"| `{room.replace('.', '/')}" in page, room


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("guardrail", {"torch", "transformers", "langchain_core", "langchain", "numpy", "PIL"}),
        ("guardrail.policy", {"torch", "transformers", "langchain_core", "langchain", "PIL"}),
        ("guardrail.request.conversation", {"torch", "transformers", "langchain_core"}),
        ("guardrail.backends", {"torch", "transformers", "langchain_core"}),
        ("guardrail.judging.guard", {"torch", "transformers", "langchain_core"}),
        ("guardrail.steering.safecode", {"torch", "transformers", "langchain_core"}),
        ("guardrail.record.telemetry.tracing", {"torch", "transformers", "langchain_core"}),
        ("guardrail.adapters.idefics", {"torch", "transformers", "langchain_core"}),
    ],
)
def test_importing_a_room_loads_no_more_than_it_needs(module: str, forbidden: set[str]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert forbidden.isdisjoint(made.stdout.split())


def test_public_names_are_found_where_they_are_promised() -> None:
    import guardrail

    assert set(guardrail.__all__) == {
        "ChatSafeCoDe",
        "Decision",
        "Guard",
        "GuardrailMiddleware",
        "Policy",
        "SafeCoDe",
        "__version__",
        "load_policy",
    }
    for name in guardrail.__all__:
        assert getattr(guardrail, name) is not None
