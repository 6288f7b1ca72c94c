"""`report.json` as a page: tables of figures and charts, one file without outside parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from vae_core.report.plots import bars, curves

STYLE = """
:root{--ink:#1c1f24;--soft:#667;--paper:#fff;--rule:#dde;--c0:#2563eb;--c1:#d97706;--c2:#059669;
--c3:#c026d3;--c4:#dc2626;--c5:#0891b2}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#9aa;--paper:#14161a;--rule:#333a44;
--c0:#60a5fa;--c1:#fbbf24;--c2:#34d399;--c3:#e879f9;--c4:#f87171;--c5:#22d3ee}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;
max-width:1100px;padding:24px}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{max-width:70ch}
.soft{color:var(--soft)}code{font-size:.85em;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:20px;align-items:start}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:4px 8px;border-bottom:1px solid var(--rule);text-align:left}
td:not(:first-child),th:not(:first-child){text-align:right}
.wide{overflow-x:auto}
svg{width:100%;height:auto}svg line{stroke:var(--rule)}svg text{fill:var(--soft);font-size:12px}
.y,.legend{text-anchor:end}.x,.label{text-anchor:middle}
svg polyline{fill:none;stroke-width:2}
"""
for _i in range(6):
    STYLE += f"rect.s{_i},circle.s{_i},text.s{_i}{{fill:var(--c{_i})}}"
    STYLE += f"polyline.s{_i}{{stroke:var(--c{_i})}}\n"

Section = Mapping[str, Any]


def report_page(report: Mapping[str, Any]) -> str:
    """The HTML of a report made by `measure_report`."""
    about = report["about"]
    parts = [
        f"<h1>{escape(about['title'])}</h1>",
        f"<p class='soft'>{escape(_subject(about))}</p>",
        f"<p><code>{escape(about['command'])}</code></p>",
    ]
    parts += [f"<h2>{escape(title)}</h2>{body}" for title, body in report_sections(report)]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>{escape(about['title'])} · report</title><style>{STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def report_sections(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Titles of the sections a report has, each with its tables and charts as HTML.

    What does not look like a section, in a report that was changed by hand, is said there.
    """
    parts = []
    for name, (title, show) in SHOWN.items():
        if name in report:
            try:
                body = show(report[name])
            except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError,
                    StopIteration):  # fmt: skip
                body = "<p>This part of the report was changed or is damaged; make it again.</p>"
            parts.append((title, body))
    left_out = report.get("left_out")
    if left_out and isinstance(left_out, dict):
        parts.append(("Left out", _table(("section", "why"), left_out.items())))
    return parts


def _subject(about: Section) -> str:
    return (
        f"{about['objective']['name']} on {about['data']}, {about['n_latent']}-d code, "
        f"{about['n_test_images']:,} held-out images, one training run, seed {about['seed']}."
    )


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(head: Sequence[str], rows: Any) -> str:
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_number(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<div class='wide'><table><tr>{top}</tr>{body}</table></div>"


def _grid(*parts: str) -> str:
    return "<div class='grid'>" + "".join(f"<div>{part}</div>" for part in parts if part) + "</div>"


def _bounds(found: Section) -> str:
    rows = [
        (f"−log p(x), {found['importance_samples']} importance samples, nats", found["nll"]),
        ("its standard error over images", found["nll_standard_error"]),
        *_with_mixture(found),
        ("−ELBO, nats", -found["elbo"]),
        ("reconstruction, nats", found["reconstruction"]),
        ("KL, nats", found["kl"]),
        ("−ELBO in bits per value (bits back)", found["elbo_bits_per_value"]),
        ("images", found["n_images"]),
    ]
    return _table(("per image", "value"), rows)


def _with_mixture(found: Section) -> list[tuple[str, float]]:
    """Reports from before the mixture was scored, and models without one, have no such rows."""
    if found.get("nll_mixture") is None:
        return []
    return [
        ("−log p(x) with the fitted mixture as the prior, nats", found["nll_mixture"]),
        ("its standard error over images", found["nll_mixture_standard_error"]),
    ]


def _latent(found: Section) -> str:
    order = found["order_by_kl"]
    if "kl_per_dimension" not in found:
        spread = found["std_of_means"]
        chart = bars([spread[d] for d in order], x_label="dimension", y_label="std of the codes")
        return _grid(_table(("", ""), [("active units", found["active_units"])]), chart)
    split, aggregate = found["kl_split"], found["aggregate"]
    rows = [
        ("active units", found["active_units"]),
        ("KL, nats", split["kl"]),
        ("index-code mutual information, nats", split["mutual_information"]),
        ("  its ceiling with so many images, log N", split["ceiling"]),
        ("total correlation, nats", split["total_correlation"]),
        ("dimension-wise KL, nats", sum(split["dimension_kl"])),
        ("discrepancy to the prior, MMD²", aggregate["discrepancy"]["value"]),
        ("the same of prior draws", aggregate["discrepancy"]["of_prior"]),
    ]
    kl = [found["kl_per_dimension"][d] for d in order]
    middle = [(a + b) / 2 for a, b in zip(aggregate["edges"], aggregate["edges"][1:], strict=False)]
    densities = {
        f"dimension {d}": list(zip(middle, aggregate["density"][d], strict=True)) for d in order[:3]
    }
    densities["N(0, 1)"] = list(zip(middle, aggregate["prior_density"], strict=True))
    return _grid(
        _table(("latent space", "value"), rows),
        bars(kl, x_label="dimension, by falling KL", y_label="KL, nats"),
        curves(densities, x_label="code", y_label="density"),
    )


def _pictures(found: Section) -> str:
    rows = [
        ("squared error", found["mse"], found["mse_std"]),
        ("PSNR, dB", found["psnr"], found["psnr_std"]),
        (f"SSIM, {found['ssim_window']}-pixel window", found["ssim"], found["ssim_std"]),
    ]
    return _table(
        (f"rebuilt from the mean code, {found['n_images']:,} images", "mean", "std"), rows
    )


def _samples(found: Section) -> str:
    names = {
        "held_out": "other held-out images (the floor)",
        "rebuilt": "rebuilt held-out images",
        "drawn_from_normal": "drawn from N(0, I)",
        "drawn_from_mixture": "drawn from the fitted mixture",
    }
    rows = [(names[k], v["distance"], v["n_second"]) for k, v in found.items()]
    space = next(iter(found.values()))["features"]
    note = (
        f"<p class='soft'>Features: {escape(space)}, an untrained network with fixed weights that "
        "works offline. Its unit is its own: it compares with no Inception FID.</p>"
    )
    return note + _table(("Fréchet distance of held-out images to", "distance", "images"), rows)


def _rates(found: Section) -> str:
    series: dict[str, list[tuple[float, float]]] = {}
    for point in found["points"]:
        if point["psnr_db"] is not None and point["bits_per_image"] > 0:
            family = (
                point["name"].split(",")[0].split(" q")[0].split(" step")[0].rstrip("0123456789. ")
            )
            series.setdefault(family, []).append((point["bits_per_image"] / 8, point["psnr_db"]))
    rows = [
        (p["name"], p["bits_per_image"] / 8, p["psnr_db"], p["header_bits"] / 8)
        for p in found["points"]
    ]
    return _grid(
        curves(series, x_label="bytes per image", y_label="PSNR, dB", log_x=True),
        _table(("way to store", "bytes", "PSNR, dB", "of it frame"), rows),
    )


def _labels(found: Any) -> str:
    rows = [
        (
            p["features"],
            p["n_dimensions"],
            p["linear"],
            p["neighbours"],
            p["few_mean"],
            p["few_std"],
        )
        for p in found
    ]
    head = ("accuracy from", "dimensions", "linear", "5 neighbours", "100 labels", "± std")
    return _table(head, rows)


def _factors(found: Section) -> str:
    scores = [
        ("MIG (20 bins, means)", found["mig"]["score"]),
        ("SAP", found["sap"]["score"]),
        ("DCI disentanglement", found["dci"]["disentanglement"]),
        ("DCI completeness", found["dci"]["completeness"]),
        ("DCI informativeness", found["dci"]["informativeness"]),
        ("FactorVAE score", found["factor_vae"]["score"]),
    ]
    kinds = list(dict.fromkeys(p["features"] for p in found["readout"]))
    names = list(dict.fromkeys(p["factor"] for p in found["readout"]))
    score = {(p["factor"], p["features"]): p["score"] for p in found["readout"]}
    measure = {p["factor"]: p["measure"] for p in found["readout"]}
    rows = [
        (f"{n} ({measure[n]})", found["mig"]["per_factor"].get(n), *(score[n, k] for k in kinds))
        for n in names
    ]
    return _grid(
        _table(("disentanglement", "score"), scores),
        _table(("factor", "MIG", *kinds), rows),
    )


def _foreign(found: Section) -> str:
    rows = [
        (name, s["auroc"], s["caught"], s["false_alarms"]) for name, s in found["scores"].items()
    ]
    head = (f"against {found['against']}", "AUROC", "caught", "false alarms")
    return _table(head, rows)


SHOWN: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "bounds": ("Likelihood", _bounds),
    "latent": ("Latent space", _latent),
    "pictures": ("Reconstruction", _pictures),
    "samples": ("Samples", _samples),
    "rates": ("Rate and distortion", _rates),
    "labels": ("What the codes know of the labels", _labels),
    "factors": ("What the codes know of the factors", _factors),
    "foreign": ("Foreign images", _foreign),
}
