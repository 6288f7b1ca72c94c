"""Images per second of one stream of training steps, ours beside pythae's trainer.

Same data (MNIST, grey), batch, latent size, network and loss: Bernoulli cross-entropy plus
KL, summed per image. Each contender is a process of its own that computes only when it is
asked to, in turns (A B A B, then B A B A), so that other load hits all alike. The `-kept`
contenders run with malloc told to keep freed memory.

pythae goes into an environment of its own, beside the torch of this one:
    python -m venv --system-site-packages /tmp/peer
    /tmp/peer/bin/pip install --no-deps pythae pydantic pydantic-core annotated-types \
        typing-inspection cloudpickle imageio
Usage: python benchmarks/training_throughput.py --peer-python /tmp/peer/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)

OUT = ROOT / "benchmarks" / "results" / "training_throughput.json"
BATCH, N_LATENT, LEARNING_RATE, N_IMAGES = 128, 16, 1e-3, 12_800
# Steps per turn: about a second or more of work for each network.
STEPS = {"mlp": 100, "burgess": 40, "fast": 20}
BARS = {"mlp": 2.5, "burgess": 1.3}
CONTENDERS = ("ours", "pythae", "ours-kept", "pythae-kept")
# The verb `train` keeps freed memory, pythae does not: what a user of either sees.
AS_SHIPPED = "ratio_kept_to_plain_pythae"
# glibc reads these at start-up: big blocks come from the heap and the heap never shrinks.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31),
    "MALLOC_TOP_PAD_": str(2**26),
}
Turn = Callable[[], float]


def pixels() -> Any:
    """The first training images of MNIST, uint8 `[N,1,28,28]`."""
    from vae_core.data.catalogue import load_images

    return load_images("mnist").subset("train").images[:N_IMAGES]


def new_run(net: str, folder: Path) -> Any:
    """A `Run` of ours; for `mlp` the activations become pythae's ReLU."""
    from torch import nn

    from vae_core.model import ModelConfig
    from vae_core.nets.architecture import Architecture, architecture_for
    from vae_core.train.config import TrainConfig
    from vae_core.train.processes import Processes
    from vae_core.train.run import start_run
    from vae_core.train.runtime import choose_runtime
    from vae_core.types import ImageSpec

    spec, likelihood = ImageSpec(1, 28, 28), "bernoulli-continuous"
    is_mlp = net == "mlp"
    shape = Architecture("mlp", widths=(512,)) if is_mlp else architecture_for(net, spec)
    config = TrainConfig(n_latent=N_LATENT, likelihood=likelihood, batch_size=BATCH)
    run = start_run(
        folder, ModelConfig(spec, N_LATENT, shape, likelihood), config, choose_runtime("cpu"),
        processes=Processes(), resume=False, initial=None,
    )  # fmt: skip
    for part in (run.model.encoder, run.model.decoder) if is_mlp else ():
        for index, layer in enumerate(part):
            if isinstance(layer, nn.Tanh):
                part[index] = nn.ReLU()
    return run


def our_turn(net: str, folder: Path) -> Turn:
    """Our stream: ImageFeed → Batch → update, as `vae_core.train.loop` chains them."""
    import torch

    from vae_core.train.step import ImageFeed, epoch_order
    from vae_core.train.update import update

    run = new_run(net, folder)
    feed, generator = ImageFeed(pixels(), torch.device("cpu")), torch.Generator()

    def turn() -> float:
        run.loss_sum.zero_()
        order = epoch_order(len(feed), seed=0, epoch=run.position.step)
        for rows in torch.split(order, BATCH)[: STEPS[net]]:
            update(run, feed.known_batch(rows, generator), learning_rate=LEARNING_RATE)
        return float(run.loss_sum) / (STEPS[net] * BATCH)

    return turn


def pythae_model(net: str, folder: Path) -> Any:
    """pythae's VAE: its default MLP, or the very layers of our network, in its own layout."""
    import torch
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    config = VAEConfig(
        input_dim=(1, 28, 28), latent_dim=N_LATENT, reconstruction_loss="bce"
    )  # fmt: skip
    if net == "mlp":
        return VAE(config)
    ours = new_run(net, folder).model.to(memory_format=torch.contiguous_format)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.mean, self.log_var = ours.encoder, ours.mean_head, ours.log_std_head

        def forward(self, x: Any) -> Any:
            features = self.trunk(x)
            return ModelOutput(
                embedding=self.mean(features), log_covariance=self.log_var(features)
            )  # fmt: skip

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = ours.decoder

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    return VAE(config, encoder=Encoder(), decoder=Decoder())


def pythae_turn(net: str, folder: Path) -> Turn:
    """One epoch of its BaseTrainer over as many images as our turn has; nothing is replaced."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    x = torch.from_numpy(pixels()[: STEPS[net] * BATCH]).float() / 255
    config = BaseTrainerConfig(
        output_dir=str(folder), per_device_train_batch_size=BATCH,
        learning_rate=LEARNING_RATE, no_cuda=True,
    )  # fmt: skip
    data = BaseDataset(x, torch.zeros(len(x)))
    trainer = BaseTrainer(pythae_model(net, folder), data, training_config=config)
    trainer.prepare_training()

    def turn() -> float:
        # The part of its `train` that belongs to an epoch's steps; no validation, no saving.
        trainer.callback_handler.on_epoch_begin(
            training_config=config, epoch=1, train_loader=trainer.train_loader, eval_loader=None
        )
        return float(trainer.train_step(1))

    return turn


def work(name: str, net: str, n_threads: int) -> None:
    """A contender: one turn to warm up, then one for each line that comes in."""
    import torch

    torch.set_num_threads(n_threads)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever pythae prints must not mix with the answers
    with tempfile.TemporaryDirectory() as folder:
        turn = (our_turn if name.startswith("ours") else pythae_turn)(net, Path(folder))
        turn()
        for _ in iter(sys.stdin.readline, ""):
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            wall, cpu = time.perf_counter(), time.process_time()
            loss = turn()
            record = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
            record |= {"loss": loss, "faults_per_step": faults / STEPS[net]}
            answers.write(json.dumps(record) + "\n")
            answers.flush()


def start(name: str, net: str, n_threads: int, python: str) -> subprocess.Popen[str]:
    """Start a contender's process."""
    env = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
    if name.endswith("-kept"):
        env |= KEEP_MEMORY
    command = [python, str(Path(__file__)), "--worker", name, net, str(n_threads)]
    return subprocess.Popen(
        command, env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def one_turn(process: subprocess.Popen[str]) -> dict[str, float]:
    """Let a contender compute while all others wait."""
    assert process.stdin and process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit(f"{process.args} ended without an answer; run it by hand to see why.")
    record: dict[str, float] = json.loads(answer)
    return record


def race(net: str, n_threads: int, *, rounds: int, python: str) -> dict[str, Any]:
    """All contenders in turns on one network; figures for each, and ours over theirs."""
    runs = {name: start(name, net, n_threads, python) for name in CONTENDERS}
    records: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    try:
        for index in range(rounds):
            for name in list(runs)[:: 1 if index % 2 == 0 else -1]:
                records[name].append(one_turn(runs[name]))
    finally:
        for process in runs.values():
            process.kill()
            process.wait()
    figures: dict[str, Any] = {name: summary(net, found) for name, found in records.items()}
    pairs = {"ratio": ("ours", "pythae"), "ratio_kept": ("ours-kept", "pythae-kept"),
             "ratio_kept_over_plain": ("ours-kept", "ours"),
             "ratio_kept_to_plain_pythae": ("ours-kept", "pythae")}  # fmt: skip
    for key, (mine, other) in pairs.items():
        figures[key] = ratio(records[mine], records[other])
    return figures


def summary(net: str, records: list[dict[str, float]]) -> dict[str, Any]:
    """Medians of one contender and how far the rounds lie apart."""
    speeds = {
        kind: [STEPS[net] * BATCH / r[kind] for r in records] for kind in ("wall", "cpu")
    }  # fmt: skip
    return {
        "images_per_second": statistics.median(speeds["wall"]),
        "images_per_cpu_second": statistics.median(speeds["cpu"]),
        "images_per_second_range": [min(speeds["wall"]), max(speeds["wall"])],
        "page_faults_per_step": statistics.median(r["faults_per_step"] for r in records),
        "last_loss_nats": records[-1]["loss"],
    }


def ratio(mine: list[dict[str, float]], other: list[dict[str, float]]) -> dict[str, Any]:
    """How many times faster: median and range over rounds, by wall clock and processor time."""
    found: dict[str, Any] = {}
    for kind in ("wall", "cpu"):
        each = [b[kind] / a[kind] for a, b in zip(mine, other, strict=True)]
        found[kind] = statistics.median(each)
        found[f"{kind}_range"] = [min(each), max(each)]
    return found


def show(net: str, n_threads: int, figures: dict[str, Any]) -> None:
    """Rows of the table for one network and one number of threads."""
    for name in CONTENDERS:
        f = figures[name]
        sys.stdout.write(
            f"{net:8} {n_threads} thread(s)  {name:12} {f['images_per_second']:8,.0f} images/s  "
            f"{f['images_per_cpu_second']:8,.0f} per cpu-s  "
            f"{f['page_faults_per_step']:6,.0f} faults/step  loss {f['last_loss_nats']:6.1f}\n"
        )
    for key in (key for key in figures if key.startswith("ratio")):
        f = figures[key]
        low, high = f["wall_range"]
        bar = f"  bar {BARS[net]:g}" if key == AS_SHIPPED and net in BARS else ""
        sys.stdout.write(
            f"{'':22}{key:28} wall {f['wall']:.2f} ({low:.2f}-{high:.2f})  "
            f"cpu {f['cpu']:.2f}{bar}\n"
        )
    sys.stdout.flush()


def main() -> None:
    """Race on every network with every number of threads, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="one that has pythae")
    parser.add_argument("--nets", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--worker", nargs=3, metavar=("NAME", "NET", "THREADS"))
    args = parser.parse_args()
    if args.worker:
        work(args.worker[0], args.worker[1], int(args.worker[2]))
        return
    found = subprocess.run([args.peer_python, "-c", "import pythae"], capture_output=True)
    if found.returncode:
        raise SystemExit(f"{args.peer_python} cannot import pythae; see the head of this file.")
    result: dict[str, Any] = {"batch": BATCH, "rounds": args.rounds, "bars": BARS}
    result["machine"] = machine_facts()
    for net in args.nets:
        for n_threads in args.threads:
            figures = race(net, n_threads, rounds=args.rounds, python=args.peer_python)
            show(net, n_threads, figures)
            result[f"{net}_{n_threads}"] = figures
    result["load_at_end"] = os.getloadavg()[0]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
