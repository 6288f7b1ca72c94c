"""Every control of Walk has a name that can be read out and a place on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PATIENCE_MS, Scheme
from tests.browser.driving import eventually, run_ended
from tests.browser.server import RunningApp

SECTIONS = {
    "Sliders": "[data-testid=latent-walk][data-ready=true]",
    "Paths": "[data-testid=latent-path][data-ready=true]",
    "Grid": "[data-testid=latent-grid][data-ready=true]",
    "Arithmetic": "[data-testid=sum-result]",
    "Export": "[data-testid=stCode]",
}
ROLES = {
    *("Application", "application", "button", "checkbox", "combobox", "DisclosureTriangle"),
    *("link", "listbox", "radio", "searchbox", "slider", "spinbutton", "switch", "textbox"),
}
# An icon's letters, such as keyboard_double_arrow_right, are no name.
_ICON = re.compile(r"[a-z]+(_[a-z]+)+")
# What sticks out of the window to the right or is too narrow for its own row.
_OUTSIDE = """
() => Array.from(document.querySelectorAll(
    "main button, main input, main select, main canvas, main img, [data-testid=stMain] button, "
    + "[data-testid=stMain] input, [data-testid=stMain] select, [data-testid=stMain] canvas"))
  .filter((node) => node.checkVisibility())
  .filter((node) => { const box = node.getBoundingClientRect();
                      return box.width > 0 && (box.left < -1 || box.right > innerWidth + 1); })
  .map((node) => node.outerHTML.slice(0, 200))
"""


def nameless(page: Page) -> list[str]:
    """Roles of the controls for which the browser itself computes no name, with their place."""
    client = page.context.new_cdp_session(page)
    nodes = client.send("Accessibility.getFullAXTree")["nodes"]
    controls = [n for n in nodes if not n["ignored"] and n["role"]["value"] in ROLES]
    assert len(controls) > 10
    names = [
        (n["role"]["value"], str(n.get("name", {}).get("value", "")).strip()) for n in controls
    ]
    return [f"{role} '{name}'" for role, name in names if not name or _ICON.fullmatch(name)]


@pytest.fixture(scope="module", params=["light", "dark"])
def phone(request: pytest.FixtureRequest, browser: Browser, app: RunningApp) -> Iterator[Page]:
    """Walk on a phone, in both themes."""
    scheme: Scheme = request.param
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{app.url}/walk?model=faces-tiny")
    page.locator(SECTIONS["Sliders"]).wait_for()
    yield page
    context.close()


@pytest.mark.parametrize("section", SECTIONS)
def test_all_controls_are_named_and_fit_a_phone(phone: Page, section: str) -> None:
    phone.get_by_role("radio", name=section, exact=True).click()
    phone.locator(SECTIONS[section]).first.wait_for()
    for fold in phone.locator(".lx-root details:not([open]) > summary").all():
        if fold.is_visible():
            fold.click()
    run_ended(phone)
    assert nameless(phone) == []
    eventually(lambda: phone.evaluate(_OUTSIDE) == [], what=phone.evaluate(_OUTSIDE))
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    main = phone.get_by_test_id("stMain")
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
