"""Packs a tree of dialogue into one sequence in which branches do not see one another.

A path from root to leaf is exactly what the model sees at inference: same tokens, same
positions. The attention mask lets a token see its own node up to itself, and all of its
ancestors; a node's target is a leaf of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.embedded.training.trees import Node

IMAGE_TOKENS = 49
IGNORE = -100

IntArray = npt.NDArray[np.int64]


@dataclass
class Packed:
    """One packed tree.

    Attributes:
        ids: Token ids (length,).
        positions: Positions along each path (length,).
        nodes: Index of each token's node (length,).
        labels: Next token where it is learned, else `IGNORE` (length,).
        weights: Loss weight of each label (length,).
        ancestors: `ancestors[a, b]`: node a may see node b (nodes, nodes).
    """

    ids: IntArray
    positions: IntArray
    nodes: IntArray
    labels: IntArray
    weights: npt.NDArray[np.float32]
    ancestors: npt.NDArray[np.bool_]


class _Packer:
    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.image = tokenizer.token_to_id("<image>")
        self.rows: list[tuple[int, int, int, int, float]] = []
        self.parents: list[int] = []

    def encode(self, text: str) -> list[int]:
        """Token ids of a text."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def _node(self, parent: int) -> int:
        self.parents.append(parent)
        return len(self.parents) - 1

    def _teach(self, row: int, following: int, weight: float) -> None:
        """Makes a token learn what follows it."""
        token, position, owner, _, _ = self.rows[row]
        self.rows[row] = (token, position, owner, following, weight)

    def add(self, node: Node, parent: int, start: int, before: int = -1) -> None:
        """Appends a node, its target and its children.

        Args:
            node: The node.
            parent: Number of its parent; -1 for none.
            start: Its first position.
            before: Row of the parent's last token.
        """
        own = self._node(parent)
        ids = []
        for token in self.encode(node.text):
            ids += [token] * (IMAGE_TOKENS if token == self.image else 1)
        for offset, token in enumerate(ids):
            self.rows.append((token, start + offset, own, IGNORE, 0.0))
        last = len(self.rows) - 1
        if node.learned:
            self._teach(before, ids[0], node.weight)
            for row, token in zip(range(last + 1 - len(ids), last), ids[1:], strict=True):
                self._teach(row, token, node.weight)
        at = start + len(ids)
        if node.target:
            target = self.encode(node.target)
            self._teach(last, target[0], node.weight)
            leaf = self._node(own)
            for offset, token in enumerate(target[:-1]):
                self.rows.append((token, at + offset, leaf, target[offset + 1], node.weight))
        for child in node.children:
            self.add(child, own, at, last)

    def add_within(self, root: Node, limit: int) -> None:
        """Appends the root and those of its branches that fit into `limit` tokens."""
        self.add(Node(root.text), -1, 0)
        start = len(self.rows)
        for child in root.children:
            rows, parents = len(self.rows), len(self.parents)
            self.add(child, 0, start, start - 1)
            if len(self.rows) > limit:
                del self.rows[rows:], self.parents[parents:]


def pack(tree: Node, tokenizer: Any, *, limit: int = 100_000) -> Packed:
    """Packs a tree.

    Args:
        tree: The tree; its root holds the picture's placeholder, if any.
        tokenizer: A `tokenizers.Tokenizer`.
        limit: Branches of the root that would pass so many tokens are left out.
    """
    packer = _Packer(tokenizer)
    packer.add_within(tree, limit)
    count = len(packer.parents)
    ancestors = np.eye(count, dtype=np.bool_)
    for index, parent in enumerate(packer.parents):
        if parent >= 0:
            ancestors[index] |= ancestors[parent]
    ids, positions, nodes, labels, weights = (
        list(column) for column in zip(*packer.rows, strict=True)
    )
    return Packed(
        np.array(ids), np.array(positions), np.array(nodes), np.array(labels),
        np.array(weights, dtype=np.float32), ancestors,
    )  # fmt: skip


@dataclass
class Shown:
    """A picture and what it shows.

    Attributes:
        pixels: The picture (224, 224, 3).
        contents: Things, then places, as 0 and 1 (things and places,).
        patches: Things by patch: 1 there, 0 not there, -1 only touched (patches, things).

    Both labels are empty for a picture that nothing is learned from.
    """

    pixels: npt.NDArray[np.uint8]
    contents: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    patches: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))


@dataclass
class Sample:
    """A packed tree and its picture, if any."""

    packed: Packed
    shown: Shown | None = None


def collate_pictures(items: list[Shown]) -> dict[str, Any]:
    """Stacks pictures.

    Returns:
        `pictures` (pictures, 224, 224, 3), `contents` (pictures, things and places) and
        `patches` (pictures, patches, things); empty arrays for no pictures.
    """
    if not items:
        return {
            "pictures": np.zeros((0, 224, 224, 3), np.uint8),
            "contents": np.zeros((0, 0), np.float32),
            "patches": np.zeros((0, 0, 0), np.int8),
        }
    return {
        "pictures": np.stack([item.pixels for item in items]),
        "contents": np.stack([item.contents for item in items]),
        "patches": np.stack([item.patches for item in items]),
    }


def collate(items: list[Sample]) -> dict[str, Any]:
    """Pads packed trees to one batch.

    Returns:
        Arrays `ids`, `positions`, `labels`, `weights` (batch, length), `visible` (batch, 1,
        length, length), and in batch order what `collate_pictures` gives.
    """
    length = max(len(item.packed.ids) for item in items)
    length = -(-length // 16) * 16
    batch = len(items)
    out: dict[str, Any] = {
        "ids": np.zeros((batch, length), np.int64),
        "positions": np.zeros((batch, length), np.int64),
        "labels": np.full((batch, length), IGNORE, np.int64),
        "weights": np.zeros((batch, length), np.float32),
        "visible": np.zeros((batch, 1, length, length), np.bool_),
    }
    causal = np.tril(np.ones((length, length), np.bool_))
    for row, packed in enumerate(item.packed for item in items):
        n = len(packed.ids)
        for name in ("ids", "positions", "labels", "weights"):
            out[name][row, :n] = getattr(packed, name)
        seen = packed.ancestors[packed.nodes[:, None], packed.nodes[None, :]]
        out["visible"][row, 0, :n, :n] = seen & causal[:n, :n]
        out["visible"][row, 0, np.arange(length), np.arange(length)] = True
    return {**out, **collate_pictures([item.shown for item in items if item.shown])}
