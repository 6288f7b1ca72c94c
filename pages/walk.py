"""Walk the latent space: sliders, paths between codes, sums of codes, and files to keep."""

from pages.shared import frame

frame.require()

from pages.shared import cache, share_page, state, walk, walk_code

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    walk_code.begin(checkpoint)
    walk.sections(checkpoint, beside=share_page.on_walk)
