"""The rooms of the library and the arrows between them, as its imports draw them.

    python -m tests.rooms     prints the rooms floor by floor, and how many floors and circles

Every import counts: those inside functions and those for type checkers only, too.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "cli",
        "chat.agents serving",
        "chat evaluation bench",
        "steering shared",
        "judging",
        "record.telemetry record.audit backends.transformers backends.server embedded.training",
        "record backends embedded",
        "request",
        "policy",
        "errors",
    )
)
"""From the top down: a room may import from lower floors, and from no other room on its own.

`__init__` and `__main__` are the doors: they open on every room, and no room on them.
"""

DOORS = ("guardrail", "guardrail.__main__")
_INNER = sorted((room for layer in LAYERS for room in layer), key=len, reverse=True)


def library() -> grimp.ImportGraph:
    """The library's modules, and what each imports, outside packages included."""
    return grimp.build_graph("guardrail", include_external_packages=True, cache_dir=None)


def inside(graph: grimp.ImportGraph) -> list[str]:
    """The library's own modules."""
    return sorted(name for name in graph.modules if name.split(".")[0] == "guardrail")


def room_of(module: str) -> str | None:
    """The room that a module is in; None for the doors and for whatever stands in none."""
    for room in _INNER:
        if module == f"guardrail.{room}" or module.startswith(f"guardrail.{room}."):
            return room
    return None


def arrows(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    """For each room, the rooms that it imports from."""
    found: dict[str, set[str]] = {}
    for module in inside(graph):
        room = room_of(module)
        if room is None:
            continue
        targets = {room_of(each) for each in graph.find_modules_directly_imported_by(module)}
        found.setdefault(room, set()).update(each for each in targets if each not in (None, room))
    return found


def circle(edges: dict[str, set[str]]) -> list[str]:
    """The names of one circle; empty without any."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def floors(edges: dict[str, set[str]]) -> dict[str, int]:
    """For each room, one more than the highest floor that it imports from."""
    found: dict[str, int] = {}
    for room in TopologicalSorter(edges).static_order():
        found[room] = 1 + max((found[each] for each in edges.get(room, ())), default=0)
    return found


def main() -> None:
    """Prints the rooms."""
    graph = library()
    edges = arrows(graph)
    files = {each: graph.find_modules_directly_imported_by(each) for each in inside(graph)}
    for what, ring in (("rooms", circle(edges)), ("files", circle(files))):
        print(f"circle of {what}: {' -> '.join(ring) or 'none'}")
    if circle(edges):
        return
    placed = floors(edges)
    for floor in range(max(placed.values()), 0, -1):
        print(floor, "  ".join(sorted(room for room, at in placed.items() if at == floor)))
    print(f"{len(placed)} rooms on {max(placed.values())} floors")


if __name__ == "__main__":
    main()
