"""Which model is better, and at what? Two to four of them side by side on the same images."""

from pages.shared import frame

frame.require()

from pages.shared import (
    cache,
    compare_choice,
    compare_maps,
    compare_neighbours,
    compare_numbers,
    compare_pictures,
    compare_strips,
    state,
)

SECTIONS = {
    "Rebuilt": compare_pictures.section,
    "Between and drawn": compare_strips.section,
    "Same code": compare_strips.walks,
    "Maps": compare_maps.section,
    "Neighbours": compare_neighbours.section,
    "Numbers": compare_numbers.section,
}

if cache.open_checkpoint(state.model_name()) is not None:
    chosen = compare_choice.choose()
    if chosen is not None:
        name = frame.choose_section(list(SECTIONS), key="compare_section")
        SECTIONS[name](chosen)
