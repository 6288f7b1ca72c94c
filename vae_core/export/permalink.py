"""A code as a short text that names it exactly, safe in a URL.

    z1.<model key, 16 hex digits>.<base64url of numbers and check>

Codes travel with three decimals, as `vae_core.examine.snap` rounds them: each number is its
thousandths and its sign in the lowest bit (so that −0 keeps its sign), seven bits to the byte,
lowest first, the top bit set on all bytes but the last (LEB128). Four bytes of CRC-32 over the
rest of the text follow. A number within ±8 takes two bytes, 32 dimensions take 112 characters.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import DataError
from vae_core.examine import CODE_DECIMALS

Floats = NDArray[np.float32]

FORMAT: Final = "z1"
# Beyond this squares and networks overflow.
LARGEST: Final = 1e6
MAX_LATENT: Final = 4_096
MAX_CHARACTERS: Final = 28_000
_STEPS: Final = np.float32(10**CODE_DECIMALS)
_MODEL_KEY: Final = re.compile(r"[0-9a-f]{16}")
_LINK: Final = re.compile(r"(z[0-9]{1,3})\.([0-9a-f]{16})\.([A-Za-z0-9_-]+)")


def write_permalink(model_key: str, z: Floats) -> str:
    """The code `z` `[D]`, rounded to three decimals, of the model with this `Checkpoint.key`.

    `DataError` unless the key has 16 hex digits and `z` is one code of 1 to 4,096 finite numbers
    within ±1e6.
    """
    if not _MODEL_KEY.fullmatch(model_key):
        raise DataError(
            f"The model key {_short(model_key)} came, expected 16 hex digits; give the "
            "checkpoint's key."
        )
    if z.ndim != 1 or not 1 <= len(z) <= MAX_LATENT:
        raise DataError(
            f"A code of shape {z.shape} came, expected [D] with 1 to {MAX_LATENT:,} numbers; give "
            "one code."
        )
    z = z.astype(np.float32)
    # Written so that NaN fails too.
    if not bool((np.abs(z) <= LARGEST).all()):
        raise DataError(
            f"A code with numbers that are not finite or beyond ±{LARGEST:g} came, which no link "
            "can name; give another code."
        )
    thousandths = np.rint(z * _STEPS)
    head, body = f"{FORMAT}.{model_key}.", _pack(thousandths)
    return head + _to_text(body + _check(head, body))


def read_permalink(
    text: str, *, model_key: str | None = None, n_latent: int | None = None
) -> tuple[str, Floats]:
    """Inverse of `write_permalink`: the model's key and `snap(z)` `[D]`, bit for bit.

    `DataError` with one sentence for anything that `write_permalink` did not write, and for a
    link of another model or size where `model_key` or `n_latent` say which is expected.
    """
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"A link of {len(text):,} characters came, expected at most {MAX_CHARACTERS:,}; copy "
            "the link alone."
        )
    found = _LINK.fullmatch(text)
    if found is None:
        raise DataError(
            f"{_short(text)} came, expected a link such as {FORMAT}.<model>.<numbers>; copy it "
            "again as a whole."
        )
    version, key, payload = found.groups()
    if version != FORMAT:
        raise DataError(
            f"A link of version '{version}' came, this program reads '{FORMAT}'; use the program "
            "that wrote it or a newer one."
        )
    z = _numbers_of(text, f"{version}.{key}.", payload)
    if model_key is not None and key != model_key:
        raise DataError(
            f"A link to a code of model {key} came, expected one of model {model_key}; open the "
            "model it was made for."
        )
    if n_latent is not None and len(z) != n_latent:
        raise DataError(
            f"A link to a code of {len(z)} numbers came, expected {n_latent}; open the model it "
            "was made for."
        )
    return key, z


def write_plain(z: Floats) -> str:
    """The code `z` `[D]` as text one can read and type: three decimals and commas, no check."""
    return ",".join(f"{value:.3f}".rstrip("0").rstrip(".") for value in z)


def read_plain(text: str, *, n_latent: int) -> Floats | None:
    """Inverse of `write_plain`; None when the text is no code of this size within ±1e6."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    # Refuses NaN and infinities too.
    if len(values) != n_latent or not all(abs(value) <= LARGEST for value in values):
        return None
    return np.array(values, np.float32)


def _numbers_of(text: str, head: str, payload: str) -> Floats:
    data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) if _fits(payload) else b""
    body, check = data[:-4], data[-4:]
    # Several texts may stand for the same bytes; one of them is right.
    if not body or check != _check(head, body) or _to_text(data) != payload:
        raise _damaged(text)
    signed = _unpack(body, text)
    largest = LARGEST * float(_STEPS)
    if len(signed) > MAX_LATENT or max(n >> 1 for n in signed) > largest:
        raise _damaged(text)
    sizes = np.array([n >> 1 for n in signed], np.float32) / _STEPS
    signs = np.array([n & 1 for n in signed], np.float32) * -2 + 1
    z: Floats = np.copysign(sizes, signs)
    return z


def _fits(payload: str) -> bool:
    # Base64 has no text of length 1, 5, 9, …
    return len(payload) % 4 != 1


def _pack(thousandths: Floats) -> bytes:
    sizes, signs = np.abs(thousandths).astype(np.int64), np.signbit(thousandths)
    out = bytearray()
    for number in (sizes << 1 | signs).tolist():
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)
    return bytes(out)


def _unpack(body: bytes, text: str) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in body:
        number |= (byte & 127) << shift
        # A longer way to write the same number is no link of ours.
        if shift > 28 or (shift and not byte):
            raise _damaged(text)
        shift += 7
        if byte < 128:
            numbers.append(number)
            number, shift = 0, 0
    if shift:
        raise _damaged(text)
    return numbers


def _check(head: str, body: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(head.encode() + body))


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _damaged(text: str) -> DataError:
    return DataError(
        f"The link {_short(text)} is damaged, expected one as it was written; copy it again as a "
        "whole."
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
