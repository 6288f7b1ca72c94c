"""The 1,797 handwritten digits, 8×8 pixels, that come with scikit-learn: no download at all."""

from __future__ import annotations

import numpy as np

from vae_core.data.imageset import ImageSet, seeded_split

HIGHEST_VALUE = 16  # the original counts dark pixels in 4×4 blocks


def load_digits(*, seed: int = 0) -> ImageSet:
    """Digits as a set of uint8 `[1797,1,8,8]` (0..16 scaled to 0..255) with labels 0 to 9.

    Source: Alpaydin & Kaynak 1998, UCI "Optical Recognition of Handwritten Digits" (test part).
    """
    from sklearn.datasets import load_digits as read_bundled

    bundle = read_bundled()
    images = np.rint(bundle.images * (255 / HIGHEST_VALUE)).astype(np.uint8)
    return ImageSet(
        name="digits",
        images=images[:, None],
        ids=np.arange(len(images), dtype=np.int64),
        split=seeded_split(len(images), seed=seed),
        labels=bundle.target.astype(np.int64),
        label_names=tuple(str(digit) for digit in range(10)),
    )
