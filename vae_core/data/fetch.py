"""Download one file: resumed where it broke off, checked by SHA-256, moved into place whole.

Beside it the addresses and checksums of MNIST and its relatives. The SHA-256 of the `.gz`
files are those of TensorFlow Datasets (`tensorflow_datasets/url_checksums/*.txt`); they hold
for the files as published: MNIST files gzipped anew by someone are welcome in a data
directory, where content and not packing counts, but would not pass as a download.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vae_core.data.idx import find_idx_files
from vae_core.data.packed import cache_root
from vae_core.errors import DataError

# For silence on the line, not for the whole download.
TIMEOUT_SECONDS = 30
BLOCK_BYTES = 2**17
N_ATTEMPTS = 2

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Remote:
    """A published set of four gzipped IDX files: base addresses and SHA-256 by file name.

    `raw_folder` is where torchvision keeps the same files below its own data directory.
    """

    bases: tuple[str, ...]
    sha256: dict[str, str]
    raw_folder: str


def _pins(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> dict[str, str]:
    return {
        "train-images-idx3-ubyte.gz": train_images,
        "train-labels-idx1-ubyte.gz": train_labels,
        "t10k-images-idx3-ubyte.gz": test_images,
        "t10k-labels-idx1-ubyte.gz": test_labels,
    }


REMOTES: dict[str, Remote] = {
    "mnist": Remote(
        (
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        _pins(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        "MNIST/raw",
    ),
    "fashion-mnist": Remote(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        _pins(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        "FashionMNIST/raw",
    ),
    "kmnist": Remote(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        _pins(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        "KMNIST/raw",
    ),
}


class _AttemptFailedError(Exception):
    """This address did not give the file; the message says why."""


def fetch(
    url: str,
    *,
    sha256: str,
    to: Path,
    progress: Progress | None = None,
    mirrors: Sequence[str] = (),
) -> Path:
    """Download `url` to the file `to`, unless it is there already with the right content.

    `mirrors` are tried in turn. What arrived of a broken download stays beside it as `.part`
    and is continued next time. `progress(bytes_done, bytes_total_or_None)` is called as it
    goes. Raises `DataError` when no address gives a file with this SHA-256.
    """
    if to.is_file() and hash_file(to) == sha256:
        return to
    part = _make_room(to)
    reasons: list[str] = []
    for address in (url, *mirrors):
        for _ in range(N_ATTEMPTS):
            resuming = part.exists()
            try:
                _download(address, part, progress)
                _accept(part, sha256, to)
                return to
            except _AttemptFailedError as failure:
                reasons.append(f"{address}: {failure}")
                # A second try is worth it to continue a part, or to start over without a bad one.
                if not (resuming or part.exists()):
                    break
    raise DataError(
        f"Could not download '{to.name}' ({'; '.join(dict.fromkeys(reasons))}); check the network, "
        f"or put the file {to.name} into {to.parent} by hand."
    )


def find_local(name: str, data_dir: Path | None) -> Path | None:
    """The folder that already holds the four IDX files of a set in `REMOTES`, or None.

    Looks in `data_dir` and the directory named by `VAE_DATA_DIR` (there in `<name>`, in
    torchvision's place, and directly), then where downloads go.
    """
    named = os.environ.get("VAE_DATA_DIR")
    parents = [data_dir] if data_dir else []
    parents += [Path(named).expanduser()] if named else []
    places = [_download_folder(name)]
    for parent in reversed(parents):
        places[:0] = [parent / name, parent / REMOTES[name].raw_folder]
        # A folder called "mnist" is no answer to a question for "kmnist".
        if parent.resolve().name not in REMOTES.keys() - {name}:
            places.insert(2, parent)
    return next((place for place in places if _is_complete(place)), None)


def provide(name: str, data_dir: Path | None, *, progress: Progress | None = None) -> Path:
    """The folder with the four files of a set in `REMOTES`, downloaded first where needed.

    Raises `DataError` when they are neither at hand nor can be had.
    """
    found = find_local(name, data_dir)
    if found is not None:
        return found
    remote, folder = REMOTES[name], _download_folder(name)
    for file, sha256 in remote.sha256.items():
        first, *mirrors = (base + file for base in remote.bases)
        fetch(first, sha256=sha256, to=folder / file, progress=progress, mirrors=mirrors)
    return folder


def _download_folder(name: str) -> Path:
    return cache_root() / "data" / name


def _is_complete(folder: Path) -> bool:
    files = find_idx_files(folder)
    # Labels and the test set belong to these sets; half of one is not offered as the whole.
    return files is not None and None not in (
        files.train_labels,
        files.test_images,
        files.test_labels,
    )


def hash_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _make_room(to: Path) -> Path:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"Cannot make the folder '{to.parent}' for the download ({error.strerror}); choose "
            "another with the environment variable VAE_CACHE_DIR."
        ) from error
    return to.with_name(to.name + ".part")


def _accept(part: Path, sha256: str, to: Path) -> None:
    found = hash_file(part)
    if found != sha256:
        # Kept, it would be continued for ever and never come out right.
        part.unlink()
        raise _AttemptFailedError(
            f"the content is another than expected (SHA-256 {found[:12]}…, not {sha256[:12]}…)"
        )
    part.replace(to)


def _download(url: str, part: Path, progress: Progress | None) -> None:
    # urllib would open file: and ftp: addresses as well.
    if not url.startswith(("http://", "https://")):
        raise _AttemptFailedError("the address is no http or https one")
    n_present = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "latent-explorer"}
    if n_present:
        headers["Range"] = f"bytes={n_present}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
            _save(reply, part, n_present, progress)
    except urllib.error.HTTPError as error:
        error.close()
        # 416: the part is already as long as the file, or longer; the hash will tell.
        if not (error.code == 416 and n_present):
            raise _AttemptFailedError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise _AttemptFailedError(f"{type(error).__name__}: {why}") from error


def _save(
    reply: http.client.HTTPResponse, part: Path, n_present: int, progress: Progress | None
) -> None:
    # A server that knows no ranges answers 200 and sends all of it again.
    resumed = reply.status == 206 and _starts_at(reply, n_present)
    done = n_present if resumed else 0
    length = reply.headers.get("Content-Length", "")
    total = done + int(length) if length.isdigit() else None
    with part.open("ab" if resumed else "wb") as stream:
        while block := reply.read(BLOCK_BYTES):
            stream.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    # http.client reports an early end as if it were a proper one.
    if total is not None and done < total:
        raise _AttemptFailedError(f"the connection ended after {done:,} of {total:,} bytes")


def _starts_at(reply: http.client.HTTPResponse, n_present: int) -> bool:
    sent = reply.headers.get("Content-Range", "").removeprefix("bytes ")
    return sent.startswith(f"{n_present}-")
