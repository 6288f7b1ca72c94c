"""Pictures as files of their codes: the same picture again, or a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import ROOT, save_small, small_model, stripes
from vae_core.apply import entropy
from vae_core.apply.compress import Codec, compress, decompress, read_header
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.rate import code_length_bits
from vae_core.latent.codes import encode_set
from vae_core.model import Autoencoder


def busy_model(seed: int = 0, *, n_latent: int = 3) -> Autoencoder:
    """An untrained model whose dimensions all vary enough to count as used."""
    model = small_model(likelihood="gaussian", n_latent=n_latent, seed=seed)
    model.mean_head.weight.data *= 10
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("checkpoint") / "small", model=busy_model())


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(folder)


def sealed(data: bytes) -> bytes:
    """Changed bytes under a checksum that is right again."""
    return data + zlib.crc32(data).to_bytes(4, "little")


@pytest.mark.parametrize("bits", [1, 5, 8, 12, 13, 16])
@pytest.mark.parametrize("n", [1, 64, 131])
def test_a_file_gives_back_the_quantised_codes(checkpoint: Checkpoint, bits: int, n: int) -> None:
    images, codec = stripes(n).images, Codec(checkpoint)
    decoded = decompress(checkpoint, compress(checkpoint, images, bits=bits))
    codes = encode_set(checkpoint.model, stripes(n)).mean
    expected = codec.round_codes(codes, bits=bits)
    assert decoded.is_identical
    np.testing.assert_allclose(decoded.codes, expected, atol=1e-4)
    assert np.array_equal(decoded.pixels, codec.pictures(decoded.codes))


def test_more_bits_come_nearer_to_the_code(checkpoint: Checkpoint) -> None:
    codec, codes = Codec(checkpoint), checkpoint.codes.mean
    assert codec.dimensions.tolist() == [0, 1, 2]
    gaps = [np.abs(codec.round_codes(codes, bits=b) - codes).max() for b in (2, 4, 8, 16)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3


def test_unused_dimensions_cost_nothing(tmp_path: Path) -> None:
    model = busy_model(n_latent=4)
    model.mean_head.weight.data[1:] = 0
    saved = save_small(tmp_path / "one", model=model)
    codec = Codec(load_checkpoint(saved))
    assert codec.dimensions.tolist() == [0]
    assert len(codec.compress(stripes(80).images, bits=4)) <= 36 + 4 + 40


@pytest.mark.parametrize("bits", [2, 8])
def test_entropy_coding_reaches_the_cross_entropy(checkpoint: Checkpoint, bits: int) -> None:
    codec = Codec(checkpoint)
    known = codec.quantise(checkpoint.codes.mean, bits=bits)
    tables = entropy.frequencies(known, n_symbols=2**bits)
    levels = known[:20]
    data = entropy.pack(levels, tables)
    assert np.array_equal(entropy.unpack(data, tables, n=20), levels)
    expected = sum(
        -np.log2(table[level] / table.sum())
        for table, column in zip(tables, levels.T, strict=True)
        for level in column
    )
    assert abs(8 * len(data) - expected) <= 8
    assert code_length_bits(levels, levels) <= expected


def test_a_fresh_process_with_other_threads_gives_the_same_picture(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    images = stripes(5).images
    (tmp_path / "five.lxc").write_bytes(compress(checkpoint, images, bits=6))
    script = (
        "import sys, hashlib, pathlib, torch\n"
        "from vae_core.apply.compress import decompress\n"
        "from vae_core.checkpoint import load_checkpoint\n"
        "data = pathlib.Path(sys.argv[2]).read_bytes()\n"
        "found = decompress(load_checkpoint(sys.argv[1]), data)\n"
        "print(torch.get_num_threads(), hashlib.sha256(found.pixels.tobytes()).hexdigest())\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script, str(folder), str(tmp_path / "five.lxc")],
            cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "OMP_NUM_THREADS": n},
        ).stdout.split()
        for n in ("1", "2")
    ]  # fmt: skip
    assert [n for n, _ in told] == ["1", "2"]
    assert told[0][1] == told[1][1]


def test_a_picture_does_not_depend_on_its_company(checkpoint: Checkpoint) -> None:
    codec, z = Codec(checkpoint), checkpoint.codes.mean[:9]
    together = codec.pictures(z)
    assert all(np.array_equal(codec.picture(z[i]), together[i]) for i in range(9))


@pytest.mark.parametrize("n", [1, 70])
def test_each_flipped_byte_is_refused(checkpoint: Checkpoint, n: int) -> None:
    good = compress(checkpoint, stripes(n).images, bits=5)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        with pytest.raises(DataError):
            decompress(checkpoint, bytes(bad))


@pytest.mark.parametrize("coding", [0, 1])
def test_a_hostile_body_under_a_right_checksum_never_crashes(
    checkpoint: Checkpoint, coding: int
) -> None:
    random = np.random.default_rng(coding)
    good = compress(checkpoint, stripes(70).images, bits=5)[:-4]
    for _ in range(150):
        body = random.bytes(int(random.integers(0, 300)))
        head = bytearray(good[:32])
        head[23] = coding
        try:
            found = decompress(checkpoint, sealed(bytes(head) + body))
        except DataError:
            continue
        assert not found.is_identical


def test_a_file_cut_short_is_refused(checkpoint: Checkpoint) -> None:
    good = compress(checkpoint, stripes(3).images, bits=8)
    for length in range(len(good)):
        with pytest.raises(DataError):
            decompress(checkpoint, good[:length])


def test_another_model_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    other = load_checkpoint(save_small(tmp_path / "other", model=busy_model(5)))
    data = compress(other, stripes(1).images, bits=8)
    with pytest.raises(DataError, match=rf"{other.key}.*'small' with {checkpoint.key}"):
        decompress(checkpoint, data)
    assert read_header(data).key == other.key


def test_the_same_weights_with_other_codes_are_told_apart(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    codes = encode_set(checkpoint.model, stripes(50, seed=3))
    copy = load_checkpoint(save_small(tmp_path / "copy", model=checkpoint.model, codes=codes))
    assert copy.key == checkpoint.key
    with pytest.raises(DataError, match="other stored codes"):
        decompress(copy, compress(checkpoint, stripes(1).images, bits=8))


def test_a_newer_version_is_said(checkpoint: Checkpoint) -> None:
    data = bytearray(compress(checkpoint, stripes(1).images, bits=8)[:-4])
    data[4] = 2
    with pytest.raises(DataError, match="version 2, this program reads up to 1"):
        decompress(checkpoint, sealed(bytes(data)))


def test_more_pictures_than_memory_holds_are_refused(checkpoint: Checkpoint) -> None:
    data = bytearray(compress(checkpoint, stripes(1).images, bits=8)[:-4])
    data[24:28] = (2**31).to_bytes(4, "little")
    with pytest.raises(DataError, match="no Latent Explorer writes"):
        read_header(sealed(bytes(data)))


@pytest.mark.parametrize("bits", [0, 17, -1])
def test_odd_bit_depths_are_refused(checkpoint: Checkpoint, bits: int) -> None:
    with pytest.raises(ConfigError, match=f"^{bits} bits"):
        compress(checkpoint, stripes(1).images, bits=bits)


def test_pictures_of_another_shape_are_refused(checkpoint: Checkpoint) -> None:
    for images in (stripes(2, (1, 9, 8)).images, stripes(1).images[:0]):
        with pytest.raises(DataError, match="expected 1 to"):
            compress(checkpoint, images, bits=8)
