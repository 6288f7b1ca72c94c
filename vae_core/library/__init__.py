"""Models as things one keeps: named, noted, measured on disk, packed, unpacked, deleted."""

from vae_core.library.keeping import delete_model, disk_used, rename_model, set_notes
from vae_core.library.packing import packed_model, slug, zip_model
from vae_core.library.unpacking import import_model

__all__ = [
    "delete_model", "disk_used", "import_model", "packed_model", "rename_model", "set_notes",
    "slug", "zip_model",
]  # fmt: skip
