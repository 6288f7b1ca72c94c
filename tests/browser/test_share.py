"""A shared view opens from disk, asks the network for nothing and draws what torch draws."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from pages.shared import cache, payload, walk_payload
from pages.shared.share import Choice, View, shared_view
from tests.browser.conftest import PATIENCE_MS, WIDE, Scheme, Visit, shared_tab
from tests.browser.driving import (
    MAP,
    PICTURE,
    Slider,
    click_map,
    eventually,
    map_of,
    next_frame,
    pixels,
    places_on,
    says,
)
from tests.browser.test_decoder import SHIPPED, TOLERANCE, codes_to_try, decode_in
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.examine import decode

PHONE: ViewportSize = {"width": 390, "height": 844}
MOST_BYTES = 15_000_000
ATTACK = (
    "</script><img src=x onerror='window.wasHurt = true'><script>window.wasHurt = true</script>"
)
OpenFile = Callable[..., Page]


@pytest.fixture
def open_file(browser: Browser, tmp_path: Path) -> Iterator[OpenFile]:
    """open_file(bytes) → the file's page, its map ready; any request or script error fails."""
    opened, errors, asked = [], list[str](), list[str]()

    def only_itself(route: Route) -> None:
        if route.request.url == (tmp_path / "view.html").as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    def go(content: bytes, *, size: ViewportSize = WIDE, scheme: Scheme = "light") -> Page:
        path = tmp_path / "view.html"
        path.write_bytes(content)
        context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
        context.set_default_timeout(PATIENCE_MS)
        opened.append(context)
        context.route("**/*", only_itself)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.goto(path.as_uri())
        page.locator("[data-ready=true]").first.wait_for()
        return page

    yield go
    for context in opened:
        context.close()
    assert errors == []
    assert asked == []


def written(
    checkpoint: Checkpoint, *, kinds: tuple[walk_payload.Kind, ...] = ("Dimensions",)
) -> bytes:
    """The file of a checkpoint's first map and colouring, at its first point."""
    maps = [name for name in payload.projection_choices(checkpoint) if name != "dimensions"]
    colours = payload.colour_choices(checkpoint)
    shown = payload.map_data(checkpoint, maps[0], colours[0])
    shown |= {"select": {"row": 0}, "trust": cache.trust_part(checkpoint)}
    parts = {
        kind: walk_payload.rows_part(checkpoint, kind, walk_payload.directions(checkpoint, kind))
        for kind in kinds
    }
    z = checkpoint.codes.mean[0].tolist()
    walk: dict[str, Any] = walk_payload.walk_data(checkpoint) | parts[kinds[0]]
    walk |= {"z": z, "start": z, "trust": shown["trust"]}
    return shared_view(
        checkpoint,
        View(
            shown,
            walk,
            maps=[_map_choice(checkpoint, name) for name in maps],
            colours=[Choice(n, {"colour": payload.colour_part(checkpoint, n)}) for n in colours],
            sliders=[Choice(kind, part) for kind, part in parts.items()],
        ),
    )


def _map_choice(checkpoint: Checkpoint, name: str) -> Choice:
    data = payload.map_data(checkpoint, name, payload.colour_choices(checkpoint)[0])
    label = str(data["projection"]["label"])
    return Choice(label, {part: data[part] for part in ("projection", "backdrop")})


def turn_to(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab).click()


def picture(page: Page, tab: str) -> Locator:
    return page.locator(f"#lxs-{tab} {PICTURE}")


def drawn(page: Page, tab: str) -> str:
    """The tab's decoded picture as a PNG data URL."""
    return str(picture(page, tab).evaluate("(canvas) => canvas.toDataURL()"))


def too_wide(page: Page) -> int:
    return int(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


# ---- the same pictures ---------------------------------------------------------------------------
def test_map_and_sliders_work_from_disk(open_file: OpenFile, faces_checkpoint: Checkpoint) -> None:
    page = open_file(written(faces_checkpoint))
    places, first = places_on(page), drawn(page, "Map")
    map_of(page).hover(position=dict(zip("xy", places.points[0], strict=True)))  # type: ignore[arg-type]
    expect(page.get_by_test_id("hover-card")).to_have_class("lx-card lx-on")
    click_map(page, places.points[0])
    says(page, "Point #")
    click_map(page, places.empty)
    says(page, "Empty spot at")
    picked = drawn(page, "Map")
    assert picked != first
    page.get_by_test_id("walk-from-here").click()
    slider = Slider(page)
    next_frame(page)
    assert drawn(page, "Sliders") == picked
    slider.drag(0.95)
    eventually(lambda: drawn(page, "Sliders") != picked, what="another picture")
    page.get_by_role("button", name="Undo").click()
    eventually(lambda: drawn(page, "Sliders") == picked, what="the same picture after undo")


@pytest.mark.parametrize("name", ["digits-2d", "faces-tiny"])
def test_a_file_decodes_like_torch(open_file: OpenFile, tiny_checkpoints: Path, name: str) -> None:
    checkpoint = load_checkpoint(tiny_checkpoints / name)
    page = open_file(written(checkpoint))
    z = codes_to_try(checkpoint)
    assert abs(decode_in(page, checkpoint, z) - decode(checkpoint, z)).max() <= TOLERANCE


@pytest.mark.skipif(not SHIPPED, reason="no checkpoints are shipped in checkpoints/")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_models_fit_and_decode_like_torch(open_file: OpenFile, path: Path) -> None:
    checkpoint = load_checkpoint(path)
    content, z = written(checkpoint), codes_to_try(checkpoint)
    assert len(content) <= MOST_BYTES
    page = open_file(content)
    assert abs(decode_in(page, checkpoint, z) - decode(checkpoint, z)).max() <= TOLERANCE


def downloaded(page: Page, folder: Path) -> bytes:
    """What the app's button gives."""
    page.get_by_role("button", name="Share this view").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.endswith("-view.html")
    download.value.save_as(folder / "download.html")
    return (folder / "download.html").read_bytes()


def test_explore_shares_what_is_picked(visit: Visit, open_file: OpenFile, tmp_path: Path) -> None:
    app = visit("/explore?model=faces-tiny&map=pca&colour=smile")
    click_map(app, places_on(app).empty)
    says(app, "An empty spot")
    wanted, words = pixels(app), app.locator(".lx-caption").inner_text()
    page = open_file(downloaded(app, tmp_path), scheme="dark")
    assert page.locator(".lx-caption").inner_text() == words
    assert drawn(page, "Map") == wanted
    expect(page.locator(".lx-legend-title")).to_have_text("smile")
    expect(page.get_by_role("combobox", name="Map")).to_have_value("1")


def test_walk_shares_the_code_it_is_at(visit: Visit, open_file: OpenFile, tmp_path: Path) -> None:
    app = visit("/walk?model=faces-tiny")
    slider = Slider(app)
    next_frame(app)
    before = pixels(app)
    slider.drag(0.9)
    next_frame(app)
    wanted = pixels(app)
    assert wanted != before
    content = downloaded(app, tmp_path)
    page = open_file(content)
    expect(page.get_by_role("tab", name="Sliders")).to_have_attribute("aria-selected", "true")
    Slider(page)
    next_frame(page)
    assert drawn(page, "Sliders") == wanted


# ---- choices, keys, words ------------------------------------------------------------------------
def test_another_map_and_colour_keep_the_picked_point(
    open_file: OpenFile, faces_checkpoint: Checkpoint
) -> None:
    page = open_file(written(faces_checkpoint))
    click_map(page, places_on(page).points[0])
    before, words = drawn(page, "Map"), page.locator(".lx-caption").inner_text()
    page.get_by_role("combobox", name="Map").select_option("PCA")
    expect(page.locator(".lx-axis-x")).to_have_text("PC 1")
    page.get_by_label("Colour by").select_option("reconstruction error")
    expect(page.locator(".lx-legend-title")).to_have_text("√ squared error")
    map_of(page)
    assert drawn(page, "Map") == before
    assert page.locator(".lx-caption").inner_text() == words


def test_other_sliders_start_at_the_same_code(
    open_file: OpenFile, faces_checkpoint: Checkpoint
) -> None:
    page = open_file(written(faces_checkpoint, kinds=("Dimensions", "Principal axes")))
    turn_to(page, "Sliders")
    Slider(page).drag(0.8)
    next_frame(page)
    before = drawn(page, "Sliders")
    page.get_by_label("Sliders along").select_option("Principal axes")
    expect(page.get_by_test_id("latent-slider-0")).to_have_attribute(
        "aria-label", re.compile("principal axis 1")
    )
    next_frame(page)
    assert drawn(page, "Sliders") == before


def test_keys_belong_to_what_is_seen(open_file: OpenFile, faces_checkpoint: Checkpoint) -> None:
    page = open_file(written(faces_checkpoint))
    turn_to(page, "Sliders")
    Slider(page)
    next_frame(page)
    before = drawn(page, "Sliders")
    page.keyboard.press("r")
    next_frame(page)
    moved = drawn(page, "Sliders")
    assert moved != before
    turn_to(page, "Map")
    page.locator(MAP).focus()
    for key in ("r", "0", "m", "l"):
        page.keyboard.press(key)
    assert map_of(page).get_attribute("data-mode") in (None, "move")
    turn_to(page, "Sliders")
    next_frame(page)
    assert drawn(page, "Sliders") == moved


def test_hostile_words_stay_words(open_file: OpenFile, digits_checkpoint: Checkpoint) -> None:
    names = (ATTACK, "<!-- <script>", *map(str, range(2, 10)))
    hostile = replace(digits_checkpoint, card={**digits_checkpoint.card, "title": ATTACK})
    hostile.__dict__["codes"] = replace(digits_checkpoint.codes, label_names=names)
    page = open_file(written(hostile))
    expect(page.get_by_role("heading", level=1)).to_have_text(ATTACK)
    expect(page.locator(".lx-chip").first).to_have_text(ATTACK)
    turn_to(page, "About")
    says(page, "weights " + hostile.key)
    assert page.locator("img").count() == 0
    assert page.evaluate("() => window.wasHurt === undefined")


def test_the_page_forbids_itself_the_network(
    browser: Browser, digits_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "view.html").write_bytes(written(digits_checkpoint))
    ask = "() => fetch('https://example.org/').then(() => 'went', () => 'refused')"
    with shared_tab(browser, (tmp_path / "view.html").as_uri()) as page:
        map_of(page)
        with page.expect_console_message(lambda line: "Content Security Policy" in line.text):
            assert page.evaluate(ask) == "refused"


def test_a_phone_needs_no_sideways_scroll(
    open_file: OpenFile, faces_checkpoint: Checkpoint
) -> None:
    page = open_file(written(faces_checkpoint), size=PHONE)
    for tab in ("Sliders", "About", "Map"):
        turn_to(page, tab)
        assert too_wide(page) <= 0
    assert map_of(page).bounding_box()["width"] > 0.85 * PHONE["width"]  # type: ignore[index]


def test_a_file_that_lost_a_part_says_so(
    tmp_path: Path, browser: Browser, digits_checkpoint: Checkpoint
) -> None:
    codes = payload.points_part(digits_checkpoint)["codes"]
    path = tmp_path / "cut.html"
    path.write_bytes(written(digits_checkpoint).replace(f'data-path="{codes}"'.encode(), b""))
    with shared_tab(browser, path.as_uri()) as page:
        says(page, f"{codes} is missing in this file")
