"""Labels as a CSV file: there and back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from vae_core.apply.label_file import labels_csv, read_labels
from vae_core.apply.labelling import Labelling, Propagated
from vae_core.errors import DataError

IDS = np.array([70, 3, 15, 8], np.int64)


def test_a_written_labelling_is_read_back() -> None:
    few = Labelling(('a "big", cat', "Käse"), {2: 0, 0: 1, 3: 1})
    chances = np.array([[0, 1], [0.25, 0.75], [1, 0], [0, 1]], np.float32)
    for found in (None, Propagated(chances)):
        again = read_labels(labels_csv(IDS, few, found).encode(), IDS)
        named = {row: again.names[kind] for row, kind in again.given.items()}
        assert named == {row: few.names[kind] for row, kind in few.given.items()}


def test_the_file_says_what_was_given_predicted_and_how_surely() -> None:
    few = Labelling(("a", "b"), {2: 0, 0: 1})
    chances = np.array([[0, 1], [0.25, 0.75], [1, 0], [0.5, 0.5]], np.float32)
    assert labels_csv(IDS, few, Propagated(chances)).splitlines() == [
        "id,label,predicted,confidence",
        "70,b,b,1.0000", "3,,b,0.7500", "15,a,a,1.0000", "8,,a,0.5000",
    ]  # fmt: skip


def test_a_spreadsheets_way_of_writing_is_understood() -> None:
    data = "\ufeff Label ,ID,note\r\ncat, 15 ,x\r\n,3,\r\n\r\ncat,8,y\r\n".encode()
    assert read_labels(data, IDS).given == {2: 0, 3: 0}


BAD: dict[str, tuple[bytes, str]] = {
    "no header": (b"3,cat\n15,dog\n", "columns 3, cat came, expected id and label"),
    "nothing": (b"", "of nothing came"),
    "unknown id": (b"id,label\n3,cat\n4,dog\n", "Line 3 of the labels names an image that is not"),
    "no number": (b"id,label\ncat,3\n", "Line 2 of the labels names an image that is not"),
    "two names": (b"id,label\n3,cat\n3,dog\n", "calls image 3 'dog', an earlier line 'cat'"),
    "no label": (b"id,label\n3,\n15, \n", "The labels name no image"),
    "not text": (b"\x89PNG\xff\xfe", "not text in UTF-8"),
    "odd quotes": (b'id,label\n3,"cat\n', "no readable CSV"),
    "short line": (b"id,label\n3\n", "The labels name no image"),
    "long name": (b"id,label\n3," + b"x" * 99, "A name of 99 characters"),
}


@pytest.mark.parametrize(("data", "text"), BAD.values(), ids=BAD.keys())
def test_what_is_no_table_of_labels_is_refused_in_a_sentence(data: bytes, text: str) -> None:
    with pytest.raises(DataError, match=text):
        read_labels(data, IDS)
