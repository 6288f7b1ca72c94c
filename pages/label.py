"""Few labels: name a handful of points, and a classifier on the codes names all others."""

from pages.shared import frame

frame.require()

from pages.shared import cache, label, state

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    label.map_and_names(checkpoint)
