"""The verbs `export-model` and `import-model`: a model as one zip, and back."""

from __future__ import annotations

import argparse
from pathlib import Path

from vae_core.cli.common import answer
from vae_core.files import replace_file
from vae_core.library import import_model, zip_model


def add_export_flags(verb: argparse.ArgumentParser) -> None:
    """The arguments of `export-model`."""
    verb.add_argument("checkpoint", type=Path, help="checkpoint folder")
    verb.add_argument("--out", type=Path, required=True, help="the zip to write")


def add_import_flags(verb: argparse.ArgumentParser) -> None:
    """The arguments of `import-model`."""
    verb.add_argument("zip", type=Path, help="a zip written by export-model or the app")
    verb.add_argument("--into", type=Path, default=Path("runs"), help="folder of models")
    verb.add_argument("--name", default="", help="name of the new folder (default: the zip's)")


def run_export(args: argparse.Namespace) -> int:
    """Write a checkpoint's files as one zip."""
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(args.out) as temporary, temporary.open("wb") as opened:
        zip_model(args.checkpoint, opened)
    figures = {"out": str(args.out), "bytes": args.out.stat().st_size}
    answer(args, figures, f"Saved {args.out}, {figures['bytes']:,} bytes.")
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Check a zip and unpack it into a new folder."""
    # Whoever types commands here may read these files anyway.
    folder = import_model(args.zip, into=args.into, name=args.name, may_read=lambda _: True)
    answer(args, {"checkpoint": str(folder)}, f"Saved {folder}; open it with: streamlit run app.py")
    return 0
