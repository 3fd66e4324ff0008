"""How unlike those that a model was tried on a request is, and what a reference's file may hold."""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from sklearn.covariance import LedoitWolf

from guardrail.errors import JudgeError
from guardrail.judging.reference import FEWEST, LARGEST, Floats, Reference

SMALL = Reference(
    token_ids=np.array([3, 5]),
    mean=np.array([0.0, 1.0]),
    precision=np.array([[1.0, 0.0], [0.0, 4.0]]),
    distances=np.array([1.0, 4.0, 9.0]),
    surprisals=np.array([0.5, 1.0, 1.0, 2.0]),
    shapes={"1 picture": 4, "no picture": 2},
    about={"model": "by hand"},
)
HELD: Mapping[str, Any] = {
    "token_ids": SMALL.token_ids,
    **{
        name: getattr(SMALL, name).astype(np.float32)
        for name in ("mean", "precision", "distances", "surprisals")
    },
}


def drawn(count: int, *, seed: int, tokens: int = 5, shift: float = 0.0) -> Floats:
    """Log-probabilities of requests of one kind: heavy-tailed, and tokens that go together."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(tokens, tokens))
    found: Floats = rng.standard_t(5, size=(count, tokens)) @ mixing - 4 + shift
    return found


def fitted(count: int = 1000, *, seed: int = 1) -> Reference:
    surprisals = np.random.default_rng(seed).exponential(size=count)
    return Reference.fit(
        [3, 5, 8, 9, 11], drawn(count, seed=seed), surprisals.tolist(), {"a": "b"}, shapes={}
    )


def written(path: Path, *, about: Any = None, **changed: Any) -> Path:
    """A reference's file with something in it changed; what is None is left out."""
    held = {name: each for name, each in {**HELD, **changed}.items() if each is not None}
    said = {"version": 1, "shapes": {"1 picture": 2}} if about is None else about
    path.write_bytes(save(held, metadata={"guardrail_reference": json.dumps(said)}))
    return path


# p-values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.9])
def test_requests_of_the_same_kind_have_uniform_p_values(seed: int, share: float) -> None:
    reference = fitted(4000, seed=seed)
    p = np.array(reference.p_requests(drawn(4000, seed=100 + seed)))
    # Three deviations: of a share among 4000, and of its level among the reference's 2000.
    slack = 3 * (share * (1 - share)) ** 0.5 * (1 / 4000 + 1 / 2000) ** 0.5
    assert (p <= share).mean() == pytest.approx(share, abs=slack)


def test_descriptions_of_the_same_kind_have_uniform_p_values() -> None:
    fresh = np.random.default_rng(7).exponential(size=4000).tolist()
    p = np.array(fitted(4000).p_descriptions(fresh))
    for share in (0.01, 0.1, 0.5):
        assert (p <= share).mean() == pytest.approx(share, abs=0.03)


def test_requests_of_another_kind_have_the_smallest_p_value_there_is() -> None:
    reference = fitted(1000)
    assert set(reference.p_requests(drawn(200, seed=9, shift=200.0))) == {1 / 501}
    assert set(reference.p_descriptions([1e3, 1e9])) == {1 / 1001}


def test_the_further_away_the_lower() -> None:
    reference = fitted(1000)
    row = drawn(1, seed=9)[0]
    p = reference.p_requests([row + shift for shift in (0.0, 2.0, 4.0, 8.0, 16.0)])
    assert p == sorted(p, reverse=True)
    assert p[-1] < 0.05 < p[0]


def test_p_values_by_hand() -> None:
    # Squared distances 0, 1 (as strange as one of three), 4, 5, 9.0001.
    rows = [[0, 1], [1, 1], [0, 2], [1, 2], [3.00002, 1]]
    assert SMALL.p_requests(rows) == [1.0, 1.0, 3 / 4, 2 / 4, 1 / 4]
    assert SMALL.p_descriptions([0.1, 0.5, 0.6, 1.0, 2.0, 2.1]) == [
        1,
        1,
        4 / 5,
        4 / 5,
        2 / 5,
        1 / 5,
    ]


def test_distances_are_those_of_scikit_learn() -> None:
    rows = drawn(300, seed=4)
    reference = Reference.fit([3, 5, 8, 9, 11], rows, [], {}, shapes={})
    rows = np.random.default_rng(0).permutation(rows)
    gaussian = LedoitWolf().fit(rows[::2])
    assert reference.distances == pytest.approx(np.sort(gaussian.mahalanobis(rows[1::2])))
    fresh = drawn(50, seed=5)
    counts = [(reference.distances >= far).sum() for far in gaussian.mahalanobis(fresh)]
    assert reference.p_requests(fresh) == pytest.approx([(1 + each) / 151 for each in counts])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_as_strange_as_can_be(broken: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SMALL.p_requests([[0, 1], [broken, 1], [broken, broken]]) == [1.0, 0.0, 0.0]
        assert SMALL.p_descriptions([0.1, broken]) == [1.0, 0.0]


def test_who_saw_no_picture_described_knows_of_none() -> None:
    reference = Reference.fit([3, 5, 8, 9, 11], drawn(20, seed=1), [], {}, shapes={})
    assert reference.p_descriptions([0.0, 1.0]) == [0.0, 0.0]
    assert not reference.resolves_descriptions(0.5)


def test_nobody_has_no_p_value() -> None:
    assert SMALL.p_requests(np.zeros((0, 2))) == []
    assert SMALL.p_descriptions([]) == []


def test_a_reference_resolves_no_less_than_one_among_its_requests() -> None:
    assert SMALL.resolves(1 / 4)
    assert not SMALL.resolves(0.2499)
    assert SMALL.resolves_descriptions(1 / 5)
    assert not SMALL.resolves_descriptions(0.1999)
    assert fitted(1000).resolves(0.002)
    assert not fitted(996).resolves(0.002)


# Fitting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(FEWEST))
def test_too_few_requests_are_no_reference(count: int) -> None:
    with pytest.raises(JudgeError, match=f"^{count} requests are no reference: expected 6 or more"):
        Reference.fit([1, 2], np.zeros((count, 2)), [], {}, shapes={})


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_no_reference_is_made_of_what_is_no_number(broken: float) -> None:
    rows = drawn(20, seed=1)
    with pytest.raises(JudgeError, match="no finite numbers"):
        Reference.fit([3, 5, 8, 9, 11], rows, [1.0, broken], {}, shapes={})
    rows[7, 2] = broken
    with pytest.raises(JudgeError, match="no finite numbers"):
        Reference.fit([3, 5, 8, 9, 11], rows, [], {}, shapes={})


def test_requests_that_are_all_the_same_tell_no_others() -> None:
    with pytest.raises(JudgeError, match="too much alike"):
        Reference.fit([1, 2], np.full((200, 2), -3.0), [], {}, shapes={})


# Files ---------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    (tmp_path / "r.safetensors").write_bytes(SMALL.to_bytes())
    found = Reference.load(tmp_path / "r.safetensors")
    assert found.shapes == SMALL.shapes
    for name in HELD:
        assert getattr(found, name).tolist() == getattr(SMALL, name).tolist()
        assert getattr(found, name).dtype == getattr(SMALL, name).dtype
    assert found.about == {"model": "by hand"}


def test_a_saved_reference_gives_the_same_p_values(tmp_path: Path) -> None:
    reference, rows = fitted(1000), drawn(300, seed=9)
    (tmp_path / "r").write_bytes(reference.to_bytes())
    found = Reference.load(tmp_path / "r")
    assert found.p_requests(rows) == pytest.approx(reference.p_requests(rows), abs=2 / 501)
    assert found.about == {"a": "b"}


def test_the_order_in_a_file_does_not_count(tmp_path: Path) -> None:
    shuffled = np.array([9, 1, 4], np.float32)
    found = Reference.load(written(tmp_path / "r", distances=shuffled, surprisals=shuffled))
    assert found.distances.tolist() == found.surprisals.tolist() == [1, 4, 9]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"mean": None}, "mean"),
        ({"token_ids": None}, "token_ids"),
        ({"mean": np.zeros(3, np.float32)}, "its shapes do not fit together"),
        ({"mean": np.zeros((2, 1), np.float32)}, "its shapes do not fit together"),
        ({"precision": np.zeros((2, 3), np.float32)}, "its shapes do not fit together"),
        ({"precision": np.zeros(4, np.float32)}, "its shapes do not fit together"),
        ({"distances": np.zeros((3, 1), np.float32)}, "its shapes do not fit together"),
        ({"distances": np.zeros(0, np.float32)}, "its shapes do not fit together"),
        ({"surprisals": np.zeros((1, 1), np.float32)}, "its shapes do not fit together"),
        ({"token_ids": np.array([[3], [5]])}, "its shapes do not fit together"),
        ({"token_ids": np.array(3)}, "its shapes do not fit together"),
        ({"token_ids": np.zeros(0, np.int64)}, "its shapes do not fit together"),
        ({"token_ids": np.array([3.0, 5.0])}, "its token ids are of the type float64"),
        ({"token_ids": np.array([3.0, np.nan])}, "its token ids are of the type float64"),
        ({"token_ids": np.array([True, False])}, "its token ids are of the type bool"),
        ({"token_ids": np.array([3, -1])}, "it names a token -1"),
        *(
            ({name: np.full_like(HELD[name], broken)}, "no finite number")
            for name in ("mean", "precision", "distances", "surprisals")
            for broken in (np.nan, np.inf)
        ),
        ({"precision": np.zeros((2, 2), np.float32)}, "its precision takes requests for the same"),
        ({"precision": -HELD["precision"]}, "its precision takes requests for the same"),
        ({"precision": np.array([[1.0, 3], [3, 4]])}, "its precision takes requests for the same"),
        ({"about": {}}, "its version is none that is known here"),
        ({"about": {"version": 2}}, "its version is none that is known here"),
        ({"about": {"version": "1"}}, "its version is none that is known here"),
        ({"about": ["version", 1]}, "is no reference"),
        ({"about": 1}, "is no reference"),
    ],
)
def test_a_file_that_does_not_fit_is_one_clear_error(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    path = written(tmp_path / "broken", **changed)
    with pytest.raises(JudgeError, match="is no reference: ") as caught:
        Reference.load(path)
    said = str(caught.value)
    assert said.startswith(repr(str(path)))
    assert why in said
    assert "\n" not in said


def test_a_file_cut_off_anywhere_is_no_reference(tmp_path: Path) -> None:
    whole, path = SMALL.to_bytes(), tmp_path / "cut"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(JudgeError, match="is no reference: "):
            Reference.load(path)
    path.write_bytes(whole)
    assert Reference.load(path).about == SMALL.about


def test_somebody_elses_weights_are_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(save({"weight": np.zeros((2, 2), np.float32)}, metadata={"format": "pt"}))
    with pytest.raises(JudgeError, match="is no reference: "):
        Reference.load(path)
    path.write_bytes(b"{}")
    with pytest.raises(JudgeError, match="is no reference: "):
        Reference.load(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"^there is no reference at '.*/nowhere'$"):
        Reference.load(tmp_path / "nowhere")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(JudgeError, match="is no reference: it is no file"):
            Reference.load(place)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800"])
def test_a_path_that_cannot_be_is_an_error(name: str) -> None:
    with pytest.raises(JudgeError):
        Reference.load(Path(name))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(SMALL.to_bytes())
    os.truncate(path, LARGEST + 1)  # sparse: it takes no room
    with pytest.raises(JudgeError, match=f"it has {LARGEST + 1} bytes, expected {LARGEST}"):
        Reference.load(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_no_reference(tmp_path: Path) -> None:
    path = written(tmp_path / "closed")
    path.chmod(0)
    with pytest.raises(JudgeError, match="is no reference: "):
        Reference.load(path)


def test_halves_are_drawn_at_random_however_requests_are_ordered() -> None:
    rows = drawn(1000, seed=6)
    rows[::2] += 3  # as where safe and unsafe requests take turns
    reference = Reference.fit([3, 5, 8, 9, 11], rows, [], {}, shapes={})
    p = np.array(reference.p_requests(drawn(500, seed=7)))
    assert 0.4 < p.mean() < 0.6


@pytest.mark.parametrize(
    ("count", "enough"), [(0, False), (1997, False), (1998, True), (-9, False)]
)
def test_a_shape_is_known_by_requests_enough_of_it(count: int, enough: bool) -> None:
    known = replace(SMALL, shapes={"1 picture": count})
    assert known.resolves_shape("1 picture", 0.001) is enough
    assert not known.resolves_shape("2 pictures", 0.001)
