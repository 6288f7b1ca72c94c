"""A view as one HTML file that opens without a server: page, scripts, codes, weights, the card.

The file takes the very messages the elements get; what they name by URL travels inside it. It
carries no original picture. A content security policy allows its one script and no connection.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final, Literal

from pages.shared import assets
from pages.shared.components import joined_sources
from pages.shared.show import source_name
from vae_core import __version__
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ExplorerError

# What the map needs. Anything else of its message stays behind, so that a part added later
# (pictures of the data, say) leaves this machine only once somebody decides that it should.
MAP_PARTS: Final = (
    "model", "points", "projection", "colour", "hover", "backdrop", "marks", "select", "trust"
)  # fmt: skip
# Other maps and colourings are added while they are together smaller than this.
EXTRAS_BYTES: Final = 4_000_000
# A packed file that is hardly smaller costs the reader more time than it saves.
WORTH_PACKING: Final = 0.97
_OWN_FILE: Final = re.compile(re.escape(assets.URL_PREFIX) + r"/([\w-]+-[0-9a-f]{16}\.\w+)")
NEEDS_THE_APP: Final = (
    "pictures of your own: uploading and rebuilding them",
    "the original pictures and the error against them",
    "the cycle error, one of the three reasons of the full verdict on a code",
    "regions, groups and vectors; paths, sums of codes and files of them",
)


@dataclass(frozen=True)
class Choice:
    """An entry of a list the reader may choose from: a name, and the parts of a message it sets."""

    name: str
    parts: Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """What is shared: both elements' messages, and what else the reader may switch to."""

    map: Mapping[str, Any]
    walk: Mapping[str, Any]
    opens: Literal["Map", "Sliders"] = "Map"
    maps: Sequence[Choice] = ()
    colours: Sequence[Choice] = ()
    sliders: Sequence[Choice] = ()


def file_name(checkpoint: Checkpoint) -> str:
    """A name that every file system takes."""
    return (re.sub(r"[^\w.-]+", "-", checkpoint.name).strip("-.") or "model") + "-view.html"


def shared_view(checkpoint: Checkpoint, view: View) -> bytes:
    """The file, UTF-8; `ExplorerError` when a published file is gone."""
    message, files = _message(checkpoint, view)
    script = _inside_html(joined_sources("share.js", "share.css") + "\nopenSharedView();\n")
    parts = [
        _HEAD.format(
            title=escape(str(checkpoint.card["title"])),
            policy=_policy(script),
            version=__version__,
        ),
        _data_block(message),
        *(_file_block(path, *_packed(path)) for path in files),
        f'<script type="module">{script}</script>\n</body>\n</html>\n',
    ]
    return "".join(parts).encode()


_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="Latent Explorer {version}">
<title>{title} · latent map</title>
</head>
<body>
<div id="lx-share"><p>Opening the map…</p></div>
<noscript><p>This page draws its map and decodes its pictures with JavaScript, which is switched
off here.</p></noscript>
"""


def _inside_html(script: str) -> str:
    """The same script without what would end its element; in strings and comments only."""
    return re.sub(r"<(?=/script|!--)", r"<\\", script, flags=re.IGNORECASE)


def _policy(script: str) -> str:
    """Only the page's own script runs, and nothing is loaded or sent, whatever a label says."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' 'wasm-unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; base-uri 'none'"
    )


def _data_block(message: Mapping[str, Any]) -> str:
    # Without "<" no text in it can end the block or open a comment.
    text = json.dumps(message, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="lx-view">{text}</script>\n'


def _file_block(path: str, text: str, is_packed: bool) -> str:
    packed = ' data-packed="gzip"' if is_packed else ""
    return f'<script type="text/plain" data-path="{escape(path)}"{packed}>{text}</script>\n'


@lru_cache(maxsize=64)
def _packed(path: str) -> tuple[str, bool]:
    """A published file as base64, and whether it is gzip; its name says what is in it."""
    raw = _read(path)
    small = gzip.compress(raw, 9, mtime=0)
    is_packed = len(small) < WORTH_PACKING * len(raw)
    return b64encode(small if is_packed else raw).decode(), is_packed


def _read(path: str) -> bytes:
    match = _OWN_FILE.fullmatch(path)
    assert match is not None
    try:
        return (assets.STATIC_DIR / match[1]).read_bytes()
    except FileNotFoundError:
        raise ExplorerError(
            f"{match[1]} was expected in {assets.STATIC_DIR.name}/ and is gone; start the app "
            "again, which writes it anew."
        ) from None


def _files_of(message: object) -> Iterator[str]:
    """The published files a message names, each as often as it names them."""
    if isinstance(message, str):
        if _OWN_FILE.fullmatch(message):
            yield message
    elif isinstance(message, Mapping):
        for value in message.values():
            yield from _files_of(value)
    elif isinstance(message, Sequence):
        for value in message:
            yield from _files_of(value)


def _message(checkpoint: Checkpoint, view: View) -> tuple[dict[str, Any], list[str]]:
    """What the page's script reads, and the files it needs, in the order of need."""
    shown = {name: view.map[name] for name in MAP_PARTS if name in view.map}
    walk = dict(view.walk)
    files = dict.fromkeys(_files_of([shown, walk]))
    extras = [_fitting(choices, files) for choices in (view.maps, view.colours)]
    for choices in extras:
        files.update(dict.fromkeys(_files_of([choice.parts for choice in choices])))
    message = {
        "title": str(checkpoint.card["title"]),
        "summary": _summary(checkpoint),
        "facts": _facts(checkpoint),
        "needs_the_app": NEEDS_THE_APP,
        "open": view.opens,
        "map": shown,
        "walk": walk,
        "maps": _entries(extras[0], shown),
        "colours": _entries(extras[1], shown),
        "sliders": _entries(view.sliders, walk),
    }
    return message, list(files)


def _fitting(choices: Sequence[Choice], known: Mapping[str, None]) -> list[Choice]:
    """The first choices that stay within the room for extras; the shown one costs nothing."""
    room, chosen = EXTRAS_BYTES, list[Choice]()
    for choice in choices:
        text = json.dumps(choice.parts)
        new = {path for path in _files_of(choice.parts) if path not in known}
        cost = sum(len(_packed(path)[0]) for path in new) + len(text)
        if not new or cost <= room:
            room -= cost if new else 0
            chosen.append(choice)
    return chosen


def _entries(choices: Sequence[Choice], message: Mapping[str, Any]) -> dict[str, Any]:
    """A list of choices, and which of them the message shows now (-1: none of them)."""
    now = [all(message.get(k) == v for k, v in choice.parts.items()) for choice in choices]
    items = [{"name": choice.name, **choice.parts} for choice in choices]
    return {"now": now.index(True) if True in now else -1, "items": items}


# ---- the card in words -------------------------------------------------------------------------
def _summary(checkpoint: Checkpoint) -> str:
    model, codes = checkpoint.model, checkpoint.codes
    return (
        f"{model.n_latent} latent dimensions · {len(codes):,} of {codes.n_total:,} images of "
        f"{source_name(checkpoint.card)} · model {checkpoint.key}"
    )


def _facts(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    card, model = checkpoint.card, checkpoint.model
    metrics, made = card["metrics"], str(card.get("created", ""))[:10]
    used = metrics.get("active_units")
    size = f"{model.n_latent} latent dimensions" + (f", {used} of them in use" if used else "")
    facts = [
        ("Model", f"{card['title']} ({checkpoint.name}), weights {checkpoint.key}"),
        (
            "What it is",
            f"{str(card['objective']['name']).upper()}, {size}, pictures of {model.spec}",
        ),
        ("Trained on", _trained_on(checkpoint)),
        ("On held-out images", _figures(metrics)),
        ("How it was made", without_folders(str(card.get("command", "")))),
        ("Made on", made),
        ("Written by", f"Latent Explorer {__version__}"),
    ]
    return [(name, text) for name, text in facts if text]


def _trained_on(checkpoint: Checkpoint) -> str:
    n_train = checkpoint.card.get("training", {}).get("n_train_images")
    part = "" if n_train is None else f"{n_train:,} of "
    return f"{source_name(checkpoint.card)}, {part}{checkpoint.codes.n_total:,} images"


_FIGURES: Final = (
    ("psnr_db", "reconstruction {:.1f} dB (PSNR)"),
    ("squared_error", "squared error {:.4f} per value"),
    ("kl_nats", "KL {:,.1f} nats"),
    ("elbo_nats", "ELBO {:,.1f} nats"),
    ("n_test_images", "measured on {:,} images"),
)


def _figures(metrics: Mapping[str, Any]) -> str:
    found = [text.format(metrics[name]) for name, text in _FIGURES if name in metrics]
    return ", ".join(found).replace("-", "−")


def without_folders(command: str) -> str:
    """A command line with absolute paths cut to their last part: folders may name people."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return shlex.join(_without_folder(word) for word in words)


def _without_folder(word: str) -> str:
    flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if re.match(r"[A-Za-z]:[\\/]|\\\\", value):
        value = PureWindowsPath(value).name
    elif value.startswith(("/", "~")) or ".." in PurePosixPath(value).parts:
        value = PurePosixPath(value).name
    return flag + equals + value
