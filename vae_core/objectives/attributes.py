"""The attribute VAE: the first dimensions of the code stand for attributes that are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from vae_core.errors import ConfigError
from vae_core.model import Autoencoder
from vae_core.objectives.base import Batch, Evidence, Terms, gather_evidence, option


@dataclass(frozen=True)
class AttributeVAE:
    """A VAE of pictures and attributes together, p(x,a,z) = p(z)·p(x|z)·p(a|z).

    a_k, in standard deviations from its mean over the training images, is N(z_k, attribute_std²):
    dimension k is the attribute, so a slider has its name and its unit. Where a is unknown its
    term drops out. loss = reconstruction + β · KL − E_q[log p(a|z)]. Source: the partially
    supervised codes of Siddharth et al. 2017 (arXiv:1706.00400), with a Gaussian for a.
    """

    attributes: str = option(
        "", "names of factors, categories or label, commas between; empty = all factors"
    )
    attribute_std: float = option(0.1, "spread of an attribute around its dimension, in its units")
    beta: float = option(1.0, "weight of the KL term")

    def __post_init__(self) -> None:
        if not self.attribute_std > 0:
            raise ConfigError(
                f"--attribute-std {self.attribute_std:g} came, expected a number above 0; "
                "the usual value is 0.1."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes by name; none stands for all."""
        return tuple(name.strip() for name in self.attributes.split(",") if name.strip())

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction + β · KL + what the attributes that are known cost."""
        found = gather_evidence(model, batch)
        loss = found.reconstruction + self.beta * found.kl.sum(1)
        if batch.attributes is None:
            return Terms(loss, found.parts)
        cost = self._cost(found, batch.attributes)
        return Terms(loss + cost, {**found.parts, "attributes": cost})

    def _cost(self, found: Evidence, attributes: Tensor) -> Tensor:
        """E_q[−log p(a|z)] over the attributes that are known, `[B]` nats, in closed form."""
        n, n_latent = attributes.shape[1], found.z.shape[1]
        check_room(n, n_latent)
        known = attributes.isfinite()
        off = (attributes.nan_to_num() - found.posterior.mean[:, :n]).square()
        spread = (2 * found.posterior.log_std[:, :n]).exp()
        constant = 0.5 * math.log(2 * math.pi) + math.log(self.attribute_std)
        nats = 0.5 * (off + spread) / self.attribute_std**2 + constant
        return (nats * known).sum(1)


def check_room(n_attributes: int, n_latent: int) -> None:
    """`ConfigError` when there are fewer dimensions than attributes."""
    if n_attributes > n_latent:
        raise ConfigError(
            f"{n_attributes} attributes came for {n_latent} latent dimensions; "
            f"give --latent {n_attributes} or more, or name fewer attributes."
        )
