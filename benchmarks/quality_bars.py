"""The published figures this project measures itself by, one part per bar.

    python benchmarks/quality_bars.py nll CHECKPOINT...     MNIST −log p(x), K = 1,000
    python benchmarks/quality_bars.py few-labels CHECKPOINT MNIST, 100 labels, 10 draws
    python benchmarks/quality_bars.py foreign CHECKPOINT    MNIST against Omniglot
    python benchmarks/quality_bars.py one-vs-rest           MNIST, one model per digit
    python benchmarks/quality_bars.py denoise               MNIST, Gaussian noise of 0.5
    python benchmarks/quality_bars.py readout CHECKPOINT    faces: linear readout of factors
    python benchmarks/quality_bars.py attributes            faces: the same with an attribute VAE
    python benchmarks/quality_bars.py mig CHECKPOINT...     sprites: MIG over seeds
    python benchmarks/quality_bars.py tc-toy                total correlation, known value

Each prints a table and writes benchmarks/results/quality_PART_CHECKPOINT.json. MNIST is found in
VAE_DATA_DIR or downloaded; Omniglot is a zip or folder given by --omniglot.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.checkpoint import load_checkpoint  # noqa: E402
from vae_core.data.catalogue import load_images  # noqa: E402
from vae_core.data.imageset import ImageSet  # noqa: E402
from vae_core.data.pixels import fit_images  # noqa: E402
from vae_core.data.targets import named_targets  # noqa: E402
from vae_core.data.validation import with_validation  # noqa: E402
from vae_core.estimators import aggregate_log_densities, stratified_log_weight  # noqa: E402
from vae_core.evaluate.anomaly import anomaly_features, detection_report  # noqa: E402
from vae_core.evaluate.bounds import evidence_bounds  # noqa: E402
from vae_core.evaluate.factors import mig  # noqa: E402
from vae_core.evaluate.features import feature_sets  # noqa: E402
from vae_core.evaluate.probe import FactorProbe, probe_factors  # noqa: E402
from vae_core.latent.codes import Codes, encode_set  # noqa: E402
from vae_core.latent.spreading import neighbour_graph, spread_labels  # noqa: E402
from vae_core.model import Autoencoder  # noqa: E402
from vae_core.objectives.denoising import corrupt  # noqa: E402
from vae_core.pipeline import plan_model  # noqa: E402
from vae_core.recipes import recipe  # noqa: E402
from vae_core.report.measure import mixture_of  # noqa: E402
from vae_core.train import TrainConfig, train  # noqa: E402
from vae_core.train.runtime import choose_runtime  # noqa: E402
from vae_core.types import ImageSpec  # noqa: E402

Row = dict[str, Any]
# As many as the shipped faces models saw.
FACE, N_FACES = ImageSpec(3, 64, 64), 34_000


def nll(args: argparse.Namespace) -> list[Row]:
    """−log p(x) of dynamically binarised test images."""
    test = load_images("mnist").subset("test").images[: args.limit]
    rows = []
    for path in args.checkpoint:
        checkpoint = load_checkpoint(path)
        with tqdm(total=len(test), desc=path.name, disable=None) as bar:

            def follow(done: int, _: int, bar: tqdm[Any] = bar) -> None:
                bar.update(done - bar.n)

            found = evidence_bounds(
                checkpoint.model, test, importance_samples=args.importance_samples,
                mixture=mixture_of(checkpoint), progress=follow,
            )  # fmt: skip
        rows.append(
            {
                "checkpoint": path.name,
                "nll": found.nll,
                "standard_error": found.nll_standard_error,
                "nll_mixture": found.nll_mixture,
                "mixture_standard_error": found.nll_mixture_standard_error,
                "elbo": found.elbo,
                "K": args.importance_samples,
                "n_images": len(test),
                "n_seeds": 1,
            }
        )
    return rows


def few_labels(args: argparse.Namespace) -> list[Row]:
    """Labels spread along the graph of all 70,000 codes from ten images per digit.

    Transductive: the test images' codes are in the graph, their labels are not.
    """
    images, model = load_images("mnist"), load_checkpoint(args.checkpoint[0]).model
    features = {"codes": encode_set(model, images).mean}
    train = np.flatnonzero(images.split != 2)
    features |= {
        k: v for k, v in feature_sets(features["codes"], images.images, train=train).items()
        if k.startswith("pca")
    }  # fmt: skip
    return [_spread_error(name, z, images) for name, z in features.items()]


def _spread_error(name: str, z: np.ndarray, images: ImageSet) -> Row:
    assert images.labels is not None
    graph, test = neighbour_graph(z.astype(np.float32)), images.split == 2
    errors = []
    for draw in range(10):
        known = np.full(len(z), -1)
        for digit in range(10):
            pile = np.flatnonzero((images.labels == digit) & ~test)
            known[np.random.default_rng([draw, digit]).permutation(pile)[:10]] = digit
        said = spread_labels(graph, known).argmax(1)
        errors.append(float((said != images.labels)[test].mean()))
    return {
        "features": name, "error": statistics.mean(errors), "std": statistics.stdev(errors),
        "worst": max(errors), "n_draws": 10, "n_labels": 100,
    }  # fmt: skip


def foreign(args: argparse.Namespace) -> list[Row]:
    """AUROC of every score for MNIST test images against Omniglot."""
    model = load_checkpoint(args.checkpoint[0]).model
    test = load_images("mnist").subset("test").images
    strange = load_images(args.omniglot, size=28, channels=1, n_images=2_000)
    # Omniglot is black on white, MNIST white on black: the polarity must not give it away.
    inverted = 255 - fit_images(strange.images, model.spec)
    parts = (test[:4_000], test[5_000:7_000], inverted)
    report = detection_report(*(anomaly_features(model, part) for part in parts))
    return [
        {"score": name, "auroc": d.auroc, "caught": d.caught, "false_alarms": d.false_alarms}
        for name, d in report.scores.items()
    ]


def _quick(images: ImageSet, config: TrainConfig) -> Autoencoder:
    images = with_validation(images, seed=config.seed)
    spec, _ = plan_model(images, config)
    with tempfile.TemporaryDirectory() as folder:
        runtime = choose_runtime("auto")
        model, _ = train(images, Path(folder), model_config=spec, config=config, runtime=runtime)
    return model.cpu()


def one_vs_rest(args: argparse.Namespace) -> list[Row]:
    """One VAE per digit, trained on that digit only; AUROC of its test images against the rest."""
    images, rows = load_images("mnist"), []
    assert images.labels is not None
    for digit in range(10):
        own = images.take(np.flatnonzero((images.labels == digit) & (images.split != 2)))
        config = TrainConfig(
            preset="mlp", n_latent=16, epochs=args.epochs or 40, learning_rate=3e-3,
            likelihood="bernoulli-continuous",
        )  # fmt: skip
        model = _quick(own, config)
        test = images.subset("test")
        assert test.labels is not None
        normal = anomaly_features(model, test.images[test.labels == digit])
        other = anomaly_features(model, test.images[test.labels != digit])
        known = anomaly_features(model, own.images[own.split == 1])
        scores = detection_report(known, normal, other).scores
        rows.append({"digit": digit, **{name: d.auroc for name, d in scores.items()}})
        print(rows[-1], flush=True)
    names = [n for n in rows[0] if n != "digit"]
    rows.append({"digit": "mean", **{n: statistics.mean(r[n] for r in rows) for n in names}})
    return rows


def denoise(args: argparse.Namespace) -> list[Row]:
    """PSNR of test images with Gaussian noise of 0.5, clipped, before and after."""
    images = load_images("mnist")
    config = TrainConfig(
        objective="denoising-ae", objective_options={"noise": "gaussian", "amount": 0.5},
        preset="fast", n_latent=64, epochs=args.epochs or 4, learning_rate=4e-3,
        likelihood="bernoulli-continuous",
    )  # fmt: skip
    model = _quick(images, config)
    clean = torch.from_numpy(images.subset("test").images).float() / 255
    noisy = corrupt(clean, "gaussian", amount=0.5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mended = torch.cat([model.decode(model.encode(x).mean) for x in torch.split(noisy, 500)])
    rebuilt = _pca(images, noisy, n=50).reshape(clean.shape).clamp(0, 1)
    named = {"noisy": noisy, "PCA-50": rebuilt, "denoising-ae": mended}
    return [{"way": name, "psnr_db": _psnr(x, clean), "n_seeds": 1} for name, x in named.items()]


def _pca(images: ImageSet, noisy: torch.Tensor, *, n: int) -> torch.Tensor:
    """Noisy images projected on the first n components of the clean training images."""
    x = torch.from_numpy(images.subset("train").images).flatten(1).float() / 255
    mean = x.mean(0)
    axes = torch.linalg.eigh((x - mean).T @ (x - mean)).eigenvectors[:, -n:]
    return mean + (noisy.flatten(1) - mean) @ axes @ axes.T


def _psnr(x: torch.Tensor, clean: torch.Tensor) -> float:
    return float(-10 * (x - clean).square().mean().log10())


def readout(args: argparse.Namespace) -> list[Row]:
    """Held-out linear readout of every factor of the faces from the codes."""
    found = _read_out(load_checkpoint(args.checkpoint[0]).codes)
    return [{"factor": p.factor, "measure": p.measure, "score": p.score} for p in found]


def _read_out(codes: Codes) -> tuple[FactorProbe, ...]:
    rows = np.flatnonzero(codes.split == 2)
    half = len(rows) // 2
    train, test = rows[:half], rows[half:]
    return probe_factors({"codes": codes.mean}, codes.factors, train=train, test=test)


def attributes(args: argparse.Namespace) -> list[Row]:
    """Faces whose first dimensions stand for their factors: readout over seeds.

    By the codes together, as in `readout`, and by the one dimension of a factor alone, R² on the
    held-out faces after a straight line. All labels of the training faces are seen.
    """
    images = load_images("faces", n_images=N_FACES)
    wanted = recipe("attributes", "5", spec=FACE, n_images=N_FACES)
    found = [_attribute_seed(images, wanted, seed, args.epochs or 20) for seed in range(3)]
    rows: list[Row] = []
    for name in found[0]:
        scores = [seed[name] for seed in found]
        rows.append({"readout": name, "score": statistics.mean(scores),
                     "std": statistics.stdev(scores), "n_seeds": len(scores)})  # fmt: skip
    return rows


def _attribute_seed(
    images: ImageSet, wanted: TrainConfig, seed: int, epochs: int
) -> dict[str, float]:
    model = _quick(images, replace(wanted, minutes=None, epochs=epochs, seed=seed))
    held_out = images.subset("test")
    codes = encode_set(model, held_out)
    rebuilt = torch.cat([model.decode(z) for z in torch.from_numpy(codes.mean).split(500)])
    clean = torch.from_numpy(held_out.images).float() / 255
    scores = {"psnr_db": _psnr(rebuilt.detach(), clean)}
    scores |= {f"{p.factor} ({p.measure}), all codes": p.score for p in _read_out(codes)}
    for dimension, target in enumerate(named_targets(images, ())):
        if not target.is_category:
            pair = codes.mean[:, dimension], held_out.factors[target.name].values
            share = float(np.corrcoef(*pair)[0, 1]) ** 2
            scores[f"{target.name} (r2), its dimension"] = share
    print({name: round(score, 3) for name, score in scores.items()}, flush=True)
    return scores


def mig_of_seeds(args: argparse.Namespace) -> list[Row]:
    """MIG of sprites models, 20 bins, means of held-out images; one checkpoint per seed."""
    rows = []
    for path in args.checkpoint:
        codes = load_checkpoint(path).codes
        found = mig(codes.mean, codes.factors)
        rows.append({"checkpoint": path.name, "mig": found.score, **found.per_factor})
    scores = [r["mig"] for r in rows]
    spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
    return [*rows, {"checkpoint": f"mean of {len(rows)}", "mig": statistics.mean(scores),
                    "std": spread}]  # fmt: skip


def tc_toy(args: argparse.Namespace) -> list[Row]:  # noqa: ARG001
    """Total correlation of a toy whose true value is 6.79 nats, from batches and from all."""
    from tests.toys import tc_toy as toy

    mean, log_std, true = toy(4_000)
    mean, log_std = torch.from_numpy(mean), torch.from_numpy(log_std)
    draw = torch.Generator().manual_seed(0)
    z = mean + log_std.exp() * torch.randn(mean.shape, generator=draw)
    joint, product = aggregate_log_densities(z[:1_000], mean, log_std)
    rows = [{"estimator": "full data", "tc": float((joint - product).mean()), "true": true}]
    for size in (64, 256, 1024):
        found = []
        for _ in range(40):
            pick = torch.randperm(len(z), generator=draw)[:size]
            weight = stratified_log_weight(size, len(z), like=z)
            parts = aggregate_log_densities(z[pick], mean[pick], log_std[pick], log_weight=weight)
            found.append(float((parts[0] - parts[1]).mean()))
        rows.append({"estimator": f"stratified, batch {size}", "tc": statistics.mean(found),
                     "std": statistics.stdev(found), "true": true})  # fmt: skip
    return rows


PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "nll": nll,
    "few-labels": few_labels,
    "foreign": foreign,
    "one-vs-rest": one_vs_rest,
    "denoise": denoise,
    "readout": readout,
    "attributes": attributes,
    "mig": mig_of_seeds,
    "tc-toy": tc_toy,
}


def main() -> None:
    """Run one part, print its table, write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("checkpoint", type=Path, nargs="*")
    parser.add_argument(
        "--omniglot", type=Path, default=ROOT.parent / "shared/data/omniglot-small1.zip"
    )
    parser.add_argument("--importance-samples", type=int, default=1_000)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=0, help="instead of the part's own")
    args = parser.parse_args()
    rows = PARTS[args.part](args)
    for row in rows:
        print(
            "  ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )
    name = "_".join([args.part, *(path.name for path in args.checkpoint[:1])]).replace("-", "_")
    out = ROOT / "benchmarks" / "results" / f"quality_{name}.json"
    out.write_text(json.dumps({"rows": rows, "machine": machine_facts()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
