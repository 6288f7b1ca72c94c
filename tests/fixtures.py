"""Things several test files need that are no pytest fixtures."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vae_core.checkpoint import save_checkpoint
from vae_core.data.imageset import Factor, ImageSet, seeded_split
from vae_core.latent.codes import Codes, encode_set
from vae_core.latent.projection import NeighbourProjection, fit_pca
from vae_core.model import Autoencoder, ModelConfig
from vae_core.nets import architecture_for
from vae_core.types import ImageSpec

ROOT = Path(__file__).resolve().parent.parent

Answer = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def shared_data() -> Path | None:
    """Folder of real data sets: `VAE_SHARED_DATA`, or `../shared/data` beside the repository."""
    named = os.environ.get("VAE_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@contextmanager
def quick_maps() -> Iterator[None]:
    """Within this block the second map of a checkpoint is PCA under UMAP's name: no wait."""

    def stand_in(codes: NDArray[np.float32], **_: object) -> NeighbourProjection | None:
        return NeighbourProjection(fit_pca(codes).xy, codes) if len(codes) >= 16 else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae_core.pipeline.fit_umap", stand_in)
        yield


def small_model(
    shape: tuple[int, int, int] = (1, 8, 8),
    *,
    n_latent: int = 3,
    preset: str = "auto",
    likelihood: str = "bernoulli",
    seed: int = 0,
    posterior: str = "diagonal",
    n_classes: int = 0,
) -> Autoencoder:
    """An untrained model whose heads say something (trained ones do), in eval mode.

    With classes it also has a classifier.
    """
    spec = ImageSpec(*shape)
    config = ModelConfig(
        spec, n_latent, architecture_for(preset, spec), likelihood,
        posterior=posterior, n_classes=n_classes, is_classifier=n_classes > 0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Autoencoder(config)
        for head in (model.log_std_head, model.factor_head, model.label_head):
            if head is not None:
                torch.nn.init.normal_(head.weight, std=0.05)
    return model.eval()


def sharp_model(likelihood: str = "bernoulli") -> Autoencoder:
    """An untrained model whose codes matter: its output spans black to white."""
    model = small_model(likelihood=likelihood)
    with torch.no_grad():
        last = [m for m in model.decoder.modules() if getattr(m, "bias", None) is not None][-1]
        weight = last.weight
        assert isinstance(weight, Tensor)
        z = torch.randn((200, 3), generator=torch.Generator().manual_seed(0))
        weight *= 2 / float(model.decode_raw(z).std())
    model.start_at_mean(torch.full((1, 8, 8), 0.5))
    if likelihood != "bernoulli":
        with torch.no_grad():
            weight /= 8
            for parameter in model.likelihood.parameters():
                parameter.fill_(-3)
    return model.requires_grad_(False)


def pixels(n: int, shape: tuple[int, int, int] = (1, 8, 8), *, seed: int = 0) -> Tensor:
    """Float images `[n,C,H,W]` in [0,1]."""
    return torch.rand((n, *shape), generator=torch.Generator().manual_seed(seed))


def stripes(n: int = 80, shape: tuple[int, int, int] = (1, 8, 8), *, seed: int = 0) -> ImageSet:
    """A set with something to learn: each image is a smooth wave of one angle and phase."""
    random = np.random.default_rng(seed)
    angle, phase = random.uniform(0, np.pi, (n, 1, 1, 1)), random.uniform(0, 6, (n, 1, 1, 1))
    channel, y, x = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.7 + phase + channel)
    images = np.rint(127.5 * (wave + 1)).astype(np.uint8)
    labels = (angle.ravel() > np.pi / 2).astype(np.int64)
    factors = {"phase": Factor(phase.ravel().astype(np.float32))}
    ids, split = np.arange(n, dtype=np.int64), seeded_split(n, seed=seed)
    return ImageSet("stripes", images, ids, split, labels, ("flat", "steep"), factors)


def write_pictures(folder: Path, n: int = 60, *, side: int = 16) -> Path:
    """A folder of n grey PNG files that show stripes."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(stripes(n, (1, side, side)).images):
        Image.fromarray(image[0]).save(folder / f"{index:03d}.png")
    return folder


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Files by their path below a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """The same as one packed zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def save_small(
    folder: Path, *, model: Autoencoder | None = None, codes: Codes | None = None
) -> Path:
    """A checkpoint folder of an untrained model with codes of 40 stripes and two maps."""
    model = model or small_model(likelihood="gaussian")
    codes = codes or encode_set(model, stripes(40))
    pca = fit_pca(codes.mean)
    maps = {"pca": pca, "umap": NeighbourProjection(pca.xy * 2, codes.mean)}
    card = {"title": "Stripes", "data": {"source": "stripes"}, "metrics": {}}
    card |= {"split": {"seed": 0}, "objective": {"name": "vae"}}
    save_checkpoint(folder, model, card=card, codes=codes, maps=maps)
    return folder


def strict(text: str) -> dict[str, Any]:
    """Parse JSON as other languages do: NaN and Infinity are no numbers."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found
