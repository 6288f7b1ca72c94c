"""Where a walk stands: what was carried here counts once, and no move is taken back."""

from __future__ import annotations

import numpy as np
import pytest

from pages.shared import state, walk_code
from tests.pages.reruns import CutError, Session
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap
from vae_core.export import write_plain


@pytest.mark.parametrize("cut", range(6))
def test_a_rerun_cutting_in_takes_no_move_back(
    session: Session, faces_checkpoint: Checkpoint, cut: int
) -> None:
    codes = faces_checkpoint.codes.mean
    state.keep_code(codes[0], source="an image")
    begun = walk_code.begin(faces_checkpoint)
    walk_code.move_to(faces_checkpoint, codes[1])
    session.cut = cut
    try:
        walk_code.move_to(faces_checkpoint, codes[2])
    except CutError:
        before = walk_code.begin(faces_checkpoint)
        np.testing.assert_array_equal(before.code, snap(codes[1]))
        assert before.version == begun.version
        walk_code.move_to(faces_checkpoint, codes[2])
    session.cut = -1
    after = walk_code.begin(faces_checkpoint)
    np.testing.assert_array_equal(after.code, snap(codes[2]))
    assert after.version == begun.version


@pytest.mark.usefixtures("session")
def test_a_code_carried_here_again_begins_anew(
    faces_checkpoint: Checkpoint,
) -> None:
    codes = faces_checkpoint.codes.mean
    state.keep_code(codes[0], source="an image")
    first = walk_code.begin(faces_checkpoint)
    walk_code.move_to(faces_checkpoint, codes[1])
    state.keep_code(codes[0], source="the same image")
    second = walk_code.begin(faces_checkpoint)
    np.testing.assert_array_equal(second.code, snap(codes[0]))
    assert (second.source, second.version != first.version) == ("the same image", True)


@pytest.mark.usefixtures("session")
def test_a_start_of_ones_own_outlasts_the_code_carried_before(
    faces_checkpoint: Checkpoint,
) -> None:
    codes = faces_checkpoint.codes.mean
    state.keep_code(codes[0], source="an image")
    walk_code.begin(faces_checkpoint)
    walk_code.walk_from(faces_checkpoint, codes[3], source="a cell of the grid")
    assert walk_code.begin(faces_checkpoint).source == "a cell of the grid"


def test_a_move_that_comes_together_with_another_section_is_heard(
    session: Session, faces_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    address: dict[str, str | None] = {}
    monkeypatch.setattr(state, "put_in_url", address.update)
    z = snap(faces_checkpoint.codes.mean[4])
    begun = walk_code.begin(faces_checkpoint)
    walk_code.hear(faces_checkpoint)
    assert address == {}
    session[f"walk_{begun.version}"] = {"z": z.tolist()}
    walk_code.hear(faces_checkpoint)
    # The next run has no sliders and no word of them any more.
    del session[f"walk_{begun.version}"]
    walk_code.hear(faces_checkpoint)
    after = walk_code.begin(faces_checkpoint)
    np.testing.assert_array_equal(after.code, z)
    assert after.version == begun.version
    assert address == {"z": write_plain(z), "code": None}
