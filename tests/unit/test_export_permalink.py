"""Codes as links: exact, compact, and nothing but the project's error for anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fixtures import save_small
from vae_core.checkpoint import load_checkpoint
from vae_core.errors import DataError
from vae_core.examine import snap
from vae_core.export import read_permalink, write_permalink

Floats = NDArray[np.float32]
KEY = "0123456789abcdef"


def same_bits(a: Floats, b: Floats) -> bool:
    return a.dtype == b.dtype == np.float32 and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("size", [1e-4, 0.01, 1, 30, 5e3, 2e4, 9e5])
@pytest.mark.parametrize("n_latent", [1, 2, 32, 300])
def test_a_link_gives_back_the_snapped_code_bit_for_bit(size: float, n_latent: int) -> None:
    random = np.random.default_rng(n_latent)
    for _ in range(20):
        z = (size * random.uniform(-1, 1, n_latent)).astype(np.float32)
        key, found = read_permalink(write_permalink(KEY, z))
        assert key == KEY
        assert same_bits(found, snap(z))


@pytest.mark.parametrize("value", [0.0, -0.0, -0.0001, 0.0005, 0.0015, -2.5, 1e6, -1e6, 1e-40])
def test_odd_numbers_survive_too(value: float) -> None:
    z = np.array([value, 1], np.float32)
    assert same_bits(read_permalink(write_permalink(KEY, z))[1], snap(z))


def test_a_link_to_a_snapped_code_is_the_same_link() -> None:
    z = np.random.default_rng(0).normal(size=64).astype(np.float32)
    assert write_permalink(KEY, snap(z)) == write_permalink(KEY, z)


def test_a_link_is_short_and_safe_in_a_url() -> None:
    z = np.random.default_rng(0).normal(size=32).astype(np.float32)
    link = write_permalink(KEY, z)
    assert len(link) <= 112
    assert set(link) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~")


def test_the_longest_code_fits() -> None:
    z = np.full(4096, -1e6, np.float32)
    assert same_bits(read_permalink(write_permalink(KEY, z))[1], z)
    with pytest.raises(DataError, match=r"\(4097,\)"):
        write_permalink(KEY, np.zeros(4097, np.float32))


def test_a_checkpoint_has_a_key_that_links_take(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_small(tmp_path))
    z = checkpoint.codes.mean[0]
    link = write_permalink(checkpoint.key, z)
    key, found = read_permalink(link, model_key=checkpoint.key, n_latent=3)
    assert key == checkpoint.key
    assert same_bits(found, snap(z))


@pytest.mark.parametrize(
    "z", [[np.nan, 0], [np.inf], [-np.inf], [1.1e6], [], [[0.0, 1.0]]], ids=str
)
def test_what_is_no_code_gets_no_link(z: list[float]) -> None:
    with pytest.raises(DataError):
        write_permalink(KEY, np.array(z, np.float32))


@pytest.mark.parametrize("key", ["", "0123", KEY + "0", KEY.upper(), "0123456789abcde\n", "é" * 16])
def test_what_is_no_model_key_gets_no_link(key: str) -> None:
    with pytest.raises(DataError, match="16 hex digits"):
        write_permalink(key, np.zeros(2, np.float32))


def test_links_of_other_models_and_sizes_are_refused() -> None:
    link = write_permalink(KEY, np.zeros(3, np.float32))
    with pytest.raises(DataError, match=f"of model {KEY} came, expected one of model fedc"):
        read_permalink(link, model_key="fedcba9876543210")
    with pytest.raises(DataError, match="3 numbers came, expected 2"):
        read_permalink(link, n_latent=2)


def test_a_link_of_a_later_version_says_so() -> None:
    link = write_permalink(KEY, np.zeros(3, np.float32))
    with pytest.raises(DataError, match="version 'z2' came, this program reads 'z1'"):
        read_permalink("z2" + link[2:])


LINK = write_permalink(KEY, np.array([1.5, -2.25], np.float32))
GARBAGE = [
    "", "z1", "z1..", f"z1.{KEY}.", f"z1.{KEY}.AAAA", f"z1.{KEY}.A", f"z1.{KEY}.AAAAAA",
    LINK + "=", LINK + "\n", " " + LINK, LINK.upper(), LINK[:-1], LINK + "A", LINK * 2,
    "0.5,1.2", "http://host/?z=" + LINK, "\x00", "\ud800", "💥" * 40, "nan,nan",
]  # fmt: skip


@pytest.mark.parametrize("text", GARBAGE, ids=ascii)
def test_garbage_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(DataError) as error:
        read_permalink(text)
    assert len(str(error.value)) < 250
    assert str(error.value).endswith(".")


def test_huge_input_is_refused_by_its_length() -> None:
    with pytest.raises(DataError, match=r"10,000,000 characters came, expected at most"):
        read_permalink("z" * 10_000_000)


def mutated(text: str, random: np.random.Generator) -> str:
    """One letter replaced, left out, doubled, swapped with the next, or the text cut."""
    at, letters = int(random.integers(len(text))), list(text)
    way = random.integers(5)
    if way == 0:
        letters[at] = chr(random.choice([int(random.integers(33, 127)), 45, 65, 95, 233]))
    elif way == 1:
        del letters[at]
    elif way == 2:
        letters.insert(at, letters[at])
    elif way == 3:
        letters[at : at + 2] = letters[at : at + 2][::-1]
    else:
        letters = letters[:at]
    return "".join(letters)


def test_mutated_links_give_a_code_or_the_projects_error() -> None:
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        z = random.normal(size=int(random.integers(1, 20))).astype(np.float32)
        link = write_permalink(KEY, z)
        text = mutated(link, random)
        try:
            _, found = read_permalink(text)
        except DataError:
            refused += 1
        else:
            assert text == link
            assert same_bits(found, snap(z))
    assert refused > 400
