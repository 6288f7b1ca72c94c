"""The Learn page in a browser: what its elements compute is what torch computes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from playwright.sync_api import BrowserContext, Locator, Page, expect

from pages.shared.learn import FOLDER
from tests.browser.conftest import shared_tab
from tests.browser.driving import eventually, shown_pixels
from tests.browser.server import RunningApp
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.data.digits import load_digits
from vae_core.examine import decode, snap

TOLERANCE = 2  # of 255


@pytest.fixture(scope="module")
def learn_tab(wide: BrowserContext, app: RunningApp) -> Iterator[Page]:
    """One tab on the Learn page that the tests of this file share."""
    with shared_tab(wide, f"{app.url}/learn") as page:
        for chapter in ("flow", "noise", "beta", "plain", "reductions", "pixel"):
            page.locator(f"[data-testid=learn-{chapter}][data-ready=true]").wait_for()
        yield page


def held(element: Locator, name: str) -> float:
    return float(element.get_attribute(f"data-{name}") or "nan")


def code_of(element: Locator) -> np.ndarray:
    return np.array(json.loads(element.get_attribute("data-z") or "[]"), np.float32)


def assert_decoded(canvas: Locator, checkpoint: Checkpoint, z: np.ndarray) -> None:
    wanted = decode(checkpoint, snap(z[None]))[0].transpose(1, 2, 0) * 255
    assert np.abs(shown_pixels(canvas) - wanted).max() <= TOLERANCE


def put(page: Page, testid: str, value: float) -> None:
    slider = page.get_by_test_id(testid)
    slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input')); }", value)


def test_one_image_flows_with_the_numbers_of_torch(learn_tab: Page) -> None:
    page, vae = learn_tab, load_checkpoint(FOLDER / "beta-1")
    flow = page.get_by_test_id("learn-flow")
    flow.locator(".lxl-pick").nth(4).click()
    put(page, "flow-epsilon-0", 2)
    put(page, "flow-epsilon-1", -1.5)
    # Both sliders are painted in one frame, unless one came between them.
    expect(page.get_by_test_id("flow-formula-0")).to_contain_text("· 2.00")
    expect(page.get_by_test_id("flow-formula-1")).to_contain_text("· (−1.50)")
    # The chosen picture is found again by its pixels among the digits of scikit-learn.
    seen = shown_pixels(page.get_by_test_id("flow-original"))[:, :, 0]
    found = np.abs(load_digits().images[:, 0] - seen).max((1, 2))
    x = torch.from_numpy(load_digits().images[[int(found.argmin())]]).float() / 255
    assert found.min() == 0

    with torch.no_grad():
        posterior = vae.model.encode(x)
        wanted = (posterior.mean + posterior.std * torch.tensor([[2.0, -1.5]])).numpy()[0]
        z = code_of(flow)
        nll = vae.model.likelihood.nll(vae.model.decode_raw(torch.from_numpy(z[None])), x)
    assert np.abs(z - wanted).max() < 6e-4
    assert_decoded(page.get_by_test_id("flow-decoded"), vae, z)
    assert held(flow, "reconstruction") == pytest.approx(float(nll), abs=1e-3)
    assert held(flow, "kl") == pytest.approx(float(posterior.kl_terms().sum()), abs=1e-4)

    page.get_by_test_id("flow-map").click(position={"x": 40, "y": 60})
    eventually(lambda: bool(np.abs(code_of(flow) - z).max() > 0.2), what="a dragged code")
    assert_decoded(page.get_by_test_id("flow-decoded"), vae, code_of(flow))
    moved = code_of(flow)
    page.get_by_test_id("flow-map").press("ArrowRight")
    eventually(lambda: bool(code_of(flow)[0] > moved[0]), what="a step by key")


def test_beta_and_the_plain_model_show_their_own_models(learn_tab: Page) -> None:
    page, beta = learn_tab, learn_tab.get_by_test_id("learn-beta")
    slider = page.get_by_test_id("beta-slider")
    slider.focus()
    for name in ("2", "4", "64"):
        slider.press("ArrowRight")
        expect(beta).to_have_attribute("data-beta", name)
    expect(page.get_by_test_id("beta-figures")).to_contain_text("KL 0.00 nats")
    rebuilt = [shown_pixels(page.get_by_test_id(f"beta-rebuilt-{i}")) for i in (0, 7)]
    assert np.abs(rebuilt[0] - rebuilt[1]).max() <= TOLERANCE, "a collapsed model has one picture"
    collapsed = load_checkpoint(FOLDER / "beta-64")
    assert_decoded(page.get_by_test_id("beta-rebuilt-0"), collapsed, collapsed.codes.mean[0])
    page.get_by_test_id("beta-bars").press("ArrowLeft")
    expect(beta).to_have_attribute("data-beta", "4")

    page.get_by_test_id("plain-hole").click()
    expect(page.get_by_test_id("plain-place")).to_contain_text("counted from the middle")
    for name, folder in (("ae", "ae"), ("vae", "beta-1")):
        picture = page.get_by_test_id(f"plain-picture-{name}")
        assert_decoded(picture, load_checkpoint(FOLDER / folder), code_of(picture))


def test_the_numbers_of_the_noise_the_reductions_and_the_pixel(learn_tab: Page) -> None:
    page = learn_tab
    put(page, "noise-mean", 0.5)
    put(page, "noise-std", 0.7)
    put(page, "noise-n", 8)
    gap = 0.5 - 3
    known = (gap**4 / 0.49 + 14 * gap**2 + 15 * 0.49) / 8, 4 * 0.49 / 8
    for i, wanted in enumerate(known):
        figure = page.get_by_test_id(f"noise-figure-{i}")
        eventually(lambda f=figure, w=wanted: math.isclose(held(f, "known"), w, rel_tol=1e-9))
        assert held(figure, "variance") == pytest.approx(wanted, rel=0.15)

    reductions = page.get_by_test_id("learn-reductions")
    page.get_by_role("button", name="mean over pixels").click()
    expect(reductions).to_have_attribute("data-beta", "64")
    expect(page.get_by_test_id("loss-model")).to_contain_text("Trained with this balance")
    page.get_by_role("button", name="28 × 28").click()
    expect(reductions).to_have_attribute("data-beta", "784")
    page.get_by_role("button", name="mean over dimensions").click()
    expect(reductions).to_have_attribute("data-beta", "392")

    put(page, "pixel-target", 0.3)
    put(page, "pixel-guess", 0.9)
    p, x = torch.tensor(0.9, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    raw = torch.logit(p).requires_grad_()
    cross = torch.nn.functional.binary_cross_entropy_with_logits(raw, x)
    (cross_slope,) = torch.autograd.grad(cross, raw)
    (squared_slope,) = torch.autograd.grad((x - torch.sigmoid(raw)) ** 2, raw)
    pixel = page.get_by_test_id("learn-pixel")
    eventually(lambda: math.isclose(held(pixel, "cross"), float(cross.detach()), rel_tol=1e-6))
    assert held(pixel, "cross-slope") == pytest.approx(float(cross_slope), rel=1e-6)
    assert held(pixel, "squared-slope") == pytest.approx(float(squared_slope), rel=1e-6)
