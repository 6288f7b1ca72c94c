"""`python -m vae_core.runs.launch FOLDER`: the process of one run, from the queue to its end.

It stands in the queue of its device without torch (a few megabytes), then trains. Whoever
started it reads one line from it: that it has its place. After that it needs nobody.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from vae_core.errors import ExplorerError, TrainingError
from vae_core.runs.queue import Ticket, join_queue
from vae_core.runs.record import End, begin_anew, read_record, write_end
from vae_core.train.control import clear_talk, has_state, read_ask, write_ask

READY: Final = "ready"
POLL_SECONDS: Final = 0.25
STOPPED, BROKEN = 130, 1


class _Tail:
    """A stream that passes everything on and remembers the last line, even on a full disk."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.last = stream, ""

    def write(self, text: str) -> int:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        self.last = lines[-1] if lines else self.last
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._stream.fileno()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the run in the folder given; returns its exit code, 2 when it cannot even queue."""
    folder = Path((sys.argv[1:] if argv is None else argv)[0])
    try:
        record = read_record(folder)
        ticket = join_queue(folder.parent, folder.name, device=record.device)
        clear_talk(folder)
        begin_anew(folder)
    except ExplorerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(
            f"The run in '{folder}' cannot write its files ({error}); check rights and free "
            "space, then start it again.\n"
        )
        return 2
    _say_ready()
    end = _wait(folder, ticket) or _train(record.arguments)
    with contextlib.suppress(OSError):
        write_end(folder, end)
    with contextlib.suppress(OSError):
        # Or the same command from a terminal would still hear it.
        write_ask(folder, "")
    return end.code


def _say_ready() -> None:
    """Tell the one who started this, and let go of the line to them: they may be gone by now."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _wait(folder: Path, ticket: Ticket) -> End | None:
    """Until it is this run's turn; an end if it was taken out of the queue before."""
    while True:
        asked = read_ask(folder)
        # A new run has nothing that could be finished; one that stood still goes on to its turn.
        if asked == "pause" or (asked == "finish" and not has_state(folder)):
            return End(STOPPED, "It left the queue before its turn; resume puts it back.")
        try:
            if ticket.is_turn():
                return None
        except OSError as error:
            return End(
                BROKEN,
                f"Its place in the queue was lost ({error}); check the folder of runs, then "
                "start it again.",
            )
        except TrainingError as error:
            # Somebody sits on the queue's lock: to go on waiting loses nothing.
            sys.stderr.write(f"{error}\n")
        time.sleep(POLL_SECONDS)


def _train(arguments: Sequence[str]) -> End:
    tail = _Tail(sys.stderr)
    try:
        # Only now: torch takes seconds and hundreds of megabytes.
        from vae_core.cli.main import main as run_verb

        with contextlib.redirect_stderr(tail):
            return End(run_verb(arguments), tail.last)
    except SystemExit as stop:
        return End(stop.code if isinstance(stop.code, int) else BROKEN, tail.last)
    except BaseException as error:
        tail.write(traceback.format_exc())
        return End(
            BROKEN,
            f"The run broke off with an error nobody foresaw ({error!r}); its log says where.",
        )


if __name__ == "__main__":
    sys.exit(main())
