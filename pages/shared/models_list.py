"""All models as cards: find, sort, open, import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

import streamlit as st

from pages.shared import cache, frame, models, show, state
from pages.shared.acts import acts_of
from vae_core.checkpoint import Listed
from vae_core.library import disk_used, import_model
from vae_core.types import ImageSpec

OPEN: Final = "details"
N_AT_ONCE: Final = 12
N_BESIDE: Final = 3
STRIP_STYLE: Final = """<style>
.lxlib-strip {display:block; width:100%; height:auto; border-radius:6px; background:#8882;
  border:1px solid #8884}
.lxlib-sharp {image-rendering:pixelated}
.lxlib-none {aspect-ratio:6/1; display:grid; place-items:center; opacity:.6; font-size:.85rem}
</style>"""
_STYLE: Final = (
    STRIP_STYLE
    + """<style>
.lxlib-facts {display:grid; grid-template-columns:max-content 1fr; gap:.1rem .8rem; padding:0;
  margin:.5rem 0 0; font-size:.875rem}
.lxlib-facts b {opacity:.65; font-weight:400}
.lxlib-facts span { overflow-wrap:anywhere; font-variant-numeric:tabular-nums}
.lxlib-title {font-weight:600; font-size:1.05rem; margin:.6rem 0 0; overflow-wrap:anywhere}
.lxlib-name {opacity:.65; font-size:.8rem; overflow-wrap:anywhere}
.lxlib-sum {display:flex; flex-wrap:wrap; gap:.3rem 1.4rem; font-size:.95rem}
.lxlib-sum b {font-variant-numeric:tabular-nums}
</style>"""
)


@dataclass(frozen=True)
class Model:
    """A folder of models as the list shows it; without `card` there is a `problem`."""

    path: Path
    card: Mapping[str, Any] | None
    problem: str
    size_bytes: int
    made: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def title(self) -> str:
        """The card's title, or the folder's name."""
        return self.name if self.card is None else str(self.card["title"])

    def metric(self, name: str) -> float | None:
        """A figure of the card, if there."""
        found = None if self.card is None else self.card["metrics"].get(name)
        return None if found is None else float(found)

    @property
    def n_latent(self) -> int:
        """Latent dimensions, 0 without a card."""
        return 0 if self.card is None else int(self.card["model"]["n_latent"])

    @property
    def words(self) -> str:
        """All that the field above the list looks through."""
        card = self.card or {}
        objective = card.get("objective", {}).get("name", "")
        source = "" if self.card is None else show.source_name(self.card)
        return " ".join((self.name, self.title, source, objective, card.get("notes", ""))).lower()


_ORDERS: Final[Mapping[str, Callable[[Model], Any]]] = {
    "newest first": lambda m: _Falling(m.made),
    "title": lambda m: m.title.lower(),
    "best reconstruction": lambda m: -(m.metric("psnr_db") or -1e9),
    "fewest dimensions": lambda m: m.n_latent or 1e9,
    "largest on disk": lambda m: -m.size_bytes,
}


class _Falling(str):
    """Text that sorts from its end of the alphabet."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def all_models(listed: Sequence[Listed]) -> list[Model]:
    """What the list shows of each."""
    return [
        Model(item.path, item.card, item.problem, disk_used(item.path), _made(item))
        for item in listed
    ]


def _made(item: Listed) -> str:
    said = str((item.card or {}).get("created", ""))[:10]
    try:
        return datetime.strptime(said, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        # Of a card that names no day, the day of the folder.
        return datetime.fromtimestamp(item.path.stat().st_mtime, UTC).date().isoformat()


def overview(found: Sequence[Model]) -> None:
    """Everything of the page while no model's details are open."""
    tell()
    _sum(found)
    search, order, take = st.columns([3, 2, 1.4], vertical_alignment="bottom")
    text = search.text_input(
        "Find", placeholder="title, folder, data, objective or a word of your notes",
        key="models_find",
    )  # fmt: skip
    chosen = order.selectbox("Sort by", list(_ORDERS), key="models_order")
    with take.popover("Import a zip", icon=":material/upload:", width="stretch"):
        _import()
    shown = [m for m in found if all(word in m.words for word in text.lower().split())]
    shown.sort(key=_ORDERS[chosen])
    _cards([m for m in shown if m.card is not None])
    _broken([m for m in shown if m.card is None])
    if not shown:
        st.caption(f"None of the {len(found)} models has all these words." if found else
                   "There is no model yet: train one, or import a zip.")  # fmt: skip


def _sum(found: Sequence[Model]) -> None:
    own = [m for m in found if can_delete(m.path)]
    parts = [f"<span><b>{len(found)}</b> model{'s' * (len(found) != 1)}</span>"]
    parts.append(f"<span><b>{size_in_words(sum(m.size_bytes for m in found))}</b> on disk</span>")
    if len(own) < len(found):
        used = size_in_words(sum(m.size_bytes for m in own))
        text = f"<b>{len(own)}</b> made here, <b>{used}</b>" if own else "none of them made here"
        parts.append(f"<span>{text}</span>")
    st.html(f"{_STYLE}<div class='lxlib-sum'>{''.join(parts)}</div>")


def _cards(found: Sequence[Model]) -> None:
    most = st.session_state.get("models_most", N_AT_ONCE)
    for start in range(0, min(most, len(found)), N_BESIDE):
        # Row by row: on a phone the cards then stand in the order they are sorted in.
        for number, column in enumerate(st.columns(N_BESIDE, gap="medium"), start):
            if number < min(most, len(found)):
                with column, st.container(border=True, key=f"models_card_{number}"):
                    _card(found[number], number)
    if len(found) > most:
        st.button(f"Show {len(found) - most} more", on_click=_more, icon=":material/expand_more:")


def _more() -> None:
    st.session_state["models_most"] = st.session_state.get("models_most", N_AT_ONCE) + 4 * N_AT_ONCE


def _card(model: Model, number: int) -> None:
    card = model.card or {}
    strip = cache.model_strip(str(model.path), str(card["files"]), n=6)
    st.html(
        f"{strip_html(strip, model)}<div class='lxlib-title'>{escape(model.title)}</div>"
        f"<div class='lxlib-name'>{escape(model.name)}</div>"
        f"<div class='lxlib-facts'>{''.join(_facts(model))}</div>"
    )
    is_open = state.model_name() == model.name
    with st.container(horizontal=True, gap="small"):
        # A callback: the sidebar's list of models is drawn before this button.
        if st.button(
            "Explore", icon=":material/map:", key=f"models_explore_{number}",
            type="primary" if is_open else "secondary", on_click=state.open_model,
            args=(model.name,), help="This is the model in use." if is_open else None,
        ):  # fmt: skip
            frame.turn_to("pages/explore.py")
        st.button("Details", icon=":material/description:", key=f"models_details_{number}",
                  type="tertiary", on_click=open_details, args=(model.name,))  # fmt: skip


def strip_html(strip: str, model: Model) -> str:
    """The row of pictures, or words in its place."""
    if not strip:
        return "<div class='lxlib-strip lxlib-none'>It cannot be opened.</div>"
    # Small pictures are enlarged with hard edges: smoothing would invent detail.
    small = (model.card or {})["model"]["spec"]["width"] <= 40
    return (
        f"<img class='lxlib-strip{' lxlib-sharp' * small}' src='{strip}' "
        f"alt='Pictures that {escape(model.title, quote=True)} decodes'>"
    )


def _facts(model: Model) -> list[str]:
    card = model.card or {}
    active, psnr = model.metric("active_units"), model.metric("psnr_db")
    used = "" if active is None else f", {active:.0f} in use"
    spec = ImageSpec(**{name: int(card["model"]["spec"][name]) for name in _SIDES})
    rows = {
        "Kind": str(card["objective"]["name"]),
        "Code": f"{model.n_latent} dimension{'s' * (model.n_latent != 1)}{used}",
        "Data": f"{show.source_name(card)}, {card['n_images']:,} images, {spec}",
        "Rebuilds": "–" if psnr is None else f"{psnr:.1f} dB (PSNR)",
        "On disk": f"{size_in_words(model.size_bytes)} · {model.made}",
    }
    return [f"<b>{name}</b><span>{escape(text)}</span>" for name, text in rows.items()]


_SIDES: Final = ("channels", "height", "width")


def _broken(found: Sequence[Model]) -> None:
    if found:
        st.markdown("#### These cannot be opened")
    for number, model in enumerate(found):
        with st.container(border=True, key=f"models_broken_{number}"):
            st.markdown(f"**{show.plain(model.name)}** · {size_in_words(model.size_bytes)}")
            st.caption(show.plain(model.problem))
            st.button("Details", icon=":material/description:", key=f"models_mend_{number}",
                      type="tertiary", on_click=open_details, args=(model.name,))  # fmt: skip


def open_details(name: str | None) -> None:
    """Show one model, or all again, from a callback; the address says which."""
    state.put_in_url(**{OPEN: name})


def size_in_words(n_bytes: int) -> str:
    """1,234,567 → "1.2 MB"."""
    size, unit = float(n_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1_000, larger
    return f"{size:.0f} {unit}" if size >= 99.95 or unit == "bytes" else f"{size:.1f} {unit}"


def can_delete(folder: Path) -> bool:
    """Whether a model lies where the app keeps its own, and is none of those it came with."""
    parent = folder.parent.resolve()
    is_own = parent == models.folder_for_runs().resolve()
    return is_own and parent != (models.ROOT / "checkpoints").resolve() and not folder.is_symlink()


def _import() -> None:
    """A zip of a model, checked before it appears."""
    st.caption(
        "A zip that this app or `export-model` wrote. Names, sizes, hashes and weights are "
        "checked first; nothing in it is ever run."
    )
    given: Any = st.file_uploader("Zip of a model", type="zip", key="models_zip")
    made: list[str] = []

    def take() -> str:
        folder = import_model(
            given, into=models.folder_for_runs(), may_read=models.may_read,
            # Of two models of one name the app shows the first folder's alone.
            taken=[item.path.name for item in models.listed_checkpoints()],
        )  # fmt: skip
        made.append(folder.name)
        return f"Imported as **{show.plain(folder.name)}**."

    st.button(
        "Import", icon=":material/upload:", type="primary", disabled=given is None,
        key="models_import",
        on_click=acts_of("models").once("import", take, then=lambda: open_details(made[-1])),
    )  # fmt: skip


def tell() -> None:
    """The sentence on what was done last, once."""
    acts = acts_of("models")
    acts.tell()
    acts.forget()
