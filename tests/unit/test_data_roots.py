"""A visitor's path cannot leave the allowed folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vae_core.data.roots import MAX_LENGTH, allowed_path, roots_from
from vae_core.errors import DataError


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    for name in ("first/cats", "second/dogs", "secret/keys", "first-but-not/x"):
        (tmp_path / name).mkdir(parents=True)
    return [tmp_path / "first", tmp_path / "second"]


def test_a_path_below_a_root_is_given_whole(roots: list[Path]) -> None:
    assert allowed_path(f"  {roots[0]}/cats ", roots) == roots[0] / "cats"
    assert allowed_path(str(roots[1]), roots) == roots[1]


def test_a_relative_path_is_found_below_any_root(roots: list[Path]) -> None:
    assert allowed_path("cats", roots) == roots[0] / "cats"
    assert allowed_path("dogs", roots) == roots[1] / "dogs"
    assert allowed_path("cats/../cats", roots) == roots[0] / "cats"


@pytest.mark.parametrize(
    "text",
    ["../secret/keys", "cats/../../secret", "/etc", "/", "{root}/../secret", "{root}-but-not/x"],
)
def test_what_leads_elsewhere_is_refused_by_name(roots: list[Path], text: str) -> None:
    with pytest.raises(DataError, match=r"lies outside .*first'.*VAE_DATA_ROOTS\.$"):
        allowed_path(text.replace("{root}", str(roots[0])), roots)


def test_a_link_out_of_the_root_is_followed_before_it_is_judged(roots: list[Path]) -> None:
    (roots[0] / "link").symlink_to(roots[0].parent / "secret")
    (roots[0] / "inner").symlink_to(roots[1] / "dogs")
    with pytest.raises(DataError, match="lies outside"):
        allowed_path("link/keys", roots)
    assert allowed_path("inner", roots) == roots[1] / "dogs"


def test_a_root_that_is_a_link_itself_is_known_by_both_names(roots: list[Path]) -> None:
    alias = roots[0].parent / "alias"
    alias.symlink_to(roots[0])
    assert allowed_path(str(alias / "cats"), [alias]) == roots[0] / "cats"


def test_home_is_no_way_out(roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(roots[0].parent / "secret"))
    with pytest.raises(DataError, match="lies outside"):
        allowed_path("~/keys", roots)
    monkeypatch.setenv("HOME", str(roots[0]))
    assert allowed_path("~/cats", roots) == roots[0] / "cats"
    with pytest.raises(DataError, match="cannot be followed"):
        allowed_path("~nobody-of-this-name/x", roots)


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "a\nb", "x" * (MAX_LENGTH + 1)])
def test_what_is_no_path_is_told(roots: list[Path], text: str) -> None:
    with pytest.raises(DataError, match="is no path") as told:
        allowed_path(text, roots)
    assert len(str(told.value)) < 300 and "\0" not in str(told.value)


def test_a_name_too_long_for_the_disk_and_a_ring_of_links_are_told(roots: list[Path]) -> None:
    (roots[0] / "a").symlink_to("b")
    (roots[0] / "b").symlink_to("a")
    for text in ("y" * 1_500, "a/x"):
        with pytest.raises(DataError):
            allowed_path(text, roots)


def test_a_missing_path_is_told_only_below_a_root(roots: list[Path]) -> None:
    with pytest.raises(DataError, match="There is nothing at 'mice'"):
        allowed_path("mice", roots)
    with pytest.raises(DataError, match="lies outside"):
        allowed_path("/there/is/no/such/place", roots)


def test_a_pattern_of_shards_is_judged_by_all_it_stands_for(roots: list[Path]) -> None:
    for place in ("first/a-0.tar", "first/a-1.tar", "secret/b.tar"):
        (roots[0].parent / place).write_bytes(b"")
    assert allowed_path("a-{0..1}.tar", roots) == roots[0] / "a-{0..1}.tar"
    with pytest.raises(DataError, match="There is nothing"):
        allowed_path("a-{0..2}.tar", roots)
    with pytest.raises(DataError, match="lies outside"):
        allowed_path(f"{roots[0]}/{{a-0,../secret/b}}.tar", roots)


def test_without_roots_nothing_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="allows no folders"):
        allowed_path(str(tmp_path), [])


def test_the_setting_is_a_list_like_path(tmp_path: Path) -> None:
    assert roots_from(f"/a{os.pathsep}{os.pathsep}/b", otherwise=[tmp_path]) == (
        Path("/a"),
        Path("/b"),
    )
    assert roots_from(" ", otherwise=[tmp_path]) == (tmp_path,)
