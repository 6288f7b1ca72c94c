"""The command line with quick maps, for tests that start it as a process of its own."""

import sys

from tests.fixtures import quick_maps
from vae_core.cli import main

if __name__ == "__main__":
    with quick_maps():
        sys.exit(main())
