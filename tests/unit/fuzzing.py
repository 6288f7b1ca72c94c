"""The process that `test_data_fuzz` watches: damage pictures, hand them over, count what came."""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import sys
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from vae_core.data.pixels import prepare
from vae_core.errors import DataError
from vae_core.types import ImageSpec

N_FILES = 2_400
SPEC = ImageSpec(3, 32, 32)
MOST_MEMORY_BYTES = 6 * 2**30
Random = np.random.Generator

# Name, Pillow's format, mode, options: each reader in its main variants.
_VARIANTS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("PNG", "RGB", {}), ("PNG", "P", {}), ("PNG", "RGBA", {}), ("PNG", "I;16", {}),
    ("PNG", "1", {}),
    ("JPEG", "RGB", {}), ("JPEG", "L", {"progressive": True}), ("JPEG", "CMYK", {}),
    ("GIF", "P", {}), ("GIF", "P", {"save_all": True, "frames": 3}),
    ("BMP", "RGB", {}), ("BMP", "P", {}), ("BMP", "1", {}),
    ("TIFF", "RGB", {}), ("TIFF", "L", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}), ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "F", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGB", {"save_all": True, "frames": 3}),
    ("PPM", "RGB", {}), ("PPM", "L", {}), ("PPM", "1", {}),
)  # fmt: skip


def seeds() -> list[bytes]:
    """One small sound file of each variant, and files that only claim to be pictures."""
    values = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)
    base = Image.fromarray(values)
    made = []
    for name, mode, options in _VARIANTS:
        settings = dict(options)
        frames = settings.pop("frames", 0)
        picture = (
            base.convert("L").convert("I").convert(mode) if "I" in mode else base.convert(mode)
        )
        if frames:
            settings["append_images"] = [picture.rotate(9) for _ in range(2)]
        stream = io.BytesIO()
        picture.save(stream, name, **settings)  # type: ignore[arg-type]
        made.append(stream.getvalue())
    return [*made, b"P3\n4 4\n255\n" + b"9 " * 48, b"P2\n2 2\n15\n1 2 3 4\n", _zip(made[0])]


def _zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escape.png", content)
    return stream.getvalue()


def cut(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """End early."""
    return data[: random.integers(1, len(data))]


def flip(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """Turn over some bits, anywhere."""
    out = np.frombuffer(data, np.uint8).copy()
    places = random.integers(0, len(out), random.integers(1, 30))
    out[places] ^= (1 << random.integers(0, 8, len(places))).astype(np.uint8)
    return out.tobytes()


def header(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """Random bytes within the first hundred, behind the signature."""
    out, places = bytearray(data), random.integers(4, min(100, len(data)), 4)
    for place in places:
        out[place] = random.integers(0, 256)
    return bytes(out)


def splice(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """One file's beginning before another's end."""
    other = others[random.integers(len(others))]
    return data[: random.integers(4, 64)] + other[random.integers(0, len(other)) :]


def repeat(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """A piece many times over."""
    a, b = sorted(random.integers(0, len(data), 2))
    return data[:b] + data[a:b] * int(random.integers(2, 20)) + data[b:]


def huge(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """Dimensions that no memory could hold, or just under the limit, written over the header."""
    width, height = (int(random.choice([0, 1, 7000, 65535, 2**31 - 1, 2**32 - 1])) for _ in "wh")
    out = bytearray(data)
    if data.startswith(b"\x89PNG"):
        out[16:24] = struct.pack(">II", width, height)
        out[29:33] = struct.pack(">I", zlib.crc32(out[12:29]))
    elif data.startswith(b"BM"):
        out[18:26] = struct.pack("<II", width, height)
    elif data.startswith(b"GIF"):
        out[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    elif data.startswith(b"P"):
        return data[:2] + f"\n{width} {height}\n255\n".encode() + data[12:]
    else:
        for place in random.integers(4, min(len(out) - 4, 200), 3):
            out[place : place + 4] = struct.pack("<I", width)
    return bytes(out)


MUTATIONS: tuple[Callable[[bytes, Random, list[bytes]], bytes], ...] = (
    cut, flip, flip, header, header, splice, repeat, huge,
)  # fmt: skip


def damaged(n: int) -> Iterator[bytes]:
    """n files, always the same."""
    known, random = seeds(), np.random.default_rng(20)
    for number in range(n):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        data = mutate(known[(number // len(MUTATIONS)) % len(known)], random, known)
        yield mutate_again(data, random, known) if number % 5 == 0 else data


def mutate_again(data: bytes, random: Random, known: list[bytes]) -> bytes:
    """A second damage on top of the first."""
    return flip(data, random, known) if len(data) > 8 else data


def main() -> None:
    """Print one JSON object of counts."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    os.chdir(sys.argv[1])
    files, counts, slowest = list(damaged(N_FILES)), Counter[str](), 0.0
    sys.addaudithook(lambda event, args: _note(counts, event, args))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, data in enumerate(files):
        began = time.process_time()
        try:
            ready = prepare(
                data, SPEC, name="../../up.png", fit=("crop", "pad", "stretch")[number % 3]
            )
            is_good = ready.pixels.shape == SPEC.shape and ready.pixels.dtype == np.uint8
            counts["prepared" if is_good else "escaped"] += 1
        except DataError as error:
            counts["refused" if str(error).strip().endswith(".") else "escaped"] += 1
        except BaseException as error:
            counts["escaped"] += 1
            sys.stderr.write(f"file {number}: {error!r}\n")
        slowest = max(slowest, time.process_time() - began)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    names = ("prepared", "refused", "escaped", "opened_for_writing")
    found = {name: counts[name] for name in names}
    print(json.dumps({**found, "files": len(files), "slowest_cpu_seconds": slowest,
                      "grown_mb": grown}))  # fmt: skip


def _note(counts: Counter[str], event: str, args: tuple[object, ...]) -> None:
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        counts["opened_for_writing"] += 1


if __name__ == "__main__":
    main()
