"""A handful of named points, and what they say of all others.

Codes are close where images are alike, so a few labels travel far: along the graph of nearest
neighbours (`propagate`) or by a straight line between classes (`classify`). Rows are always rows
of the codes that were given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from vae_core.errors import DataError
from vae_core.evaluate.probe import fit_logistic
from vae_core.latent.codes import MANY_CODES
from vae_core.latent.neighbours import nearest
from vae_core.latent.spreading import neighbour_graph, spread_labels

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Method = Literal["graph", "linear"]

MAX_CLASSES: Final = 255
MAX_NAME: Final = 60
# Shares of spread labels are far too modest: 34 % on average where 95 % are right (MNIST, 10
# labels per class). Their fourth power comes closest to how often it is right, for 1 to 30 labels.
SHARPNESS: Final = 4
# Suggestions weigh a row by the cube of its entropy before that: measured best at 50 and 100 labels
# among powers 1 to 3 of entropy and margin, sharpened and not.
URGENCY: Final = 3
# A code is typical where its neighbours are close; this many of them are looked at.
N_TYPICAL: Final = 20
# Suggestions are sought among this many open rows at most: clustering more takes seconds.
MAX_CANDIDATES: Final = 20_000


@dataclass(frozen=True)
class Labelling:
    """Names of classes, and the rows that were given one: row → place in `names`."""

    names: tuple[str, ...] = ()
    given: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.given)

    @property
    def rows(self) -> Ints:
        """The labelled rows, rising."""
        return np.array(sorted(self.given), np.int64)

    def kinds(self, n: int) -> Ints:
        """Class of each of n rows int64 `[n]`, −1 where none was given.

        `DataError` when a labelled row is not among them.
        """
        found = np.full(n, -1)
        rows = self.rows
        if len(rows) and not 0 <= rows[0] <= rows[-1] < n:
            raise DataError(
                f"Labels for rows {rows[0]} to {rows[-1]} came with {n} codes, expected rows 0 to "
                f"{n - 1}; give the codes the labels were made for."
            )
        found[rows] = [self.given[int(row)] for row in rows]
        return found

    def counts(self) -> tuple[int, ...]:
        """How many rows each class was given."""
        return tuple(
            np.bincount(list(self.given.values()), minlength=len(self.names)).tolist()
            if self.names
            else ()
        )


def give_name(labelling: Labelling, name: str, *, rows: Ints) -> Labelling:
    """The labelling with `rows` called `name`, whatever they were called before.

    Spaces at the ends and line breaks are dropped. `DataError` for an empty or too long name, no
    rows, or more than 255 classes.
    """
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        raise DataError(
            f"A name of {len(name)} characters came, expected 1 to {MAX_NAME}; give the class a "
            "short name."
        )
    if not len(rows):
        raise DataError("No point came to be named, expected one or more; choose some first.")
    names = labelling.names if name in labelling.names else (*labelling.names, name)
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"'{name}' would be class {len(names)}, {MAX_CLASSES} at most can be shown; use a "
            "name that is there already."
        )
    kind = names.index(name)
    return Labelling(names, {**labelling.given, **{int(row): kind for row in rows}})


def take_names(labelling: Labelling, *, rows: Ints) -> Labelling:
    """The labelling without these rows' labels; classes left with none are forgotten."""
    gone = {int(row) for row in rows}
    kept = {row: kind for row, kind in labelling.given.items() if row not in gone}
    used = sorted(set(kept.values()))
    place = {kind: new for new, kind in enumerate(used)}
    names = tuple(labelling.names[kind] for kind in used)
    return Labelling(names, {row: place[kind] for row, kind in kept.items()})


@dataclass(frozen=True)
class Propagated:
    """Chances of each class for N rows, float32 `[N,K]`, that sum to 1 in each row.

    A labelled row is certain of the class it was given.
    """

    chances: Floats

    @property
    def predicted(self) -> Ints:
        """The likeliest class of each row `[N]`."""
        found: Ints = self.chances.argmax(1).astype(np.int64)
        return found

    @property
    def confidence(self) -> Floats:
        """The chance of the likeliest class `[N]`."""
        found: Floats = self.chances.max(1)
        return found

    @property
    def uncertainty(self) -> Floats:
        """Entropy as a share of the largest there can be `[N]`: 0 is sure, 1 knows nothing."""
        entropy = -(self.chances * np.log(self.chances.clip(1e-12))).sum(1)
        found: Floats = (entropy / np.log(max(2, self.chances.shape[1]))).astype(np.float32)
        return found.clip(0, 1)


@dataclass(frozen=True)
class Ground:
    """What labels spread on: the graph of all codes and how typical each is `[N]`.

    Both None above 100,000 codes, where only `classify` is quick.
    """

    graph: sparse.csr_matrix | None
    typical: Floats | None


def ground_of(codes: Floats) -> Ground:
    """The ground of codes `[N,D]`; about a second for 10,000."""
    if len(codes) > MANY_CODES:
        return Ground(None, None)
    return Ground(neighbour_graph(codes), typicality(codes))


def propagate(graph: sparse.csr_matrix, labelling: Labelling) -> Propagated:
    """What the labels say of every node of `latent.spreading.neighbour_graph`.

    Under a second for 10,000 codes, ten classes, one core. `DataError` for fewer than two classes.
    """
    kinds = labelling.kinds(graph.shape[0])
    _check_classes(labelling)
    raw = spread_labels(graph, kinds)
    # Classes without a label stand last or between: they get no chance.
    shares = np.zeros((len(kinds), len(labelling.names)), np.float32)
    shares[:, : raw.shape[1]] = raw
    sharp = (shares / shares.max(1, keepdims=True)) ** SHARPNESS
    return _sure_of_given(sharp / sharp.sum(1, keepdims=True), kinds)


def classify(codes: Floats, labelling: Labelling) -> Propagated:
    """What multinomial logistic regression on standardised codes `[N,D]` says of every row.

    Quick for any number of codes, and weaker than `propagate` where classes are no
    straight-sided regions. `DataError` for fewer than two classes.
    """
    kinds = labelling.kinds(len(codes))
    _check_classes(labelling)
    std = codes.std(0)
    x = (codes - codes.mean(0)) / np.where(std > 0, std, 1)
    reader = fit_logistic(x[labelling.rows], kinds[labelling.rows])
    chances = np.zeros((len(codes), len(labelling.names)), np.float32)
    chances[:, reader.classes_] = reader.predict_proba(x)
    return _sure_of_given(chances, kinds)


def _check_classes(labelling: Labelling) -> None:
    used = {labelling.names[kind] for kind in labelling.given.values()}
    if len(used) < 2:
        told = "no label" if not used else f"labels of one class ('{next(iter(used))}')"
        raise DataError(
            f"There came {told}, expected two classes or more; name a point of another class."
        )


def _sure_of_given(chances: Floats, kinds: Ints) -> Propagated:
    known = np.flatnonzero(kinds >= 0)
    sure = chances.astype(np.float32)
    sure[known] = 0
    sure[known, kinds[known]] = 1
    return Propagated(sure)


# ---- what to label next -------------------------------------------------------------------------
def typicality(codes: Floats) -> Floats:
    """How much closer each code's neighbours lie than those neighbours' own do `[N]`, 1 on average.

    1 / mean distance to the nearest 20 (Hacohen et al. 2022, arXiv:2202.02794, equation 1), over
    the mean of the same for these 20: otherwise the densest class is suggested again and again
    (ones of MNIST: 4 of 6 suggestions).
    """
    rows, distances = nearest(codes, codes, k=min(N_TYPICAL + 1, len(codes)))
    if rows.shape[1] < 2:
        return np.ones(len(codes), np.float32)
    close: Floats = 1 / np.maximum(distances[:, 1:].mean(1), 1e-6)
    found: Floats = (close / close[rows[:, 1:]].mean(1)).astype(np.float32)
    return found


def suggest_next(
    codes: Floats,
    labelling: Labelling,
    *,
    n: int,
    propagated: Propagated | None = None,
    typical: Floats | None = None,
    seed: int = 0,
) -> Ints:
    """Up to n unlabelled rows worth a label: uncertain, representative, and unlike each other.

    The open codes are put into n groups by k-means, each code weighted by its uncertainty (all
    alike before there is a prediction); of each group comes the row whose weight times `typical`,
    as `typicality` gives it, is largest. Most uncertain row first. Source of the
    weighting: Zhdanov 2019 (arXiv:1901.05954).
    """
    from sklearn.cluster import KMeans

    open_rows = np.flatnonzero(labelling.kinds(len(codes)) < 0)
    open_rows = _drawn(open_rows, MAX_CANDIDATES, seed=seed)
    if n < 1 or not len(open_rows):
        return np.zeros(0, np.int64)
    weight = np.ones(len(open_rows))
    if propagated is not None:
        blunt = propagated.chances[open_rows] ** (1 / SHARPNESS)
        unsure = Propagated(blunt / blunt.sum(1, keepdims=True)).uncertainty
        weight = unsure.astype(np.float64) ** URGENCY + 1e-6
    z = codes[open_rows]
    n = min(n, len(np.unique(z, axis=0)))
    groups = KMeans(n, n_init=1, max_iter=20, random_state=seed).fit(z, sample_weight=weight)
    worth = weight * (1 if typical is None else typical[open_rows])
    best = [
        members[worth[members].argmax()]
        for members in (np.flatnonzero(groups.labels_ == number) for number in range(n))
        if len(members)
    ]
    return open_rows[sorted(best, key=lambda place: -weight[place])].astype(np.int64)


def _drawn(rows: Ints, limit: int, *, seed: int) -> Ints:
    if len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
