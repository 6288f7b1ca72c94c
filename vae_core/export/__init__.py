"""What leaves the program: walks as files, augmented sets, codes as links."""

from vae_core.export.augment import augmentation_zip
from vae_core.export.permalink import read_permalink, read_plain, write_permalink, write_plain
from vae_core.export.variations import Plan, Sources, sources_of, vary
from vae_core.export.walks import gif_bytes, mp4_bytes, npz_bytes, sheet_bytes

__all__ = [
    "Plan",
    "Sources",
    "augmentation_zip",
    "gif_bytes",
    "mp4_bytes",
    "npz_bytes",
    "read_permalink",
    "read_plain",
    "sheet_bytes",
    "sources_of",
    "vary",
    "write_permalink",
    "write_plain",
]
