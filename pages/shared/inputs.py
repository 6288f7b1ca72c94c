"""Pictures a visitor brings: files, archives, the clipboard, the camera, a drawing; or a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, pick, show
from pages.shared.acts import presses
from pages.shared.components import drawing, pasted
from pages.shared.reconstruct import Item
from pages.shared.tags import tag
from pages.shared.turns import turn
from vae_core.checkpoint import Checkpoint
from vae_core.data.archive import is_zip, zip_members, zip_names
from vae_core.errors import DataError

Fit = Literal["crop", "pad", "stretch", "centre"]
UPLOAD, DRAW, CAMERA = "Files", "Draw", "Camera"
MAX_FILES: Final = 200
MAX_TOTAL_BYTES: Final = 256 * 2**20
MAX_PASTED: Final = 12
# Larger ones are no digits; a drawing of few pixels is what such models know.
DIGIT_SIDE: Final = 32
_FEW, _SHOWN = 4, 8
_READY, _STOPPED, _PASTED = "inputs_ready", "inputs_stopped", "inputs_pasted"


@dataclass(frozen=True)
class Options:
    """How an upload is made to fit."""

    fit: Fit
    invert: bool


@dataclass(frozen=True)
class Source:
    """Something that may be a picture: `key` names its bytes, `read` gives them when needed."""

    key: str
    name: str
    read: Callable[[], bytes | str]


def choose(checkpoint: Checkpoint) -> list[Item]:
    """The pictures to look at, from whichever source; bad files are told one by one."""
    spec = checkpoint.model.spec
    is_digit_like = spec.channels == 1 and max(spec.height, spec.width) <= DIGIT_SIDE
    top = st.columns([2, 3, 1.6], vertical_alignment="bottom")
    with top[0]:
        source = _choose_source(is_digit_like)
    if source == DRAW:
        return _drawn(checkpoint)
    options = _choose_preparation(is_digit_like, top[1], top[2])
    wide, side = st.columns([3, 1], vertical_alignment="bottom")
    if source == CAMERA:
        photo = wide.camera_input("Take a picture", key="camera")
        found = [Source(photo.file_id, "camera", photo.getvalue)] if photo else []
    else:
        with wide:
            found = _uploaded()
        with side:
            found += _from_clipboard()
    if not found:
        st.session_state.pop(_READY, None)
        with side:
            return _sample(checkpoint)
    items = _prepared(checkpoint, found, options)
    _say_what_was_done(checkpoint, items, options)
    return items


def _choose_source(is_digit_like: bool) -> str:
    sources = [UPLOAD, DRAW, CAMERA] if is_digit_like else [UPLOAD, CAMERA]
    chosen = st.segmented_control(
        "Pictures from", sources, default=UPLOAD, required=True, label_visibility="collapsed",
        key="source_digits" if is_digit_like else "source", persist_state="session",
    )  # fmt: skip
    return str(chosen)


def _choose_preparation(is_digit_like: bool, left: Any, right: Any) -> Options:
    """Crop, pad, stretch or centre; and invert."""
    ways: list[Fit] = ["crop", "pad", "stretch"]
    fit = left.segmented_control(
        "Make it fit by", [*ways, "centre"] if is_digit_like else ways, default="crop", key="fit",
        required=True, help=_CENTRE_HELP if is_digit_like else None,
    )  # fmt: skip
    return Options(fit or "crop", right.toggle("Invert brightness", key="invert"))


_CENTRE_HELP: Final = (
    "Centre cuts out the ink, scales its longer side to 20 of 28 pixels and puts its centre of "
    "mass in the middle, as the makers of MNIST did."
)


# ---- sources -----------------------------------------------------------------------------------
def _uploaded() -> list[Source]:
    with st.container(key="upload_box"):
        files = st.file_uploader(
            f"Drop up to {MAX_FILES} pictures (PNG, JPEG, WebP, GIF, BMP, TIFF) or a zip of them",
            accept_multiple_files=True,
            key="uploads",
            max_upload_size=64,
        )
    tag(selector=".st-key-upload_box", testid="upload")
    found: list[Source] = []
    n_bytes = 0
    for file in files or []:
        n_bytes += file.size
        if n_bytes > MAX_TOTAL_BYTES:
            st.warning(
                f"The files have more than {MAX_TOTAL_BYTES // 2**20} MB together, so "
                f"'{show.plain(file.name)}' and those after it are left out; give them in parts."
            )
            break
        found += _inside(file.file_id, file.name, file.getvalue())
    n_files = len(found)
    if n_files > MAX_FILES:
        st.warning(
            f"{n_files:,} files came, the first {MAX_FILES} are taken; use "
            "`python -m vae_core reconstruct` for more."
        )
    return found[:MAX_FILES]


def _inside(key: str, name: str, data: bytes) -> list[Source]:
    """A file as itself, an archive as its members."""
    if not is_zip(data):
        return [Source(key, name, lambda: data)]
    try:
        members = zip_names(data, name=name)
    except DataError as error:
        return [Source(key, name, partial(str, str(error)))]
    if not members:
        said = f"The archive '{name}' holds no files, pictures were expected; choose another."
        return [Source(key, name, lambda: said)]
    return [_member(key, name, data, member) for member in members]


def _member(key: str, name: str, data: bytes, member: str) -> Source:
    shown = member.replace("\\", "/").rpartition("/")[2]
    return Source(f"{key}/{member}", shown, lambda: next(zip_members(data, [member], name=name))[1])


def _from_clipboard() -> list[Source]:
    """Pictures pasted in this session, the last twelve."""
    # Taken first: a picture is told once, and a rerun may come before each look.
    kept: list[tuple[str, bytes]] = st.session_state.setdefault(_PASTED, [])
    data = pasted(key="paste")
    if data is not None:
        number = int(kept[-1][0].rpartition(" ")[2]) + 1 if kept else 1
        kept.append((f"pasted {number}", data))
        del kept[:-MAX_PASTED]
    if kept:
        plural = "s" * (len(kept) != 1)
        st.button(f"Remove {len(kept)} pasted picture{plural}", key="unpaste", on_click=kept.clear)
    return [Source(sha256(data).hexdigest(), name, partial(bytes, data)) for name, data in kept]


def _drawn(checkpoint: Checkpoint) -> list[Item]:
    """The drawing, as the browser showed it; a sample until there is one."""
    spec = checkpoint.model.spec
    drawn = drawing(
        height=spec.height, width=spec.width, ground=ground_of(checkpoint), key="drawing"
    )
    if drawn is None:
        st.caption("Draw with mouse or finger; until then a sample is shown below.")
        return _sample(checkpoint)
    size = f"{spec.width}×{spec.height} grey"
    placed = (
        "scaled and centred by its mass, as MNIST's digits are, to" if drawn.is_centred else "to"
    )
    steps = ("drawn here", f"averaged in the browser {placed} {size}")
    return [Item("your drawing", drawn.pixels, steps)]


def _sample(checkpoint: Checkpoint) -> list[Item]:
    """A held-out picture, or one drawn from the prior where the data are not at hand."""
    seed = presses("Another sample", key="another_sample", icon=":material/casino:")
    row = cache.sample_rows(checkpoint, n=1, seed=seed)[0]
    found = cache.originals_of(checkpoint, (row,))
    if found is not None:
        name = f"held-out image {checkpoint.codes.ids[row]}"
        return [Item(name, found[0], ("taken as it is from the data set",))]
    z = np.random.default_rng(seed).standard_normal((1, checkpoint.model.n_latent))
    drawn = cache.decoded(checkpoint, z.astype(np.float32))[0]
    pixels = np.rint(drawn * 255).astype(np.uint8)
    said = "the data set is not on this machine, so the model drew this picture itself"
    return [Item("a picture drawn from the prior", pixels, (said,))]


# ---- preparation -------------------------------------------------------------------------------
Ready = dict[tuple[str, ...], Item | str]


def _prepared(checkpoint: Checkpoint, sources: Sequence[Source], options: Options) -> list[Item]:
    """Each source once per session and way of preparing, with progress; only pixels are kept."""
    keys = [_key(checkpoint, source, options) for source in sources]
    old: Ready = st.session_state.get(_READY, {})
    ready: Ready = {key: old[key] for key in keys if key in old}
    st.session_state[_READY] = ready
    todo = [(k, s) for k, s in zip(keys, sources, strict=True) if k not in ready]
    if todo and st.session_state.get(_STOPPED) == keys:
        st.warning(f"Stopped: {len(ready)} of {len(keys)} pictures are prepared.")
        st.button("Go on", key="inputs_go_on", on_click=_stop, args=(None,))
    elif todo:
        _work_off(checkpoint, todo, ready, keys=keys, options=options)
    _tell_problems([found for key in keys if isinstance(found := ready.get(key), str)])
    return _named_apart([found for key in keys if isinstance(found := ready.get(key), Item)])


def _key(checkpoint: Checkpoint, source: Source, options: Options) -> tuple[str, ...]:
    return (str(checkpoint.model.spec), source.key, options.fit, str(options.invert))


def _stop(keys: list[tuple[str, ...]] | None) -> None:
    st.session_state[_STOPPED] = keys


def _work_off(
    checkpoint: Checkpoint, todo: Sequence[tuple[tuple[str, ...], Source]], ready: Ready, *,
    keys: list[tuple[str, ...]], options: Options,
) -> None:  # fmt: skip
    """Prepare what is new; pressing Cancel ends the run at the next step of the bar."""
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, text="Preparing")
        if len(todo) > _FEW:
            st.button("Cancel", key="inputs_cancel", on_click=_stop, args=(keys,))
    for done, (key, source) in enumerate(todo, start=1):
        with turn():
            found = _prepare(checkpoint, source, options)
            if isinstance(found, Item):
                cache.examination(checkpoint, found.pixels)
        ready[key] = found
        bar.progress(done / len(todo), text=f"Prepared {done} of {len(todo)} pictures")
    place.empty()


def _prepare(checkpoint: Checkpoint, source: Source, options: Options) -> Item | str:
    data = source.read()
    if isinstance(data, str):
        return data
    made, problem = pick.prepare_upload(
        data, checkpoint.model.spec, name=source.name, options=options
    )
    return problem if made is None else Item(source.name, made.pixels, made.steps)


def _named_apart(items: Sequence[Item]) -> list[Item]:
    """Two uploads may share a name; the lists on the page need different ones."""
    found: dict[str, Item] = {}
    for number, item in enumerate(items, start=1):
        name = f"{item.name} ({number})" if item.name in found else item.name
        found[name] = Item(name, item.pixels, item.steps)
    return list(found.values())


def _tell_problems(said: Sequence[str]) -> None:
    for sentence in said[:_FEW]:
        st.error(show.plain(sentence))
    if len(said) > _FEW:
        with st.expander(f"{len(said) - _FEW} more files could not be read"):
            st.text("\n".join(said[_FEW:]))


# ---- what was done -----------------------------------------------------------------------------
def _say_what_was_done(checkpoint: Checkpoint, items: Sequence[Item], options: Options) -> None:
    if not items:
        return
    shown = [(item.pixels, "") for item in items[:_SHOWN]]
    more = f" (the first {_SHOWN} of {len(items)})" if len(items) > _SHOWN else ""
    st.caption(f"Exactly what the network sees{more}")
    show.pictures(shown, width=84, testids=("network-sees",) * len(shown))
    ways: dict[tuple[str, ...], int] = {}
    for item in items:
        ways[item.steps] = ways.get(item.steps, 0) + 1
    for steps, n in sorted(ways.items(), key=lambda pair: -pair[1])[:3]:
        count = "" if len(items) == 1 else f"{n} picture{'s' * (n != 1)}: "
        st.caption(count + (" → ".join(steps) or "taken as they are"))
    if looks_inverted(items, ground_of(checkpoint), is_grey=checkpoint.model.spec.channels == 1):
        _suggest_invert(options)


def _suggest_invert(options: Options) -> None:
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.info(
        "The ground of these pictures is bright where the model's own data are dark, or the other "
        "way round; such pictures are best inverted."
    )
    right.button(
        "Do not invert" if options.invert else "Invert now", key="invert_now",
        icon=":material/invert_colors:", on_click=_set_invert, args=(not options.invert,),
    )  # fmt: skip


def _set_invert(value: bool) -> None:
    st.session_state["invert"] = value


def border_brightness(pixels: NDArray[np.uint8]) -> int:
    """Median of a picture's outermost pixels `[C,H,W]`, 0 to 255."""
    edges = (pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1])
    return int(np.median(np.concatenate([edge.ravel() for edge in edges])))


def ground_of(checkpoint: Checkpoint) -> int:
    """The brightness around the model's own pictures: the border of sixteen decoded codes."""
    images = cache.decoded(checkpoint, checkpoint.codes.mean[:16])
    return int(np.median([border_brightness(np.rint(i * 255).astype(np.uint8)) for i in images]))


def looks_inverted(items: Sequence[Item], ground: int, *, is_grey: bool) -> bool:
    """Whether most grey pictures have a ground of the opposite brightness."""
    apart = [abs(border_brightness(item.pixels) - ground) > 127 for item in items]
    return is_grey and 2 * sum(apart) > len(apart)
