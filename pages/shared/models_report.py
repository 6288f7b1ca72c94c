"""A model's report on the page: what was measured, or the way to have it measured."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st

from pages.shared import cache, job_line, show
from pages.shared.map_job import MapJob
from vae_core.checkpoint import key_of
from vae_core.report import report_sections

REPORT: Final = "report.json"
# Figures first, then the first chart; the others are a click away.
N_UNFOLDED: Final = 2
_STYLE: Final = """<style>
.lxlib-report .grid {display:grid; gap:1.2rem; align-items:start;
  grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr))}
.lxlib-report .soft {opacity:.7; font-size:.86rem; max-width:70ch}
.lxlib-report .wide {overflow-x:auto}
.lxlib-report table {border-collapse:collapse; width:100%; font-size:.86rem;
  font-variant-numeric:tabular-nums}
.lxlib-report td, .lxlib-report th {padding:.22rem .5rem .22rem 0; border-bottom:1px solid #8883;
  text-align:left; font-weight:400}
.lxlib-report th {opacity:.65}
.lxlib-report td:not(:first-child), .lxlib-report th:not(:first-child) {text-align:right}
.lxlib-report img {width:100%; height:auto}
</style>"""
# The page's cleaning of HTML takes drawings out, so a chart comes as a picture of its own, in
# colours that are seen on light and on dark.
_INK: Final = "line{stroke:#8886} text{fill:#868c96;font:12px sans-serif} " + (
    ".y,.legend{text-anchor:end} .x,.label{text-anchor:middle} polyline{fill:none;stroke-width:2} "
)
_COLOURS: Final = ("#4c6ef5", "#e8590c", "#2b9a66", "#c026d3", "#e03131", "#1098ad")


def _as_pictures(html: str) -> str:
    """HTML with each drawing in it as an image, its description kept for who cannot see it."""
    return re.sub(r"<svg .*?</svg>", lambda found: _picture(found[0]), html, flags=re.DOTALL)


def _picture(svg: str) -> str:
    rules = "".join(
        f":is(rect,circle,text).s{i}{{fill:{c}}} polyline.s{i}{{stroke:{c}}} "
        for i, c in enumerate(_COLOURS)
    )
    label = re.search(r'aria-label="([^"]*)"', svg)
    drawn = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    drawn = drawn.replace(">", f"><style>{_INK}{rules}</style>", 1)
    packed = b64encode(drawn.encode()).decode()
    alt = label[1] if label else ""
    return f'<img src="data:image/svg+xml;base64,{packed}" alt="{alt}">'


def target(folder: Path) -> Path:
    """The file a report is written to: what the job of writing it is known by."""
    return folder / REPORT


def report(folder: Path, card: Mapping[str, Any]) -> None:
    """The report, and a button to make it (again) where the data are at hand."""
    job_line.follow(target(folder), partial(_at_rest, folder, card), key="models_report_cancel")
    found = read_report(target(folder))
    if found is None:
        st.caption(
            "There is no report yet: likelihood, KL, samples, rates and what the codes know."
        )
        return
    if found.get("about", {}).get("key") != key_of(card):
        st.warning("This report was made for other weights than the model has now.")
    st.caption(_subject(found))
    for number, (title, html) in enumerate(report_sections(found)):
        with st.expander(title, expanded=number < N_UNFOLDED):
            st.html(f"{_STYLE}<div class='lxlib-report'>{_as_pictures(html)}</div>")


def read_report(path: Path) -> dict[str, Any] | None:
    """A report's JSON, None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("about"), dict) else None


def _subject(found: Mapping[str, Any]) -> str:
    about = found["about"]
    n, seed = about.get("n_test_images"), about.get("seed")
    images = f"{n:,} held-out images" if isinstance(n, int) else "held-out images"
    return f"Measured on {images}, one training run, seed {show.plain(str(seed)[:20])}."


# ---- making it -----------------------------------------------------------------------------------
def _at_rest(folder: Path, card: Mapping[str, Any], job: MapJob | None) -> None:
    if job is not None and job.state == "failed":
        st.error(f"The report was not made: {show.plain(job.problem)}")
    checkpoint = cache.open_checkpoint(folder.name)
    if checkpoint is None:
        return
    command = _command(folder, card)
    if cache.originals(checkpoint) is None:
        st.caption(
            f"The data '{show.plain(show.source_name(card))}' are not on this machine (or have "
            "changed). Where they are, this makes the report:"
        )
        st.code(shlex.join(["python", "-m", "vae_core", *command]), language="bash",
                wrap_lines=True)  # fmt: skip
        return
    _offer(folder, command)


def _offer(folder: Path, command: list[str]) -> None:
    has_one = target(folder).is_file()
    jobs = cache.map_jobs()
    if st.button(
        "Make the report again" if has_one else "Make the report",
        icon=":material/lab_profile:", key="models_report", disabled=jobs.is_busy,
        type="secondary" if has_one else "primary",
        help="Measures everything on held-out images, in the background, some minutes on one "
        "core." + " Another job of this kind is running." * jobs.is_busy,
    ):  # fmt: skip
        jobs.forget(target(folder))
        jobs.start(command, folder=target(folder))
        st.rerun()


def _command(folder: Path, card: Mapping[str, Any]) -> list[str]:
    return ["evaluate", str(folder), "--data", str(card["data"]["source"]), "--report"]
