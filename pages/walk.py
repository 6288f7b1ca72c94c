"""Walk the latent space: one slider per dimension, the picture follows the hand."""

from pages.shared import frame

frame.require()

from pages.shared import cache, state, walk

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    walk.sliders(checkpoint, walk.start(checkpoint))
