"""The page of models, and the door before all pages, in a real browser on real servers."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import address, eventually, says
from tests.browser.server import running_app

PHONE = {"width": 390, "height": 844}
WIDER = """() => [...document.querySelectorAll('[data-testid=stMain] *')].filter((node) =>
  node.getBoundingClientRect().right > innerWidth + 1 && node.checkVisibility()
  && !node.closest('.wide, pre')).map((node) => node.className)"""


def fits(page: Page) -> None:
    eventually(lambda: page.evaluate(WIDER) == [], what=page.evaluate(WIDER))
    assert page.get_by_test_id("stException").count() == 0


def test_a_model_is_found_read_and_taken_along_on_a_phone(visit: Visit) -> None:
    page = visit("/models?model=digits-2d", size=PHONE)
    expect(page.locator("img.lxlib-strip")).to_have_count(2)
    sizes = "(all) => all.map((img) => img.naturalWidth)"
    strips = page.locator("img.lxlib-strip")
    eventually(lambda: min(strips.evaluate_all(sizes)) > 40, what="both strips, loaded")
    fits(page)
    page.get_by_label("Find").fill("faces")
    page.get_by_label("Find").press("Enter")
    expect(page.locator("img.lxlib-strip")).to_have_count(1)
    page.get_by_role("button", name="Details").click()
    says(page, "The command that made it")
    fits(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as a zip").click()
    packed = Path(waiting.value.path()).read_bytes()
    assert "faces-tiny/card.json" in zipfile.ZipFile(io.BytesIO(packed)).namelist()


def test_nothing_is_seen_before_the_password_not_even_by_the_first_request(
    visit: Visit, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_PASSWORD", "open sesame")
    with running_app(tiny_checkpoints) as locked:
        told: list[bytes] = []
        page = visit(f"{locked.url}/_stcore/health")
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda f: told.append(_raw(f)))
        )
        page.goto(f"{locked.url}/explore?model=faces-tiny")
        field = page.get_by_label("Password", exact=True)
        field.fill("sesame")
        field.press("Enter")
        says(page, "This is not the password; try again in 1 s.")
        expect(page.get_by_role("link", name="Explore")).to_have_count(0)
        sent = b"".join(told)
        assert b"Password" in sent
        assert not any(
            word in sent for word in (b"faces", b"digits", b"app/static", b"/checkpoints")
        )
        page.wait_for_timeout(1_100)
        field.fill("open sesame")
        page.get_by_role("button", name="Sign in").click()
        says(page, "latent dimensions, ")
        assert "/explore?model=faces-tiny" in address(page)
        assert _listens_on(locked.url) == {"0100007F"}


def _raw(frame: bytes | str) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()


def _listens_on(url: str) -> set[str]:
    """Addresses, as the kernel writes them, on which the server's port is open."""
    port = f"{int(url.rsplit(':', 1)[1]):04X}"
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if local.endswith(f":{port}") and state == "0A":
                found.add(local.split(":")[0])
    return found
