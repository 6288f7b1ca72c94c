"""A grid of runs on the same pictures: choose the values, start them all, read the trade-offs."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from plotly import graph_objects

from pages.shared import frame, models, show, state
from pages.shared.acts import acts_of
from pages.shared.train_data import Chosen
from pages.shared.train_estimate import duration, own_estimate
from pages.shared.train_settings import Settings
from vae_core.errors import ExplorerError
from vae_core.objectives.registry import OBJECTIVES
from vae_core.recipes import check_settings
from vae_core.sweep import (
    MAX_RUNS,
    Dot,
    Sweep,
    cancel_sweep,
    clear_sweep,
    dots_of,
    list_sweeps,
    plan_sweep,
    start_sweep,
    views_of,
)
from vae_core.train.config import TrainConfig

_STARTED = "sweep_started"
_BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_LATENTS = (2, 4, 8, 10, 16, 32, 64)
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "hexagon", "cross")
_COLOURS = ("#3b5bdb", "#e8590c", "#2b8a3e", "#9c36b5", "#0b7285", "#c2255c")


def plan(chosen: Chosen, settings: Settings) -> None:
    """Values to combine, how many runs that makes and how long they take, and a button."""
    with st.expander("A sweep: train several and compare", icon=":material/grid_on:"):
        st.caption(
            "Everything else stays as chosen above. β weighs how strictly codes must follow the "
            "prior: a larger one gives smoother, less exact pictures. The runs queue up and train "
            "one after the other."
        )
        objectives, betas, latents = _values(settings.config)
        found = chosen.inspection
        try:
            configs = plan_sweep(
                settings.config, objectives=objectives, betas=betas, n_latents=latents
            )
            for config in configs:
                check_settings(
                    config, n_images=found.n_images, classes=found.classes, factors=found.factors
                )
        except ExplorerError as error:
            st.warning(str(error))
            return
        st.markdown(_size(chosen, settings, len(configs)))
        acts, estimate, started = acts_of("sweep"), own_estimate(), _just_started()

        def begin() -> None:
            estimate.stop()
            started.append(_start(chosen, settings, configs))

        st.button(
            f"Start {len(configs)} run{'s' * (len(configs) > 1)}", icon=":material/playlist_add:",
            key="sweep_start", on_click=acts.once("sweep_start", begin),
        )  # fmt: skip
        acts.tell()


def _values(base: TrainConfig) -> tuple[list[str], list[float], list[int]]:
    latents = sorted({*_LATENTS, base.n_latent})
    objectives = st.multiselect(
        "Objectives", list(OBJECTIVES), default=["beta-vae"], key="sweep_objectives",
        help="What is minimised; those without a β come once per latent size.",
        persist_state="session",
    )  # fmt: skip
    betas = st.multiselect(
        "β", _BETAS, default=[0.5, 1.0, 4.0], format_func="{:g}".format, key="sweep_betas",
        help="Weight of the KL term, or of the total correlation.", persist_state="session",
    )  # fmt: skip
    sizes = st.multiselect(
        "Latent dimensions", latents, default=[base.n_latent], help="Numbers per picture.",
        key=f"sweep_latents_{base.n_latent}", persist_state="session",
    )  # fmt: skip
    return objectives, betas, sizes


def _size(chosen: Chosen, settings: Settings, n_runs: int) -> str:
    count = f"**{n_runs} run{'s' * (n_runs > 1)}** of at most {MAX_RUNS}"
    seconds = own_estimate().known_seconds((*chosen.data, *settings.arguments))
    if seconds is not None:
        return f"{count}, about **{duration(n_runs * seconds)}** in all"
    if settings.config.minutes is not None:
        return f"{count}, at least **{duration(60 * n_runs * settings.config.minutes)}** in all"
    return count


def _start(chosen: Chosen, settings: Settings, configs: tuple[TrainConfig, ...]) -> str:
    """Queue them all; the sweep's name."""
    return start_sweep(
        models.folder_for_runs(), chosen.name, data=chosen.data,
        configs=configs, title=chosen.name, device=settings.device,
        taken=[item.path.name for item in models.listed_checkpoints()],
    ).name  # fmt: skip


def _just_started() -> list[str]:
    """Sweeps of this visitor that have not been shown yet."""
    found: list[str] = st.session_state.setdefault(_STARTED, [])
    return found


def results(runs: Path) -> None:
    """The sweeps that are here: one is chosen, and its trade-offs are drawn as its runs finish."""
    sweeps = {sweep.name: sweep for sweep in list_sweeps(runs)}
    if not sweeps:
        return
    st.subheader("Sweeps")
    started = _just_started()
    if started and started[-1] in sweeps:
        st.session_state["sweep_shown"] = started[-1]
    started.clear()
    if st.session_state.get("sweep_shown") not in sweeps:
        st.session_state["sweep_shown"] = next(iter(sweeps))
    name = str(next(iter(sweeps)))
    if len(sweeps) > 1:
        name = st.selectbox(
            "Sweep", list(sweeps), format_func=lambda key: f"{sweeps[key].title} ({key})",
            key="sweep_shown", label_visibility="collapsed",
        )  # fmt: skip
    sweep = sweeps[name]
    is_alive = any(view.status in ("queued", "running") for view in views_of(runs, sweep))
    st.fragment(_one, run_every="2s" if is_alive else None)(runs, sweep, is_alive)


def _one(runs: Path, sweep: Sweep, was_alive: bool) -> None:
    views, dots = views_of(runs, sweep), dots_of(runs, sweep)
    left = [view for view in views if view.status in ("queued", "running")]
    text = f"{len(dots)} of {len(sweep.runs)} runs are done"
    if left:
        now = next((view for view in left if view.status == "running"), left[0])
        text = f"{text} · now {show.plain(now.title.split(' · ')[-1])}: {now.text}"
    st.progress(len(dots) / max(1, len(sweep.runs)), text=text)
    broken = [view for view in views if view.status == "failed"]
    for view in broken[:3]:
        st.error(show.plain(f"{view.title}: {view.problem}"))
    _chart(sweep, dots)
    _buttons(runs, sweep, is_alive=bool(left))
    if was_alive and not left:
        # The list of models and the rest of the page have something new to show. Only now: a
        # button that was pressed meanwhile is heard where it is drawn.
        st.rerun()


def _chart(sweep: Sweep, dots: list[Dot]) -> None:
    """Rate against distortion; the dot that was clicked is offered to be explored."""
    if not dots:
        st.caption("The first dot comes when the first run is done.")
        return
    for dot in dots:
        if dot.rate_nats is None:
            st.caption(
                f"**{dot.label}** reaches {dot.psnr_db:.1f} dB; its codes have no width, so there "
                "is no rate to draw it at. Open it from the list of runs."
            )
    dots = [dot for dot in dots if dot.rate_nats is not None]
    if not dots:
        return
    event = st.plotly_chart(
        trade_off_figure(dots), width="stretch", key=f"sweep_chart_{sweep.name}",
        on_select="rerun", selection_mode="points", config={"displayModeBar": False},
    )  # fmt: skip
    points = event["selection"]["points"]
    names = {dot.name: dot for dot in dots}
    picked = str(points[0]["customdata"][0]) if points else ""
    if picked not in names:
        st.caption(
            "Each dot is a model: right means more information per picture in its code, up means "
            "more exact reconstructions. Larger dots use more dimensions. **Click one** to open it."
        )
        return
    dot = names[picked]
    st.markdown(
        f"**{dot.label}** · {dot.rate_nats:.1f} nats per picture · {dot.psnr_db:.1f} dB · "
        f"{dot.active_units} of {dot.n_latent} dimensions in use"
    )
    if st.button(
        "Explore this model", icon=":material/map:", type="primary", key="sweep_open",
        on_click=state.open_model, args=(dot.name,),
    ):  # fmt: skip
        frame.turn_to("pages/explore.py")


def trade_off_figure(dots: list[Dot]) -> graph_objects.Figure:
    """KL per image against PSNR: a colour per objective, a sign and a line per latent size."""
    figure = graph_objects.Figure()
    groups = list(dict.fromkeys((dot.objective, dot.n_latent) for dot in dots))
    objectives = list(dict.fromkeys(dot.objective for dot in dots))
    sizes = sorted({dot.n_latent for dot in dots})
    for objective, n_latent in groups:
        row = [dot for dot in dots if (dot.objective, dot.n_latent) == (objective, n_latent)]
        row.sort(key=lambda dot: dot.rate_nats or 0.0)
        colour = _COLOURS[objectives.index(objective) % len(_COLOURS)]
        figure.add_scatter(
            x=[dot.rate_nats for dot in row],
            y=[dot.psnr_db for dot in row],
            customdata=[[dot.name, dot.label, dot.active_units] for dot in row],
            text=["" if dot.beta is None else f"β {dot.beta:g}" for dot in row],
            mode="lines+markers+text",
            textposition="bottom center",
            name=f"{objective}, {n_latent}-d",
            line={"color": colour, "width": 1, "dash": "dot"},
            marker={
                "size": [12 + 1.2 * min(32, dot.active_units) ** 0.8 for dot in row],
                "color": colour,
                "symbol": _SYMBOLS[sizes.index(n_latent) % len(_SYMBOLS)],
                "opacity": 0.85,
            },
            hovertemplate="%{customdata[1]}<br>%{x:.1f} nats, %{y:.1f} dB"
            "<br>%{customdata[2]} dimensions in use<extra></extra>",
        )
    figure.update_layout(
        height=360, margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title="rate: KL per picture, nats", yaxis_title="reconstruction: PSNR, dB",
        legend={"orientation": "h", "y": 1.12}, clickmode="event+select", dragmode=False,
    )  # fmt: skip
    return figure


def _buttons(runs: Path, sweep: Sweep, *, is_alive: bool) -> None:
    acts_of("sweeps").tell()
    once = acts_of("sweeps").once
    if is_alive:
        st.button(
            "Cancel the remaining runs", icon=":material/playlist_remove:", key="sweep_cancel",
            on_click=once("cancel", lambda: cancel_sweep(runs, sweep)),
            help="Waiting runs leave the queue; the one at work ends now and keeps its best.",
        )  # fmt: skip
    else:
        st.button(
            "Close this sweep", icon=":material/close:", key="sweep_clear",
            on_click=once("clear", lambda: clear_sweep(runs, sweep)),
            help="Forgets the grid and the runs that never trained; the models stay.",
        )  # fmt: skip
