"""Whether pictures show something that is now here, now there."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vae_core.data.ground import centre_of_mass, ground_of

LEAST_PICTURES: Final = 8
# Of 255: what differs from the border by more is not ground.
_CONTRAST: Final = 48
_MOST_CONTENT, _LEAST_SPREAD = 0.25, 0.1


def things_move(images: NDArray[np.uint8]) -> bool:
    """Whether images `[N,C,H,W]` show small things at changing places before an even ground.

    Small: a quarter of the picture or less, in the median. Changing: their middle is spread
    (standard deviation) over a tenth of the picture or more, across and down. Ground: the
    median of each picture's border. Below 8 images the answer is no. In examples of sprites
    the middle is spread over 0.15, of Omniglot 0.05 to 0.07, of MNIST 0.01.
    """
    if len(images) < LEAST_PICTURES:
        return False
    grey = images.mean(1, keepdims=True)
    content = (np.abs(grey - ground_of(grey)[..., None, None]) > _CONTRAST)[:, 0]
    share = content.mean((1, 2))
    if np.median(share) > _MOST_CONTENT or (share > 0).sum() < LEAST_PICTURES:
        return False
    middles = centre_of_mass(content[share > 0])
    spread = min(m.std() / n for m, n in zip(middles, content.shape[1:], strict=True))
    return bool(spread >= _LEAST_SPREAD)
