"""Several models on the same images: what each rebuilds, lies between, draws and sees as near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.checkpoint import Checkpoint
from vae_core.data.catalogue import are_same_images
from vae_core.data.pixels import fit_images
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.compare import Agreement, agreement_of_all, cka_of_all, neighbour_agreement
from vae_core.evaluate.images import ImageScores, score_images
from vae_core.evaluate.quality import Quality, image_quality
from vae_core.latent.neighbours import nearest
from vae_core.types import ImageSpec

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]
MIN_MODELS: Final = 2
MAX_MODELS: Final = 4
_BATCH: Final = 250


class Coder(Protocol):
    """Whatever turns images into codes and back: a model, or PCA."""

    @property
    def name(self) -> str: ...
    @property
    def n_latent(self) -> int: ...
    @property
    def spec(self) -> ImageSpec: ...
    def encode(self, images: Images) -> Floats: ...
    def decode(self, codes: Floats) -> Floats: ...
    def draw(self, n: int, *, seed: int = 0) -> Floats: ...


@dataclass(frozen=True)
class ModelCoder:
    """A checkpoint as a `Coder`; its codes are the posteriors' means."""

    checkpoint: Checkpoint
    name: str

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions D."""
        return self.checkpoint.model.n_latent

    @property
    def spec(self) -> ImageSpec:
        """The images the model works on."""
        return self.checkpoint.model.spec

    @property
    def is_plain(self) -> bool:
        """Whether codes are points without width: a plain autoencoder."""
        return self.checkpoint.model.config.posterior == "point"

    def encode(self, images: Images) -> Floats:
        """Mean codes `[N,D]` of uint8 images of any shape, converted to the model's first."""
        return self.scores(images).mean

    def scores(self, images: Images) -> ImageScores:
        """All that one pass over the images tells."""
        return score_images(self.checkpoint.model, fit_images(images, self.spec))

    @torch.no_grad()
    def decode(self, codes: Floats) -> Floats:
        """Codes `[N,D]` → images float32 `[N,C,H,W]` in [0,1]."""
        model = self.checkpoint.model
        parts = [
            model.decode(torch.from_numpy(np.ascontiguousarray(part, np.float32)).to(model.device))
            for part in np.array_split(codes, max(1, -(-len(codes) // _BATCH)))
        ]
        images: Floats = torch.cat(parts).cpu().numpy()
        return images

    def draw(self, n: int, *, seed: int = 0) -> Floats:
        """n codes `[n,D]` from the prior N(0, I); the same for all models of one D."""
        return _noise(n, self.n_latent, seed=seed)


def _noise(n: int, n_latent: int, *, seed: int) -> Floats:
    """Draws `[n,D]` from N(0, I), the same for the same seed."""
    drawn: Floats = np.random.default_rng(seed).standard_normal((n, n_latent), np.float32)
    return drawn


def _flat(images: Images) -> Floats:
    """Images as rows of values in [0,1]."""
    values: Floats = (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)
    return values


@dataclass(frozen=True)
class Linear:
    """Principal components of a set as a `Coder`: `mean` `[P]`, `axes` `[D,P]`, `std` `[D]`.

    The best any linear encoder and decoder with D numbers can do in squared error on the
    `n_fitted` images it was made from.
    """

    spec: ImageSpec
    mean: Floats
    axes: Floats
    std: Floats
    n_fitted: int

    @property
    def name(self) -> str:
        """PCA with its number of dimensions."""
        return f"PCA, {self.n_latent} dimensions"

    @property
    def n_latent(self) -> int:
        """Number of components D."""
        return len(self.axes)

    def encode(self, images: Images) -> Floats:
        """Scores `[N,D]` of uint8 images."""
        values = _flat(fit_images(images, self.spec))
        scores: Floats = np.asarray((values - self.mean) @ self.axes.T, np.float32)
        return scores

    def decode(self, codes: Floats) -> Floats:
        """Scores `[N,D]` → images `[N,C,H,W]`, clipped to [0,1]."""
        values = np.clip(self.mean + codes @ self.axes, 0, 1)
        images: Floats = values.reshape(len(codes), *self.spec.shape).astype(np.float32)
        return images

    def draw(self, n: int, *, seed: int = 0) -> Floats:
        """n scores `[n,D]` from a Gaussian with the set's own variance along each component."""
        scores: Floats = _noise(n, self.n_latent, seed=seed) * self.std
        return scores

    def with_dimensions(self, n: int) -> Linear:
        """The first n components alone; all when there are fewer."""
        return Linear(self.spec, self.mean, self.axes[:n], self.std[:n], self.n_fitted)


def fit_linear(images: Images, n_dimensions: int, *, seed: int = 0) -> Linear:
    """PCA of uint8 `[N,C,H,W]` with at most `n_dimensions` components, fewer for few images.

    `DataError` for fewer than 2 images.
    """
    from sklearn.decomposition import PCA

    if len(images) < 2:
        raise DataError(
            f"{len(images)} images came for PCA, expected at least 2; give more of the set."
        )
    values = _flat(images)
    with np.errstate(invalid="ignore"):  # equal images: shares of no variance at all
        pca = PCA(min(n_dimensions, *values.shape), random_state=seed).fit(values)
    std = np.sqrt(pca.explained_variance_).astype(np.float32)
    axes, mean = pca.components_.astype(np.float32), pca.mean_.astype(np.float32)
    return Linear(ImageSpec(*images.shape[1:]), mean, axes, std, len(images))


@dataclass(frozen=True)
class Seen:
    """N images as one coder sees them.

    `images` uint8 `[N,C,H,W]` in the coder's own shape, `rebuilt` float32 of that shape,
    `codes` float32 `[N,D]`; `kl_nats` `[N,D]` or None where there is none.
    """

    coder: Coder
    images: Images
    codes: Floats
    rebuilt: Floats
    kl_nats: Floats | None

    @cached_property
    def quality(self) -> Quality:
        """MSE, PSNR and SSIM of each image against what the coder was given."""
        return image_quality(self.images, np.clip(self.rebuilt, 0, 1))

    @property
    def difference(self) -> Floats:
        """Absolute difference averaged over channels, `[N,H,W]` in [0,1]."""
        gap: Floats = np.abs(self.rebuilt - self.images / np.float32(255)).mean(1)
        return gap


def see(coder: Coder, images: Images) -> Seen:
    """Encode and rebuild uint8 `[N,C,H,W]` of any shape with one coder."""
    own, kl = fit_images(images, coder.spec), None
    if isinstance(coder, ModelCoder):
        scores = coder.scores(own)
        codes, kl = scores.mean, None if coder.is_plain else scores.kl_nats
    else:
        codes = coder.encode(own)
    return Seen(coder, own, codes, coder.decode(codes), kl)


@dataclass(frozen=True)
class Common:
    """Images that several models stored codes of: `ids` `[M]`, and their rows in each, or None.

    None stands for a model of other data, whose codes have to be made. `is_held_out`: none of
    the models that share the data was trained on them.
    """

    ids: NDArray[np.int64]
    rows: tuple[NDArray[np.int64] | None, ...]
    is_held_out: bool


def common_images(checkpoints: Sequence[Checkpoint], *, least: int = 20) -> Common:
    """Images of the first model's data that no model of the same data was trained on.

    Where fewer than `least` are held out by all, those held out by the first alone.
    """
    first = checkpoints[0]
    same = [are_same_images(first.card["data"], other.card["data"]) for other in checkpoints]
    ids = np.unique(first.codes.ids[first.codes.held_out])
    shared = ids
    for other, is_same in zip(checkpoints, same, strict=True):
        if is_same:
            shared = np.intersect1d(shared, other.codes.ids[other.codes.held_out])
    is_held_out = len(shared) >= min(least, len(ids))
    chosen = shared if is_held_out else ids
    rows = [
        _rows_of(other, chosen) if is_same else None
        for other, is_same in zip(checkpoints, same, strict=True)
    ]
    return Common(chosen, tuple(rows), is_held_out)


def _rows_of(checkpoint: Checkpoint, ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Rows of these ids among the stored codes, or None when one is missing."""
    order = np.argsort(checkpoint.codes.ids, kind="stable")
    known = checkpoint.codes.ids[order]
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return order[places] if np.array_equal(known[places], ids) else None


def blend(first: Floats, second: Floats, *, n: int) -> Floats:
    """n codes `[n,D]` on the straight line between two codes `[D]`, both ends among them."""
    share = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    codes: Floats = (1 - share) * first + share * second
    return codes


def traverse(z: Floats, dimension: int, values: Sequence[float]) -> Floats:
    """The code `z` `[D]` once for each value of one of its dimensions: `[n,D]`.

    `ConfigError` for a dimension the code does not have.
    """
    if not 0 <= dimension < len(z):
        raise ConfigError(
            f"Dimension {dimension} was asked for, this code has 0 to {len(z) - 1}; choose one."
        )
    codes = np.repeat(z[None].astype(np.float32), len(values), axis=0)
    codes[:, dimension] = values
    return codes


@dataclass(frozen=True)
class Likeness:
    """How alike M descriptions of the same N images are, pair by pair.

    `names` M of them; `agreement[k]` `[M,M]` shares of common neighbours, `chance[k]` what
    chance would give; `cka` `[M,M]`.
    """

    names: tuple[str, ...]
    n_images: int
    agreement: dict[int, NDArray[np.float64]]
    chance: dict[int, float]
    cka: NDArray[np.float64]


def likeness(
    descriptions: Mapping[str, Floats], *, neighbours: Sequence[int] = (10, 50)
) -> Likeness:
    """Compare every two of several descriptions `[N,D]` of the same images.

    Numbers of neighbours that reach a third of N are left out: chance alone would share most.
    `DataError` for fewer than 4 images.
    """
    names = tuple(descriptions)
    n = len(descriptions[names[0]])
    used = [k for k in neighbours if 3 * k <= n] or [max(1, n // 4)]
    codes = list(descriptions.values())
    agreement = agreement_of_all(codes, neighbours=used)
    return Likeness(names, n, agreement, {k: k / (n - 1) for k in used}, cka_of_all(codes))


def agreement_per_image(first: Floats, second: Floats, *, k: int = 10) -> Agreement:
    """`neighbour_agreement` with k brought down to what so few images allow."""
    return neighbour_agreement(first, second, k=max(1, min(k, (len(first) - 1) // 3)))


def neighbours_of(codes: Floats, row: int, *, k: int) -> NDArray[np.int64]:
    """Rows of the k nearest other images of one image, nearest first."""
    found = nearest(codes[row : row + 1], codes, k=k + 1)[0][0]
    others: NDArray[np.int64] = found[found != row][:k]
    return others
