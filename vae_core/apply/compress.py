"""Pictures as their codes in a file: quantised, entropy coded, checked, tied to one model.

    bytes      little-endian
    4          magic
    1          version
    8          the model: first 8 bytes of the weights' sha256
    4          CRC-32 of the quantiser: which dimensions, their ranges, their code tables
    1 2 2      channels, height, width
    1          bits per dimension, 1 to 16
    1          coding: 0 plain bits, 1 entropy coded; the shorter one is written
    4          number of pictures
    4          CRC-32 of the decoded pixels
    …          blocks of 64 pictures, each after its length in 4 bytes; the last needs no length
    4          CRC-32 of all before

Pictures are decoded one at a time in float64 and rounded to bytes only then: other thread counts
and processors differ in the last of 52 bits, 8 reach the picture. The pixels' CRC proves it anew
each time.
"""

from __future__ import annotations

import copy
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.apply import entropy
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.rate import mean_codes
from vae_core.grid import to_bytes
from vae_core.types import ImageSpec

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

MAGIC: Final = b"LXC\x1a"
VERSION: Final = 1
SUFFIX: Final = ".lxc"
MAX_BITS: Final = 16
MAX_PICTURES: Final = 100_000
MAX_BYTES: Final = 64 * 2**20
MAX_VALUES: Final = 2**29
PER_BLOCK: Final = 64
# Above this a table would be longer than what it is counted from.
_MAX_TABLE_BITS: Final = 12
_HEADER: Final = struct.Struct("<4sB8sIBHHBBII")
_CHECK: Final = struct.Struct("<I")
FRAME_BYTES: Final = _HEADER.size + _CHECK.size


@dataclass(frozen=True)
class Header:
    """What a file says of itself; `key` is the model's, 16 hex digits."""

    key: str
    table: int
    spec: ImageSpec
    bits: int
    is_entropy_coded: bool
    n_pictures: int
    pixels_check: int


@dataclass(frozen=True)
class Decoded:
    """Pictures out of a file: `pixels` uint8 `[N,C,H,W]`, `codes` float32 `[N,D]`.

    `is_identical` says whether the pixels are, to the last bit, those the file was written for.
    """

    pixels: Images
    codes: Floats
    header: Header
    is_identical: bool


@dataclass(frozen=True)
class Codec:
    """Writes and reads such files for one checkpoint; keeps what every picture needs."""

    checkpoint: Checkpoint

    @cached_property
    def dimensions(self) -> Ints:
        """The dimensions the model uses; the others stay at their average."""
        return np.flatnonzero(self.checkpoint.codes.is_active)

    @cached_property
    def _average(self) -> Floats:
        mean = self.checkpoint.codes.mean.mean(0, dtype=np.float64)
        return np.asarray(np.round(mean, 3), np.float32)

    @cached_property
    def _low(self) -> NDArray[np.float64]:
        return np.asarray(self.checkpoint.codes.mean[:, self.dimensions].min(0), np.float64)

    @cached_property
    def _reach(self) -> NDArray[np.float64]:
        high = np.asarray(self.checkpoint.codes.mean[:, self.dimensions].max(0), np.float64)
        return np.asarray(np.maximum(high - self._low, 1e-9))

    def quantise(self, codes: Floats, *, bits: int) -> Ints:
        """Codes `[N,D]` → levels 0 … 2^bits − 1 of the used dimensions; outliers are cut."""
        share = (codes[:, self.dimensions].astype(np.float64) - self._low) / self._reach
        n_levels = 2 ** _checked_bits(bits)
        return np.asarray(np.rint(np.clip(share, 0, 1) * (n_levels - 1)), np.int64)

    def restore(self, levels: Ints, *, bits: int) -> Floats:
        """Levels → codes float32 `[N,D]`, unused dimensions at their average."""
        z = np.tile(self._average, (len(levels), 1))
        share = levels / (2 ** _checked_bits(bits) - 1)
        z[:, self.dimensions] = (self._low + share * self._reach).astype(np.float32)
        return z

    def round_codes(self, codes: Floats, *, bits: int) -> Floats:
        """Codes `[N,D]` as they come back from a file of that bit depth."""
        return self.restore(self.quantise(codes, bits=bits), bits=bits)

    def _tables(self, bits: int) -> list[Ints]:
        known = self.quantise(self.checkpoint.codes.mean, bits=bits)
        return entropy.frequencies(known, n_symbols=2**bits)

    def table_check(self, bits: int) -> int:
        """CRC-32 of all that turns levels into codes and bits into levels."""
        parts = [self.dimensions.tobytes(), self._average.tobytes(), self._low.tobytes()]
        parts.append(self._reach.tobytes())
        if bits <= _MAX_TABLE_BITS:
            parts += [table.tobytes() for table in self._tables(bits)]
        return zlib.crc32(b"".join(parts))

    @cached_property
    def _decoder(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        model = self.checkpoint.model
        return (
            copy.deepcopy(model.decoder).cpu().double().eval(),
            copy.deepcopy(model.likelihood).cpu().double().eval(),
        )

    @torch.no_grad()
    def picture(self, z: Floats) -> Images:
        """One code `[D]` → uint8 `[C,H,W]`, the same on every machine."""
        decoder, likelihood = self._decoder
        # A model with classes decodes without a label: those inputs are zero.
        inputs = np.zeros((1, len(z) + self.checkpoint.model.config.n_classes))
        inputs[0, : len(z)] = z
        raw = decoder(torch.from_numpy(inputs))
        return to_bytes(likelihood.mean(raw)[0].numpy())  # type: ignore[operator]

    def pictures(self, codes: Floats) -> Images:
        """As `picture`, for codes `[N,D]`."""
        spec = self.checkpoint.model.spec
        found = np.empty((len(codes), *spec.shape), np.uint8)
        for row, z in enumerate(codes):
            found[row] = self.picture(z)
        return found

    def compress(self, pixels: Images, *, bits: int) -> bytes:
        """uint8 `[N,C,H,W]` or `[C,H,W]` as a file; see `compress`."""
        images = pixels[None] if pixels.ndim == 3 else pixels
        _check_images(images, self.checkpoint.model.spec)
        levels = self.quantise(mean_codes(self.checkpoint.model, images), bits=bits)
        decoded = self.pictures(self.restore(levels, bits=bits))
        body, coding = self._body(levels, bits)
        spec = self.checkpoint.model.spec
        head = _HEADER.pack(
            MAGIC, VERSION, bytes.fromhex(self.checkpoint.key), self.table_check(bits), *spec.shape,
            bits, coding, len(levels), zlib.crc32(decoded.tobytes()),
        )  # fmt: skip
        return head + body + _CHECK.pack(zlib.crc32(head + body))

    def _body(self, levels: Ints, bits: int) -> tuple[bytes, int]:
        blocks = [levels[i : i + PER_BLOCK] for i in range(0, len(levels), PER_BLOCK)]
        plain = _join([_plain_bits(block, bits) for block in blocks])
        if bits > _MAX_TABLE_BITS:
            return plain, 0
        tables = self._tables(bits)
        coded = _join([entropy.pack(block, tables) for block in blocks])
        return (coded, 1) if len(coded) < len(plain) else (plain, 0)

    def file_bytes(self, codes: Floats, *, bits: int) -> int:
        """Length in bytes of the file that holds these codes `[N,D]`."""
        return FRAME_BYTES + len(self._body(self.quantise(codes, bits=bits), bits)[0])

    def decompress(self, data: bytes) -> Decoded:
        """The pictures of a file; see `decompress`."""
        header = read_header(data)
        _check_model(header, self)
        levels = self._levels(data[_HEADER.size : -_CHECK.size], header)
        codes = self.restore(levels, bits=header.bits)
        pixels = self.pictures(codes)
        is_identical = zlib.crc32(pixels.tobytes()) == header.pixels_check
        return Decoded(pixels, codes, header, is_identical)

    def _levels(self, body: bytes, header: Header) -> Ints:
        sizes = [
            min(PER_BLOCK, header.n_pictures - i) for i in range(0, header.n_pictures, PER_BLOCK)
        ]
        tables = self._tables(header.bits) if header.is_entropy_coded else []
        levels = []
        for n, block in zip(sizes, _split(body, len(sizes)), strict=True):
            if header.is_entropy_coded:
                levels.append(entropy.unpack(block, tables, n=n))
            else:
                levels.append(_read_bits(block, (n, len(self.dimensions)), header.bits))
        return np.concatenate(levels)


def compress(checkpoint: Checkpoint, pixels: Images, *, bits: int = 8) -> bytes:
    """Pictures uint8 `[N,C,H,W]` or `[C,H,W]` as a file of their codes, `bits` per dimension.

    `DataError` for pictures of another shape than the model's or none, `ConfigError` for bits
    outside 1 to 16.
    """
    return Codec(checkpoint).compress(pixels, bits=bits)


def decompress(checkpoint: Checkpoint, data: bytes) -> Decoded:
    """The pictures of a file that `compress` wrote with the same checkpoint.

    `DataError` for a foreign, damaged or newer file, and for one written with another model:
    the sentence names both.
    """
    return Codec(checkpoint).decompress(data)


def read_header(data: bytes) -> Header:
    """What a file says of itself, once its checksum is found right; errors as `decompress`."""
    if not data.startswith(MAGIC):
        raise DataError(
            f"A file of {len(data):,} bytes came that is no compressed picture of Latent Explorer; "
            f"choose a {SUFFIX} file that Compress wrote."
        )
    if len(data) > MAX_BYTES:
        raise DataError(
            f"A compressed file of {len(data) / 2**20:,.0f} MB came, at most {MAX_BYTES // 2**20} "
            "MB are read; write the pictures into several files."
        )
    if len(data) > len(MAGIC) and data[len(MAGIC)] > VERSION:
        raise DataError(
            f"The compressed file is of version {data[len(MAGIC)]}, this program reads up to "
            f"{VERSION}; use the newer Latent Explorer that wrote it."
        )
    if len(data) < FRAME_BYTES or zlib.crc32(data[:-4]) != _CHECK.unpack(data[-4:])[0]:
        raise DataError(
            f"The compressed file of {len(data):,} bytes is damaged or cut short: its checksum "
            "is not that of its content; get the file again."
        )
    _, version, key, table, c, h, w, bits, coding, n, check = _HEADER.unpack_from(data)
    sound = version == VERSION and 1 <= bits <= MAX_BITS and 1 <= n <= MAX_PICTURES and coding < 2
    sound = sound and n * c * h * w <= MAX_VALUES
    if not sound or (coding and bits > _MAX_TABLE_BITS):
        raise DataError(
            f"The compressed file says {n} pictures of {bits} bits in form {coding}.{version}, "
            "which no Latent Explorer writes; get the file again."
        )
    return Header(key.hex(), table, ImageSpec(c, h, w), bits, bool(coding), n, check)


def _check_model(header: Header, codec: Codec) -> None:
    checkpoint = codec.checkpoint
    if header.key != checkpoint.key:
        raise DataError(
            f"The compressed file was written with model {header.key}, open is '{checkpoint.name}' "
            f"with {checkpoint.key}; open the model it was written with."
        )
    if header.spec != checkpoint.model.spec or header.table != codec.table_check(header.bits):
        raise DataError(
            f"The compressed file was written with the weights of '{checkpoint.name}' but other "
            "stored codes, which its levels refer to; open the copy of the model that wrote it."
        )


def _checked_bits(bits: int) -> int:
    if not 1 <= bits <= MAX_BITS:
        raise ConfigError(
            f"{bits} bits per dimension came, expected 1 to {MAX_BITS}; 8 is a start."
        )
    return bits


def _check_images(images: Images, spec: ImageSpec) -> None:
    good = images.ndim == 4 and images.dtype == np.uint8 and images.shape[1:] == spec.shape
    if not good or not 1 <= len(images) <= MAX_PICTURES:
        raise DataError(
            f"{images.dtype} of shape {images.shape} came, expected 1 to {MAX_PICTURES:,} uint8 "
            f"pictures [N, {', '.join(map(str, spec.shape))}]; prepare them for the model first."
        )


def _plain_bits(levels: Ints, bits: int) -> bytes:
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((levels[..., None] >> shifts & 1).astype(np.uint8)).tobytes()


def _read_bits(data: bytes, shape: tuple[int, int], bits: int) -> Ints:
    n_bits = shape[0] * shape[1] * bits
    if len(data) != (n_bits + 7) // 8:
        raise DataError(
            f"A block of {len(data)} bytes came, expected {(n_bits + 7) // 8} for {shape[0]} "
            "pictures; the file is damaged, get it again."
        )
    found = np.unpackbits(np.frombuffer(data, np.uint8), count=n_bits).astype(np.int64)
    return found.reshape(*shape, bits) @ (1 << np.arange(bits - 1, -1, -1))


def _join(blocks: list[bytes]) -> bytes:
    lengths = [_CHECK.pack(len(block)) for block in blocks[:-1]]
    return b"".join(a + b for a, b in zip([*lengths, b""], blocks, strict=True))


def _split(body: bytes, n_blocks: int) -> list[bytes]:
    """The blocks that `_join` joined; too short a body gives blocks that are refused later."""
    blocks = []
    for _ in range(n_blocks - 1):
        length = int.from_bytes(body[: _CHECK.size], "little")
        blocks.append(body[_CHECK.size : _CHECK.size + length])
        body = body[_CHECK.size + length :]
    return [*blocks, body]
