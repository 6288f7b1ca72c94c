"""Symbols as one exact integer: the asymmetric numeral system with an unbounded state.

Duda 2013, arXiv:1311.2540. Python's integers have no length, so nothing is ever renormalised and
no bit is lost to rounding: the integer's length is the message's information, to within a bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import DataError

Ints = NDArray[np.int64]


def frequencies(symbols: Ints, *, n_symbols: int) -> list[Ints]:
    """One table per column of `[N,D]`: 2·count + 1 for each of 0 … n_symbols − 1.

    Every symbol keeps a chance, as in Krichevsky & Trofimov 1981 (count plus one half).
    """
    return [2 * np.bincount(column, minlength=n_symbols) + 1 for column in symbols.T]


def pack(symbols: Ints, tables: Sequence[Ints]) -> bytes:
    """Symbols `[N,D]`, column d by `tables[d]`, as big-endian bytes without leading zeros."""
    starts = [np.cumsum(table) - table for table in tables]
    totals = [int(table.sum()) for table in tables]
    state = 0
    # Last in, first out: written backwards, read forwards.
    for row in symbols[::-1]:
        for d in range(len(tables) - 1, -1, -1):
            symbol = int(row[d])
            rest, place = divmod(state, int(tables[d][symbol]))
            state = rest * totals[d] + int(starts[d][symbol]) + place
    return state.to_bytes((state.bit_length() + 7) // 8, "big")


def unpack(data: bytes, tables: Sequence[Ints], *, n: int) -> Ints:
    """The symbols `[n,D]` that `pack` wrote; `DataError` when there are bytes too many."""
    ends = [np.cumsum(table) for table in tables]
    # Checked before anything is divided: dividing a hostile message of megabytes takes minutes.
    if 8 * len(data) > 8 + n * sum(int(end[-1]).bit_length() for end in ends):
        raise _left_over(len(data), n)
    state = int.from_bytes(data, "big")
    symbols = np.empty((n, len(tables)), np.int64)
    for row in symbols:
        for d, (table, end) in enumerate(zip(tables, ends, strict=True)):
            rest, place = divmod(state, int(end[-1]))
            symbol = int(np.searchsorted(end, place, side="right"))
            state = rest * int(table[symbol]) + place - int(end[symbol] - table[symbol])
            row[d] = symbol
    if state:
        raise _left_over(len(data), n)
    return symbols


def _left_over(n_bytes: int, n: int) -> DataError:
    return DataError(
        f"A message of {n_bytes:,} bytes holds more than the {n} codes expected; it is damaged, "
        "get the file again."
    )
