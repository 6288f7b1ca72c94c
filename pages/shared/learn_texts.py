"""The words of the Learn page: what each chapter says, in formulas, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Chapter:
    """One chapter: its element's name, its heading, Markdown before the element and after it.

    `formula` is LaTeX with a line in `reading` that says its symbols; `needs_models` tells
    whether there is nothing to touch without the shipped models.
    """

    key: str
    title: str
    text: str
    formula: str
    reading: str
    after: str
    sources: str
    needs_models: bool = True


OPENING: Final = """
Six short chapters, each with something to drag. The pictures are the 1,797 handwritten digits of
8 × 8 pixels that come with scikit-learn, shown enlarged; the models are small enough to answer in
your browser while you drag: whatever a model shows is decoded at the moment you see it.
"""

FLOW: Final = Chapter(
    "flow",
    "1. One image flows through",
    """
A variational autoencoder (VAE) is two networks. The **encoder** looks at a picture $x$ and answers
with a *bell curve* for each number of its code: a middle $\\mu$ (mu, the mean) and a width
$\\sigma$ (sigma, the standard deviation). The code $z$ is drawn from these bells: $\\varepsilon$
(epsilon) is plain noise from the standard bell, stretched by $\\sigma$ and moved to $\\mu$. The
**decoder** gets $z$ and nothing else, and draws the picture from it.

**Try:** pick a digit, push the noise sliders, or drag the dot on the map far out of its ellipse.
""",
    r"z_d = \mu_d + \sigma_d\,\varepsilon_d,\qquad \varepsilon_d \sim \mathcal{N}(0, 1)",
    "$d$ counts the numbers of the code, here 1 and 2; $\\sim$ reads “drawn from”, and "
    "$\\mathcal{N}(0, 1)$ is the bell with mean 0 and width 1.",
    """
Draws from one digit's bells must all decode to nearly the same picture, so places near each other
on the map come to look alike. That is why the map can be walked on.
""",
    "Kingma & Welling 2013, [arXiv:1312.6114](https://arxiv.org/abs/1312.6114); Rezende, Mohamed & "
    "Wierstra 2014, [arXiv:1401.4082](https://arxiv.org/abs/1401.4082).",
)

NOISE: Final = Chapter(
    "noise",
    "2. Why the noise stands outside",
    """
Training needs a slope: in which direction should $\\mu$ move to lower the loss? A random draw has
no slope, since it jumps each time one looks. The *reparameterisation* writes the same draw as
$z = \\mu + \\sigma\\varepsilon$ with the noise $\\varepsilon$ as an outside input. Keep the noise,
move $\\mu$, and the loss is a smooth curve. Here the loss is $(z - 3)^2$, so the best mean is 3.

**Try:** drag the dot on either curve; then make $\\sigma$ small or large and watch the histograms.
""",
    r"\nabla_\mu\,\mathbb{E}\big[(z-3)^2\big]"
    r"=\mathbb{E}\Big[\underbrace{(z-3)^2\,\tfrac{\varepsilon}{\sigma}}_{\text{score function}}"
    r"\Big]=\mathbb{E}\Big[\underbrace{2(z-3)}_{\text{reparameterised}}\Big]",
    "$\\mathbb{E}[\\,\\cdot\\,]$ is the average over many draws, $\\nabla_\\mu$ the slope when "
    "$\\mu$ moves. Both averages are the same slope; single estimates scatter very differently.",
    """
The score function needs only the loss's *value*, so it also works where nothing can be
differentiated; the price is its scatter (*variance*). The reparameterised slope looks through the
draw and uses the slope of the loss itself.
""",
    "Kingma & Welling 2013, section 2.4; Rezende et al. 2014; the score-function estimator: "
    "Williams 1992, “Simple statistical gradient-following algorithms”.",
    needs_models=False,
)

BETA: Final = Chapter(
    "beta",
    "3. What the two terms do",
    """
The loss of a VAE has two terms that pull in opposite directions. The **reconstruction** term asks
for a faithful copy. The **KL** term (Kullback–Leibler divergence) asks each bell to look like the
standard bell, which the code may forget everything to do. $\\beta$ (beta) weighs the second: each
stop of the slider is a model trained anew with that $\\beta$, nothing else changed.

**Try:** go from $\\beta = 0$ to 64 and watch copies, ellipses and samples trade places.
""",
    r"\text{loss} = \underbrace{-\log p(x \mid z)}_{\text{reconstruction}} + \beta\,"
    r"\underbrace{\textstyle\sum_d \tfrac12\left(\mu_d^2 + \sigma_d^2 - 1 - 2\ln\sigma_d\right)}"
    r"_{\text{KL}}",
    "$p(x \\mid z)$ is the probability the decoder gives to the true picture. Both terms are "
    "counted in *nats*, the unit that belongs to the natural logarithm: 1 nat = 1.44 bits.",
    """
With $\\beta = 1$ the sum is a bound on how well the model predicts pictures (the ELBO with its sign
turned). *Rate* is the KL: how much a code says; *distortion* is the reconstruction term: how much
it leaves unsaid. The models trace a curve, and $\\beta$ chooses the place on it.
""",
    "Higgins et al. 2017, [β-VAE](https://openreview.net/forum?id=Sy2fzU9gl); Alemi et al. 2018, "
    "[arXiv:1711.00464](https://arxiv.org/abs/1711.00464) (rate and distortion).",
)

PLAIN: Final = Chapter(
    "plain",
    "4. A plain autoencoder beside it",
    """
Leave out the noise and the KL term, and a plain autoencoder remains: every picture gets one point,
and nobody says where the points lie or what lives between them. Ask both models the same
questions: what is at *this* place, and what do draws from the standard bell $\\mathcal{N}(0, I)$
look like?

**Try:** drag in either map, press “A hole of the autoencoder”, then draw sixteen at random.
""",
    r"\text{autoencoder: } z = f(x) \qquad\qquad \text{VAE: } z \sim \mathcal{N}\big(\mu(x),\,"
    r"\sigma(x)^2\big)",
    "$f$ is the encoder of the plain autoencoder; $I$ says that both numbers of the code are drawn "
    "by themselves, each with width 1.",
    """
In a hole the decoder was never asked anything in training, so it answers with whatever its weights
happen to say. The VAE's bells cover the ground between the digits, and the KL term keeps them
where draws from $\\mathcal{N}(0, I)$ fall.
""",
    "Hinton & Salakhutdinov 2006 (autoencoders); Kingma & Welling 2013.",
)

REDUCTIONS: Final = Chapter(
    "reductions",
    "5. Sum or mean: a hidden β",
    """
A picture's reconstruction loss is a number per *pixel*, its KL a number per *dimension*. The ELBO
adds up all of them. Many programs take the **mean** over pixels instead, because it reads better;
it divides one of the two terms by the number of pixels and leaves the other as it was. That is a
$\\beta$-VAE with a large $\\beta$ that nobody wrote down.

**Try:** choose “mean over pixels”, then larger pictures. The digits below show what it does.
""",
    r"\tfrac{1}{P}\,\text{reconstruction} + \text{KL} = \tfrac{1}{P}\,\big(\text{reconstruction} + "
    r"P\cdot\text{KL}\big)",
    "$P$ is the number of pixel values: 64 for these digits, 784 for 28 × 28, 12,288 for a small "
    "colour picture. The factor $1/P$ in front changes the size of a step, not its direction.",
    """
This project sums over pixels and over dimensions and takes the mean over the batch only, so β
means the same for every picture size and code size.
""",
    "Higgins et al. 2017, section 4 (β scaled by the sizes of picture and code).",
)

PIXEL: Final = Chapter(
    "pixel",
    "6. Two losses for one pixel",
    """
How far is a predicted grey $p$ from the true grey $x$? **Squared error** is what remains when a
pixel is a bell around $p$ (a Gaussian); **cross-entropy** when it is a coin that shows white with
probability $p$ (a Bernoulli). Both are lowest at $p = x$. They differ in how hard they pull when
the decoder is sure and wrong.

**Try:** leave the true grey at 1 and drag the prediction towards 0. Compare the two pulls.
""",
    r"(x-p)^2 \qquad\text{and}\qquad -x\ln p-(1-x)\ln(1-p)",
    "$a$ is the decoder's raw output before it is squashed into 0 to 1; the pull is minus the "
    "slope of the loss in $a$, and that is what training feels.",
    """
Where $x$ is grey, cross-entropy does not reach zero: that rest is the hatched part of the bars
above. A Gaussian also has a width of its own; this project learns it instead of fixing it, since a
fixed one is one more hidden β.
""",
    "Kingma & Welling 2013, appendix C; Rybkin, Daniilidis & Levine 2021, "
    "[arXiv:2006.13202](https://arxiv.org/abs/2006.13202) (learned width).",
    needs_models=False,
)

CHAPTERS: Final = (FLOW, NOISE, BETA, PLAIN, REDUCTIONS, PIXEL)

# One sentence per trained β, in the order of `learn_payload.BETAS`.
BETA_WORDS: Final = (
    "The KL term counts for nothing: the bells shrink to needles, the codes spread far beyond the "
    "prior, and draws from N(0, I) only meet the middle of the map.",
    "A little KL already gathers the codes around the prior; the bells are still narrow.",
    "Copies nearly as good as without any KL term, for a code of a seventh of the nats.",
    "The true balance: bells that touch their neighbours, samples like digits, softer copies.",
    "Wide bells: the code tells shapes apart, yet copies turn into averages of similar digits.",
    "Collapse: every bell is the prior, the code says nothing, every copy is the average digit.",
    "The same collapse. This is what a mean over 64 pixels does by accident: see chapter 5.",
)

CLOSING: Final = """
Now look at models of real size: the map is on **Explore**, the sliders on **Walk**, and
**Reconstruct** shows the bells of a picture of yours. How the small models of this page were
trained, and how to train them again, stands in `docs/learn.md`.
"""
