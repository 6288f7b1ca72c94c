"""Groups of points: which name they get, and who is in which."""

from __future__ import annotations

import numpy as np

from pages.shared.groups import Group, membership
from pages.shared.shelf import free_name


def group(name: str, *rows: int) -> Group:
    return Group(name, np.array(rows, np.int64))


def test_each_point_belongs_to_its_latest_group_and_the_rest_to_none() -> None:
    member = membership([group("a", 0, 1), group("b", 1, 3)], 5)
    assert member.tolist() == [0, 1, 2, 1, 2]


def test_without_groups_every_point_is_in_none() -> None:
    assert membership([], 3).tolist() == [0, 0, 0]


def test_a_taken_name_gets_the_smallest_free_number() -> None:
    assert free_name("smile", {"frown"}) == "smile"
    assert free_name("smile", {"smile"}) == "smile 2"
    assert free_name("smile", {"smile", "smile 2"}) == "smile 3"
