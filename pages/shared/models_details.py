"""One model: what its card says, in tables; its notes, title, report, zip, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import streamlit as st

from pages.shared import cache, frame, models, models_report, show, state, train_moments
from pages.shared.acts import acts_of
from pages.shared.models_list import (
    STRIP_STYLE,
    Model,
    can_delete,
    open_details,
    size_in_words,
    strip_html,
    tell,
)
from vae_core.card import MAX_NOTES, MAX_TITLE
from vae_core.errors import CheckpointError
from vae_core.library import delete_model, disk_used, packed_model, rename_model, set_notes, slug
from vae_core.runs.record import RUN
from vae_core.types import ImageSpec

_STYLE: Final = """<style>
.lxlib-tables {display:grid; grid-template-columns:repeat(auto-fill,minmax(min(300px,100%),1fr));
  gap:1.2rem 2rem; align-items:start}
.lxlib-tables h5 {margin:0 0 .3rem; font-size:.95rem}
.lxlib-tables table {width:100%; border-collapse:collapse; font-size:.86rem}
.lxlib-tables td {padding:.22rem 0; border-bottom:1px solid #8883; vertical-align:top}
.lxlib-tables td:first-child {opacity:.65; padding-right:.8rem; white-space:nowrap}
.lxlib-tables td:last-child {text-align:right; overflow-wrap:anywhere;
  font-variant-numeric:tabular-nums}
</style>"""
# Fields of the card by the heading they stand under, with what they are called there.
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "On held-out images": {
        "metrics.psnr_db": "reconstruction, dB (PSNR)",
        "metrics.squared_error": "squared error per value",
        "metrics.elbo_nats": "ELBO, nats per image",
        "metrics.kl_nats": "KL, nats per image",
        "metrics.active_units": "dimensions in use",
        "metrics.sigma": "learned σ",
        "metrics.n_test_images": "images measured",
    },
    "Model": {
        "objective": "objective",
        "model.n_latent": "latent dimensions",
        "model.spec": "pictures",
        "model.likelihood": "likelihood",
        "model.posterior": "posterior",
        "model.architecture": "network",
    },
    "Data": {
        "data.source": "source",
        "n_images": "images",
        "n_codes": "of them on the map",
        "preprocessing.fit": "made to fit by",
        "data.n_skipped": "files left out",
        "label_names": "labels",
        "factor_categories": "known factors",
        "split.seed": "seed of the split",
    },
    "Training": {
        "created": "made",
        "training.preset": "preset",
        "training.epoch": "epochs",
        "training.best_epoch": "best epoch",
        "training.seconds": "time, minutes",
        "training.images_seen": "images seen",
        "training.batch_size": "batch size",
        "training.learning_rate": "learning rate",
        "training.seed": "seed",
        "versions": "made with",
    },
}


def details(model: Model) -> None:
    """Everything of the page while this model is open."""
    st.button("All models", icon=":material/arrow_back:", type="tertiary", on_click=open_details,
              args=(None,), key="models_back")  # fmt: skip
    tell()
    st.markdown(f"### {show.plain(model.title)}")
    if model.card is None:
        st.error(show.plain(model.problem))
        _delete(model)
        return
    left, right = st.columns([2.4, 1], gap="large")
    with right:
        _actions(model)
    with left:
        _left(model, model.card)


def _left(model: Model, card: Mapping[str, Any]) -> None:
    strip = cache.model_strip(str(model.path), str(card["files"]), n=12)
    st.html(f"{STRIP_STYLE}{strip_html(strip, model)}")
    st.caption("What it makes of codes of images it was not trained on.")
    section = st.segmented_control(
        "Section", ["Card", "Report", "Raw"], default="Card", required=True, key="models_section",
        label_visibility="collapsed",
    )  # fmt: skip
    if section == "Report":
        models_report.report(model.path, card)
    elif section == "Raw":
        st.json(dict(card), expanded=2)
    else:
        st.html(f"{_STYLE}<div class='lxlib-tables'>{_tables(card)}</div>")
        st.markdown("##### The command that made it")
        st.code(str(card.get("command") or "not known"), language="bash", wrap_lines=True)


# ---- the card in words ---------------------------------------------------------------------------
def _tables(card: Mapping[str, Any]) -> str:
    return "".join(_table(title, _rows(card, fields)) for title, fields in _TABLES.items())


def _table(title: str, rows: Mapping[str, str]) -> str:
    body = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in rows.items())
    return f"<div><h5>{escape(title)}</h5><table>{body}</table></div>" if body else ""


def _rows(card: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for field, name in fields.items():
        table, _, last = field.rpartition(".")
        value = card.get(table) if table else card
        text = _words(field, value.get(last)) if isinstance(value, dict) else ""
        if text:
            found[name] = text
    return found


def _words(field: str, value: Any) -> str:
    """A value as one reads it; "" leaves its row out."""
    if value is None or value in ({}, [], ""):
        return ""
    if field == "training.seconds" and isinstance(value, int | float):
        return _number(value / 60)
    if field == "training.batch_size" and value == 0:
        return "chosen by the machine"
    if field == "model.spec":
        return str(ImageSpec(*(int(value[name]) for name in ("channels", "height", "width"))))
    if field == "label_names":
        return f"{len(value)}: {_some(value)}"
    if field == "factor_categories":
        return f"{len(value)}: {_some(list(value))}"
    if isinstance(value, dict):
        said = {k.replace("_", " "): one for k, one in value.items() if one not in ([], "")}
        # What it is first, then its numbers.
        first = [str(said.pop(name))[:80] for name in ("name", "kind") if name in said]
        return ", ".join([*first, *(f"{key} {_number(one)}" for key, one in said.items())])
    return _number(value)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _number(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_number, value[:12]))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)[:200]
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


# ---- what one does with it -----------------------------------------------------------------------
def _actions(model: Model) -> None:
    name, once = model.name, acts_of("models").once
    if st.button("Explore", icon=":material/map:", type="primary", width="stretch",
                 key="models_open", on_click=state.open_model, args=(name,)):  # fmt: skip
        frame.turn_to("pages/explore.py")
    st.download_button(
        "Download as a zip", data=lambda: packed_model(model.path), file_name=f"{slug(name)}.zip",
        mime="application/zip", icon=":material/download:", width="stretch", on_click="ignore",
        key="models_download",
        help="Weights, card, codes, maps and report, with their hashes; the state of the "
        "training stays here.",
    )  # fmt: skip
    with st.form("models_name"):
        st.text_input("Title", model.title, max_chars=MAX_TITLE, key=f"models_title_{name}")
        st.form_submit_button("Rename", icon=":material/edit:",
                              on_click=once("rename", lambda: _rename(model.path)))  # fmt: skip
    with st.form("models_notes"):
        notes = str((model.card or {}).get("notes", ""))
        st.text_area("Notes", notes, max_chars=MAX_NOTES, height=140, key=f"models_notes_{name}",
                     placeholder="What is this model for? What did you learn from it?")  # fmt: skip
        st.form_submit_button("Save notes", icon=":material/save:",
                              on_click=once("note", lambda: _note(model.path)))  # fmt: skip
    st.caption(f"Folder: {show.plain(_short(model.path))} · {size_in_words(disk_used(model.path))}")
    _delete(model)


def _delete(model: Model) -> None:
    if not can_delete(model.path):
        st.caption(
            "It lies outside the folder of models made here and is not deleted from this page; "
            "models that came with the app can be opened, not lost."
        )
        return
    with st.popover("Delete…", icon=":material/delete:", width="stretch"):
        st.markdown(
            f"Delete **{show.plain(model.title)}** with all its files "
            f"({size_in_words(model.size_bytes)})? This cannot be undone."
        )
        delete = acts_of("models").once(
            "delete", lambda: _delete_now(model.path), then=lambda: _leave(model.name)
        )
        st.button("Delete for good", type="primary", icon=":material/delete_forever:",
                  key="models_delete", on_click=delete)  # fmt: skip


def _rename(folder: Path) -> str:
    rename_model(folder, st.session_state[f"models_title_{folder.name}"])
    return "Renamed."


def _note(folder: Path) -> str:
    set_notes(folder, st.session_state[f"models_notes_{folder.name}"])
    return "Notes saved."


def _delete_now(folder: Path) -> str:
    if not can_delete(folder):
        raise CheckpointError(f"{folder.name} is none of the models made here; it stays.")
    if (folder / RUN).is_file() and not is_busy(folder):
        # Under the lock of the queue: nobody starts it meanwhile.
        train_moments.delete(folder)
    else:
        delete_model(folder, within=models.folder_for_runs(), is_busy=is_busy)
    return f"{show.plain(folder.name)} is deleted."


def _leave(name: str) -> None:
    state.forget_model(name)
    open_details(None)


def is_busy(folder: Path) -> bool:
    """Whether something of this server is writing into a model's folder."""
    jobs = cache.map_jobs()
    found = [jobs.get(folder), jobs.get(models_report.target(folder))]
    return any(job is not None and job.state == "running" for job in found)


def _short(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(models.ROOT)) if path.is_relative_to(models.ROOT) else str(path)
