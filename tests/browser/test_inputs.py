"""Drawing, pasting, archives and their results, by a real browser."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import eventually, says, shown_pixels, swipe
from tests.pages.pictures import good_pictures, png

_PASTE = """
async ([text, type]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], "copied", { type }));
  const event = new ClipboardEvent("paste", { clipboardData: held, bubbles: true });
  document.body.dispatchEvent(event);
}
"""
_PIXELS_OF = """
async (image) => {
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data);
}
"""


def open_sheet(page: Page) -> dict[str, float]:
    page.get_by_role("radio", name="Draw", exact=True).click()
    page.locator("[data-testid=drawing][data-ready=true]").wait_for()
    sheet = page.get_by_test_id("drawing-sheet")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None
    return {**box}


def stroke(page: Page, box: dict[str, float], *points: tuple[float, float]) -> None:
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=3)
    page.mouse.up()


def network_pixels(page: Page) -> np.ndarray:
    """What the small canvas promises, `[H,W]`."""
    return shown_pixels(page.get_by_test_id("drawing-seen"))[:, :, 0]


def test_a_drawing_reaches_the_model_as_the_preview_shows_it(visit: Visit) -> None:
    page = visit("/reconstruct?model=digits-2d")
    box = open_sheet(page)
    stroke(page, box, (0.1, 0.1), (0.4, 0.15), (0.15, 0.5))
    expect(page.get_by_role("heading", name="your drawing")).to_be_visible()
    promised = network_pixels(page)
    rows, columns = (np.indices(promised.shape)[i] for i in (0, 1))
    middle = [(i * promised).sum() / promised.sum() for i in (rows, columns)]
    assert np.allclose(middle, (np.array(promised.shape) - 1) / 2, atol=0.6)
    image = page.get_by_test_id("original-image").locator("img")

    def is_kept() -> bool:  # the heading comes before the picture, which may still be the sample's
        # While one takes the other's place both are there.
        values = np.array(image.last.evaluate(_PIXELS_OF)).reshape(*promised.shape, 4)[:, :, 0]
        return np.array_equal(values, promised)

    eventually(is_kept, what="the drawing as it was previewed")
    expect(image).to_have_count(1)


def test_strokes_are_undone_redone_and_cleared(visit: Visit) -> None:
    page = visit("/reconstruct?model=digits-2d")
    box = open_sheet(page)
    stroke(page, box, (0.2, 0.5), (0.8, 0.5))
    one = network_pixels(page)
    stroke(page, box, (0.5, 0.2), (0.5, 0.8))
    both = network_pixels(page)
    assert not np.array_equal(one, both)
    page.get_by_role("button", name="Undo the last stroke").click()
    assert np.array_equal(network_pixels(page), one)
    page.get_by_role("button", name="Draw the stroke again").click()
    assert np.array_equal(network_pixels(page), both)
    expect(page.get_by_role("heading", name="your drawing")).to_be_visible()
    page.get_by_role("button", name="Clear the sheet").click()
    assert network_pixels(page).max() == 0
    expect(page.get_by_role("heading", name="your drawing")).to_have_count(0)
    says(page, "until then a sample is shown below")


def test_a_finger_draws_on_a_phone(visit: Visit) -> None:
    page = visit("/reconstruct?model=digits-2d", size={"width": 390, "height": 844})
    box = open_sheet(page)
    assert box["width"] <= 390
    y, left, wide = box["y"] + 0.5 * box["height"], box["x"], box["width"]
    swipe(page, [(left + share * wide, y) for share in (0.2, 0.5, 0.8)])
    expect(page.get_by_role("heading", name="your drawing")).to_be_visible()
    assert network_pixels(page).max() > 128
    sheet = page.get_by_test_id("drawing-sheet")
    assert sheet.evaluate("(node) => getComputedStyle(node).touchAction") == "none"


def test_the_camera_takes_a_picture(visit: Visit) -> None:
    # Chromium brings a camera of its own that films a moving pattern.
    page = visit("/reconstruct?model=faces-tiny", size={"width": 1280, "height": 900})
    page.context.grant_permissions(["camera"])
    page.get_by_role("radio", name="Camera", exact=True).click()
    shutter = page.get_by_role("button", name="Take Photo")
    expect(shutter).to_be_enabled()
    # The button is there before the first frame, and without one it takes nothing.
    page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")
    shutter.click()
    expect(page.get_by_role("heading", name="camera")).to_be_visible()
    says(page, "centre-cropped")
    image = page.get_by_test_id("original-image").locator("img")
    assert np.ptp(np.array(image.evaluate(_PIXELS_OF)).reshape(-1, 4)[:, :3]) > 50


def test_colour_models_have_no_sheet(visit: Visit) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    page.get_by_role("radio", name="Camera", exact=True).wait_for()
    expect(page.get_by_role("radio", name="Draw", exact=True)).to_have_count(0)


def paste(page: Page, data: bytes, kind: str = "image/png") -> None:
    import base64

    page.locator("[data-testid=paste][data-ready=true]").wait_for()
    page.evaluate(_PASTE, [base64.b64encode(data).decode(), kind])


def test_a_pasted_picture_is_rebuilt_and_removed_again(visit: Visit) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    wide = io.BytesIO()
    Image.new("RGB", (3000, 1500), (200, 30, 40)).save(wide, "PNG")
    paste(page, wide.getvalue())
    expect(page.get_by_role("heading", name="pasted 1")).to_be_visible()
    says(page, "centre-cropped 1024×512")
    page.get_by_role("button", name="Remove 1 pasted picture").click()
    expect(page.get_by_role("heading", name="pasted 1")).to_have_count(0)


_COPY = """
async () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [200, 100];
  canvas.getContext("2d").fillRect(20, 20, 60, 60);
  const png = await new Promise((done) => canvas.toBlob(done, "image/png"));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
}
"""


def test_the_button_pastes_what_was_copied(visit: Visit) -> None:
    page = visit("/reconstruct?model=faces-tiny", size={"width": 1280, "height": 900})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-testid=paste][data-ready=true]").wait_for()
    page.evaluate(_COPY)
    page.get_by_role("button", name="Paste a picture").click()
    expect(page.get_by_role("heading", name="pasted 1")).to_be_visible()
    says(page, "centre-cropped")


def test_something_else_pasted_is_told(visit: Visit) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    paste(page, b"no picture at all")
    says(page, "is no picture this browser can read")


def test_a_zip_gives_its_pictures_and_the_results_are_taken_away(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, data in good_pictures().items():
            archive.writestr(f"folder/{name}", data)
    box = page.locator("[data-testid=upload] input[type=file]")
    box.set_input_files(tmp_path / "all.zip")
    n = len(good_pictures())
    says(page, f"{n} pictures")
    with page.expect_download() as download:
        page.get_by_role("button", name=f"{n} pictures and results as ZIP").click()
    with zipfile.ZipFile(download.value.path()) as results:
        names = results.namelist()
        rows = results.read("results.csv").decode().splitlines()
    assert len(rows) == n + 1
    assert {f"{i:04d}-seen.png" for i in range(n)} <= set(names)
    assert len(names) == 2 * n + 1


def test_a_long_batch_is_cancelled_and_gone_on_with(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    large = io.BytesIO()
    # Small as a file, slow to decode: the bar stands long enough to be cancelled.
    Image.linear_gradient("L").resize((2500, 2500)).save(large, "PNG")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for index in range(24):
            archive.writestr(f"{index:02d}.png", large.getvalue())
    page.locator("[data-testid=upload] input[type=file]").set_input_files(tmp_path / "many.zip")
    page.get_by_role("button", name="Cancel", exact=True).dispatch_event("click")
    says(page, "Stopped:")
    said = page.get_by_text("Stopped:").first.inner_text()
    assert 0 <= int(said.split()[1]) < 24
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="24 pictures and results as ZIP")).to_be_visible()


# ---- what the sections do with a picture -------------------------------------------------------
def section(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).first.click()


def test_a_picture_goes_into_a_file_and_comes_out_the_same(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    section(page, "Compress")
    stored = page.get_by_test_id("stored-code").locator("img")
    expect(stored).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="This picture,").click()
    download.value.save_as(tmp_path / "one.lxc")
    assert (tmp_path / "one.lxc").stat().st_size < 100
    page.locator(".st-key-compress_upload input[type=file]").set_input_files(tmp_path / "one.lxc")
    says(page, "identical to the last bit")
    again = page.get_by_test_id("decoded-again").locator("img")
    assert again.get_attribute("src") == stored.get_attribute("src")


def test_a_file_of_another_model_opens_it(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=digits-2d")
    section(page, "Compress")
    with page.expect_download() as download:
        page.get_by_role("button", name="This picture,").click()
    download.value.save_as(tmp_path / "digit.lxc")
    page = visit("/reconstruct?model=faces-tiny")
    section(page, "Compress")
    page.locator(".st-key-compress_upload input[type=file]").set_input_files(tmp_path / "digit.lxc")
    page.locator(".st-key-compress_open button").click()
    says(page, "identical to the last bit")


def test_a_damaged_file_is_told(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=digits-2d")
    section(page, "Compress")
    (tmp_path / "bad.lxc").write_bytes(b"LXC\x1a\x01" + bytes(60))
    page.locator(".st-key-compress_upload input[type=file]").set_input_files(tmp_path / "bad.lxc")
    says(page, "is damaged or cut short")


def test_a_slider_edits_the_uploaded_picture(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    (tmp_path / "mine.png").write_bytes(png())
    page.locator("[data-testid=upload] input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.get_by_role("heading", name="mine.png")).to_be_visible()
    section(page, "Edit")
    page.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    after = page.get_by_test_id("edit-after").locator("img")
    before = page.get_by_test_id("edit-before").locator("img")
    assert after.get_attribute("src") == before.get_attribute("src")
    old = after.get_attribute("src")
    page.get_by_test_id("latent-slider-0").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    expect(after).not_to_have_attribute("src", old or "")
    plain = after.get_attribute("src")
    page.get_by_text("Keep what the model lost").click()
    eventually(lambda: after.get_attribute("src") != plain, what="the detail kept")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as PNG").click()
    with Image.open(download.value.path()) as kept:
        assert kept.size == (64, 64)
    page.locator(".st-key-edit_walk button").click()
    says(page, "Started from mine.png, edited")
