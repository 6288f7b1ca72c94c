"""What holds on every page: fresh servers, phones, dark rooms."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import PICTURE, address, click_map, eventually, map_of, places_on
from tests.browser.server import running_app

NAMES = ("Home", "Learn", "Explore", "Walk", "Reconstruct", "Label", "Compare", "Train", "Models")
PAGES = ("/", "/explore", "/walk", "/reconstruct", "/label")
READY = {
    "/": "[data-testid=latent-map][data-ready=true]",
    "/explore": "[data-testid=latent-map][data-ready=true]",
    "/walk": "[data-testid=latent-walk][data-ready=true]",
    "/reconstruct": "[data-testid=reconstructed-image] img",
    "/label": "[data-testid=latent-map][data-ready=true]",
}
# Pages with a story of their own: their tests open them deep, these only hold the frame.
OTHERS = ("/learn", "/compare", "/train", "/models")
READY |= {
    "/learn": "[data-testid=learn-flow][data-ready=true]",
    "/compare": "[data-testid=compare-rebuilt] img",
    "/train": "[data-testid=stFileUploaderDropzone]",
    "/models": "img.lxlib-strip",
}
PHONE = {"width": 390, "height": 844}


def assert_framed(page: Page, path: str) -> None:
    """The page's own content, and the frame's model picker and links."""
    page.locator(READY[path]).first.wait_for()
    expect(page.get_by_text("Latent Explorer").first).to_be_attached()
    for name in NAMES:
        expect(page.get_by_role("link", name=name).first).to_be_attached()
    assert page.get_by_test_id("stException").all_inner_texts() == []


@pytest.mark.parametrize("path", ["/explore", "/walk", "/train"])
def test_deep_link_is_the_first_request_of_a_server(
    visit: Visit, tiny_checkpoints: Path, path: str
) -> None:
    with running_app(tiny_checkpoints) as fresh:
        page = visit(f"{fresh.url}{path}?model=faces-tiny")
        assert_framed(page, path)
        assert "model=faces-tiny" in address(page)


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
def test_phone_has_no_sideways_scroll(visit: Visit, path: str) -> None:
    page = visit(f"{path}?model=faces-tiny", size=PHONE)
    assert_framed(page, path)
    widths = "() => [document.documentElement.scrollWidth, innerWidth]"
    eventually(lambda: page.evaluate(widths)[0] <= PHONE["width"], what=page.evaluate(widths))
    wider = """() => [...document.querySelectorAll('[data-testid=stMain] *')].filter((node) =>
      node.getBoundingClientRect().right > innerWidth + 1 && node.checkVisibility()
      && !node.closest('.lx-stage, [data-testid=stPlotlyChart], .katex'))
      .map((node) => node.className)"""
    eventually(lambda: page.evaluate(wider) == [], what=page.evaluate(wider))


@pytest.mark.parametrize("path", ["/explore", "/walk"])
def test_dark_theme_keeps_everything_visible(visit: Visit, path: str) -> None:
    page = visit(f"{path}?model=faces-tiny", scheme="dark")
    page.locator(READY[path]).first.wait_for()
    if path == "/explore":
        click_map(page, places_on(page).points[0])
    expect(page.locator(f"{PICTURE}[data-painted]")).to_be_visible()
    colours = page.evaluate("""() => [
      getComputedStyle(document.querySelector('.lx-root')).color,
      getComputedStyle(document.querySelector('.stApp')).backgroundColor]""")
    text, ground = (sum(map(int, c[c.index("(") + 1 : -1].split(",")[:3])) for c in colours)
    assert text - ground > 300


def test_pages_link_to_each_other_without_reload(visit: Visit) -> None:
    page = visit("/?model=faces-tiny")
    map_of(page)
    page.evaluate("() => { window.stayed = true; }")
    for name, path in (("Explore", "/explore"), ("Walk", "/walk"), ("Reconstruct", "/reconstruct")):
        page.get_by_role("link", name=name).first.click()
        # The last page's map would do as well, so the address comes first.
        eventually(lambda wanted=f"{path}?model=faces-tiny": wanted in address(page), what=path)
        page.locator(READY[path]).first.wait_for()
    assert page.evaluate("() => window.stayed") is True
    names = page.evaluate("() => performance.getEntriesByType('resource').map((e) => e.name)")
    foreign = [n for n in names if not n.startswith(("http://127.0.0.1", "data:", "blob:"))]
    # Streamlit asks fonts.gstatic.com for the picture in the tab; without a network it has none.
    assert [name for name in foreign if not name.endswith(".svg")] == []


def test_what_an_element_tells_as_its_page_is_left_does_not_empty_the_next(visit: Visit) -> None:
    page = visit("/?model=faces-tiny")
    map_of(page)
    page.evaluate("""() => {
      let host = document.querySelector('[data-testid=latent-map]');
      while (!host.lxView) host = host.parentElement;
      const { args } = host.lxView;
      [...document.querySelectorAll('a[href]')].find((a) => a.pathname === '/explore').click();
      // As a click on the map a moment before does: it is told only once the hand rests.
      args.setTriggerValue('pick', { kind: 'point', row: 1 });
    }""")
    page.get_by_label("Colour by").wait_for()
    map_of(page)
    # The page that is there now is heard.
    click_map(page, places_on(page).points[1])
    eventually(lambda: "point=" in address(page), what=address(page))
