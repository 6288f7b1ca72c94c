"""Uploads: every file gets a result or a sentence, and the rest of the batch goes on."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenApp, as_read
from tests.pages.pictures import bad_pictures, good_pictures, png

OPAQUE = "application/octet-stream"


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader(key="uploads").set_value([(name, data, OPAQUE) for name, data in files])
    app.run()
    assert [element.value for element in app.exception] == []
    return app


def shown(app: AppTest) -> list[str]:
    """Names of all pictures shown: those of the overview, or the only one."""
    overview = [box for box in app.selectbox if box.key == "closer"]
    return sorted(overview[0].options if overview else headings(app))


def headings(app: AppTest) -> list[str]:
    return [as_read(element.value) for element in app.subheader]


@pytest.mark.parametrize("model", ["digits-2d", "faces-tiny"])
def test_unusual_pictures_are_all_shown(open_app: OpenApp, model: str) -> None:
    pictures = good_pictures()
    app = upload(open_app("reconstruct", model=model), *pictures.items())
    assert [element.value for element in app.error] == []
    assert shown(app) == sorted(pictures)


@pytest.mark.parametrize("name", bad_pictures())
def test_bad_picture_gets_a_sentence_and_the_good_one_goes_on(open_app: OpenApp, name: str) -> None:
    files = ((name, bad_pictures()[name]), ("good.png", png()))
    app = upload(open_app("reconstruct", model="digits-2d"), *files)
    (sentence,) = [element.value.replace("\\", "") for element in app.error]
    assert name in sentence
    assert "Traceback" not in sentence
    assert shown(app) == ["good.png"]


def test_two_pictures_of_one_name_are_both_shown(open_app: OpenApp) -> None:
    files = (("face.png", png()), ("face.png", good_pictures()["grey.bmp"]))
    assert len(shown(upload(open_app("reconstruct", model="digits-2d"), *files))) == 2


def test_the_same_picture_twice_is_shown_twice(open_app: OpenApp) -> None:
    files = (("face.png", png()), ("face.png", png()))
    assert len(shown(upload(open_app("reconstruct", model="digits-2d"), *files))) == 2


def test_each_picture_of_many_can_be_looked_at(open_app: OpenApp) -> None:
    app = upload(open_app("reconstruct", model="digits-2d"), *good_pictures().items())
    for name in good_pictures():
        app.selectbox(key="closer").set_value(name).run()
        assert [element.value for element in app.exception] == []
        assert headings(app)[0] == name


def test_a_name_with_markup_is_shown_as_it_is(open_app: OpenApp) -> None:
    name = "a*b*_c_ $x$ [l](http://e.org) :smile: <b>.png"
    app = upload(open_app("reconstruct", model="digits-2d"), (name, png()))
    assert headings(app) == [name]
    # No sign that Markdown could obey stands alone.
    assert re.search(r"(?<!\\)[*_$\[<:]", app.subheader[0].value) is None


def test_too_many_pictures_are_told(open_app: OpenApp) -> None:
    files = [(f"{index}.png", png()) for index in range(203)]
    app = upload(open_app("reconstruct", model="digits-2d"), *files)
    assert len(shown(app)) == 200
    assert "203 files came" in app.warning[0].value


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return file.getvalue()


def test_a_zip_is_its_pictures_and_a_bad_one_is_told(open_app: OpenApp) -> None:
    data = zipped(a_png=png(), b_png=good_pictures()["grey.bmp"], c_txt=b"words")
    app = upload(open_app("reconstruct", model="digits-2d"), ("some.zip", data))
    assert shown(app) == ["a.png", "b.png"]
    (sentence,) = [element.value.replace("\\", "") for element in app.error]
    assert "c.txt" in sentence


def test_a_damaged_zip_is_told(open_app: OpenApp) -> None:
    app = upload(open_app("reconstruct", model="digits-2d"), ("some.zip", zipped(a_png=png())[:40]))
    assert "damaged or cut short" in app.error[0].value


def test_a_dark_drawing_on_paper_gets_the_advice_to_invert(open_app: OpenApp) -> None:
    app = upload(open_app("reconstruct", model="digits-2d"), ("scan.png", scan()))
    app.button(key="invert_now").click().run()
    assert [element.value for element in app.exception] == []
    assert app.toggle(key="invert").value
    assert "swapped dark and bright" in " ".join(element.value for element in app.caption)
    assert not any(button.key == "invert_now" for button in app.button)


def test_centring_is_offered_for_digits_and_said(open_app: OpenApp) -> None:
    app = open_app("reconstruct", model="digits-2d")
    app.segmented_control(key="fit").set_value("centre")
    app = upload(app, ("scan.png", scan()))
    assert "centred by its mass" in " ".join(element.value for element in app.caption)
    faces = open_app("reconstruct", model="faces-tiny")
    assert "centre" not in faces.segmented_control(key="fit").options


def scan() -> bytes:
    sheet = Image.new("L", (60, 60), 240)
    ImageDraw.Draw(sheet).line([(20, 10), (30, 50)], fill=10, width=6)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_preparation_is_said(open_app: OpenApp, fit: str) -> None:
    app = open_app("reconstruct", model="digits-2d")
    app.segmented_control(key="fit").set_value(fit)
    app.toggle(key="invert").set_value(True)
    app = upload(app, ("wide.jpg", good_pictures()["rotated.jpg"]))
    steps = " ".join(element.value for element in app.caption)
    assert "→" in steps
    assert "swapped dark and bright" in steps


def test_another_sample_is_another_picture(open_app: OpenApp) -> None:
    app = open_app("reconstruct", model="digits-2d")
    first = shown(app)
    app.button(key="another_sample").click().run()
    assert [element.value for element in app.exception] == []
    assert shown(app) != first


def test_walk_from_an_upload_carries_its_code(open_app: OpenApp) -> None:
    app = upload(open_app("reconstruct", model="digits-2d"), ("mine.png", png()))
    next(b for b in app.button if b.label == "Walk from here").click().run()
    assert [element.value for element in app.exception] == []
    said = [element.value.replace("\\", "") for element in app.caption]
    assert any("Started from mine.png" in text for text in said)
