"""Predictions of labels by readers that never saw the label they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.errors import DataError
from vae_core.evaluate.predict import predict_labels

RANDOM = np.random.default_rng(0)


def blobs(n: int = 120, gap: float = 6.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    labels = np.arange(n) % 3
    centres = gap * np.eye(3, 4)
    codes = centres[labels] + np.random.default_rng(1).standard_normal((n, 4))
    return codes.astype(np.float32), labels.astype(np.int64)


def test_groups_that_lie_apart_are_told_with_confidence() -> None:
    found = predict_labels(*blobs())
    assert found.accuracy > 0.95
    assert found.chance == pytest.approx(1 / 3)
    assert found.confidence.mean() > 0.8
    assert "right on 120 images" in found.text


def test_labels_without_meaning_are_not_told_better_than_chance() -> None:
    """In 60 dimensions for 120 codes a reader that had seen the labels would know them all."""
    codes = RANDOM.standard_normal((120, 60)).astype(np.float32)
    found = predict_labels(codes, RANDOM.integers(0, 2, 120))
    assert found.accuracy < 0.65


def test_a_wrong_label_is_found_and_an_unknown_one_guessed() -> None:
    codes, labels = blobs()
    given = labels.copy()
    given[0], given[1] = 2, -1
    found = predict_labels(codes, given)
    assert found.kind[:2].tolist() == [0, 1]
    assert not found.is_right[0]
    assert found.is_known.tolist()[:3] == [True, False, True]
    assert found.accuracy == pytest.approx(found.is_right[given >= 0].mean())


def test_what_lies_between_two_groups_is_least_certain() -> None:
    codes, labels = blobs()
    codes[0] = (codes[labels == 0].mean(0) + codes[labels == 1].mean(0)) / 2
    found = predict_labels(codes, labels)
    assert found.entropy_nats[0] > np.quantile(found.entropy_nats, 0.97)


def test_a_label_that_occurs_twice_is_learnt_and_a_single_one_left_out() -> None:
    codes, labels = blobs()
    codes[:2] = 40
    labels[:2], labels[2] = 7, 9
    found = predict_labels(codes, labels)
    assert found.kind[:2].tolist() == [7, 7]
    assert 9 not in found.kind


@pytest.mark.parametrize(
    "labels", [np.zeros(30, int), np.full(30, -1), np.arange(30), np.arange(9)]
)
def test_nothing_to_tell_apart_is_an_error(labels: NDArray[np.int64]) -> None:
    with pytest.raises(DataError, match="expected"):
        predict_labels(np.ones((30, 2), np.float32), labels)
