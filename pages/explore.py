"""The map of the latent space: click anywhere and see what lives there."""

from pages.shared import frame

frame.require()

from pages.shared import cache, explore, explore_view, more, state

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    view = explore_view.choose_view(checkpoint)
    more.all_images(checkpoint)
    explore.map_and_details(checkpoint, view)
