"""What was decided is kept compactly: the latest ones, in this process or in a Redis."""

from __future__ import annotations

import pytest

from guardrail.serving.shelf import OwnShelf, SharedShelf, Shelf, packed, unpacked
from guardrail.shared.connection import SharedRedis

KEY = "k" * 16


@pytest.mark.parametrize("shared", [False, True], ids=["here", "shared"])
async def test_a_shelf_keeps_the_latest(shared: bool, request: pytest.FixtureRequest) -> None:
    shelf: Shelf = OwnShelf(capacity=2)
    if shared:
        found = SharedRedis(request.getfixturevalue("redis_url"), key=KEY)
        request.addfinalizer(found.close)
        shelf = SharedShelf(found, "thing", capacity=2)
    assert await shelf.swap("a", None, b"1")
    assert not await shelf.swap("a", None, b"2")
    await shelf.put("b", b"b")
    assert await shelf.swap("a", b"1", b"3")  # written last now
    await shelf.put("c", b"c")
    assert [await shelf.get(name) for name in "abc"] == [b"3", None, b"c"]


async def test_what_is_kept_here_is_bounded_in_bytes() -> None:
    shelf = OwnShelf(largest=200)
    for at in range(50):
        await shelf.put(str(at), packed({"at": at, "text": "x" * 1000}))
        assert shelf.size <= 200
    assert 1 < len(shelf) < 50
    last = await shelf.get("49")
    assert last is not None
    assert unpacked(last) == {"at": 49, "text": "x" * 1000}
    await shelf.put("49", packed({}))
    assert shelf.size < 200
    large = packed({"text": "".join(map(str, range(1000)))})
    await shelf.put("large", large)
    assert (len(shelf), shelf.size, await shelf.get("large")) == (1, len(large), large)
