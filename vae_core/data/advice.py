"""What will happen to a visitor's pictures, and what to beware of, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from vae_core.data.imageset import SPLITS
from vae_core.types import ImageSpec

FEW, RATHER_FEW = 50, 300
ALIKE_LEVELS = 4.0  # of 255: below this an eye hardly tells pictures apart
COPIES_SHARE, FLAT_SHARE, SKIPPED_SHARE, CUT_SHARE = 0.05, 0.1, 0.1, 0.1
QUICK_SIDE, MUCH_SLOWER = 64, 1.5
# More than this of a picture's area lost to the crop is worth a word.
MUCH_CUT = 1 / 3
RARE_CLASS, RARE_SHARE = 10, 0.1
N_NAMED = 3

# How a step of pixels.prepare begins, and what is said of the pictures it was done to.
_STEPS = (
    ("turned upright", "turned upright by the EXIF tag"),
    ("16-bit grey", "reduced from 16 to 8 bits (divided by 257)"),
    ("grey from", "brought to brightness 0 to 255"),
    ("transparent parts", "placed on white where transparent"),
    ("took the first", "animated; the first frame is taken"),
    ("CMYK to", "turned from CMYK to RGB"),
    ("colour to grey", "turned from colour to grey"),
    ("grey repeated", "grey and repeated in the three colour channels"),
)


@dataclass(frozen=True)
class Facts:
    """What was counted of a set; `n_looked` pictures were decoded, of which `steps` speaks.

    `split` counts train, val and test; `varies` is the mean spread between pictures in levels.
    """

    n_images: int
    spec: ImageSpec
    sizes: Mapping[tuple[int, int], int]
    classes: Mapping[str, int]
    split: tuple[int, int, int]
    has_own_split: bool
    n_examined: int
    n_looked: int
    n_compared: int
    n_copies: int = 0
    n_skipped: int = 0
    n_flat: int = 0
    varies: float | None = None
    steps: Mapping[str, int] = field(default_factory=dict)


def plan_sentences(facts: Facts) -> tuple[str, ...]:
    """What will happen to the images on their way into a model, in order."""
    found = [_about_size(facts), _about_enlarging(facts), _about_colour(facts)]
    found += _about_steps(facts)
    found += [_about_skipping(facts), _about_split(facts), _about_samples(facts)]
    return tuple(sentence for sentence in found if sentence)


def warning_sentences(facts: Facts) -> tuple[str, ...]:
    """What may go wrong with these images, with what to do; nothing when all is well."""
    found = [
        _untrainable(facts),
        _too_few(facts),
        _too_alike(facts),
        _too_flat(facts),
        _copied(facts),
        *_rare_classes(facts),
        _much_cut(facts),
        _much_skipped(facts),
        _slow(facts),
    ]
    return tuple(sentence for sentence in found if sentence)


def count(n: int, noun: str = "picture") -> str:
    """ "1 picture", "1,200 pictures"."""
    ending = "" if n == 1 else "es" if noun.endswith("s") else "s"
    return f"{n:,} {noun}{ending}"


def times(size: tuple[int, int]) -> str:
    """Width and height as one reads them."""
    return f"{size[0]:,}×{size[1]:,}"


# ---- what will happen --------------------------------------------------------------------------
def _target(facts: Facts) -> tuple[int, int]:
    return facts.spec.width, facts.spec.height


def _about_size(facts: Facts) -> str:
    target, sizes = _target(facts), list(facts.sizes)
    if not sizes:
        return f"The model sees {times(target)} pixels."
    if sizes == [target]:
        return f"Every picture is {times(target)} pixels and stays as it is."
    same_shape = all(w * target[1] == h * target[0] for w, h in sizes)
    how = (
        f"scaled to {times(target)}"
        if same_shape
        else f"cut to its centre and made {times(target)}"
    )
    if len(sizes) == 1:
        return f"Every picture is {times(sizes[0])} pixels and is {how}."
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    return (
        f"The pictures come in {len(sizes):,} sizes, from {times(by_area[0])} to "
        f"{times(by_area[-1])} pixels; each is {how}."
    )


def _about_enlarging(facts: Facts) -> str:
    width, height = _target(facts)
    small = sum(n for (w, h), n in facts.sizes.items() if w < width or h < height)
    if not small:
        return ""
    return f"{_of(small, facts.n_examined, facts)} smaller than that and enlarged, which adds blur."


def _about_colour(facts: Facts) -> str:
    return (
        "The model sees colour." if facts.spec.channels == 3 else "The model sees shades of grey."
    )


def _about_steps(facts: Facts) -> list[str]:
    found = []
    for start, words in _STEPS:
        n = sum(n_done for step, n_done in facts.steps.items() if step.startswith(start))
        if n:
            found.append(f"{_of(n, facts.n_looked, facts)} {words}.")
    return found


def _of(n: int, n_seen: int, facts: Facts) -> str:
    """ "12 pictures are", or of how many looked at where not all were."""
    verb = "is" if n == 1 else "are"
    if n_seen >= facts.n_images:
        return f"All pictures {verb}" if n == n_seen > 1 else f"{count(n)} {verb}"
    return f"{n:,} of {n_seen:,} pictures looked at {verb}"


def _about_skipping(facts: Facts) -> str:
    if not facts.n_skipped:
        return ""
    verb = "is" if facts.n_skipped == 1 else "are"
    return f"{count(facts.n_skipped, 'file')} cannot be read and {verb} left out."


def _about_split(facts: Facts) -> str:
    train, val, test = facts.split
    if facts.has_own_split:
        named = ", ".join(f"{n:,} {s}" for n, s in zip(facts.split, SPLITS, strict=True) if n)
        is_dealt = train > 1 and test and not val
        more = "; a tenth of the training pictures checks on it meanwhile" if is_dealt else ""
        return f"The source's own parts are kept: {named}{more}."
    if not val:  # `_untrainable` says so
        return ""
    return (
        f"Dealt by chance: {train:,} teach the model, {val:,} check on it meanwhile, {test:,} are "
        "kept unseen for the final measures."
    )


def _about_samples(facts: Facts) -> str:
    parts = []
    if facts.n_examined < facts.n_images:
        parts.append(f"sizes were read of {facts.n_examined:,}")
    if facts.n_looked < facts.n_images:
        parts.append(f"{facts.n_looked:,} were decoded")
    if facts.n_compared < facts.n_images:
        parts.append(f"copies were looked for among {facts.n_compared:,}")
    if not parts:
        return ""
    return (
        f"Of the {facts.n_images:,} pictures {_joined(parts)}; the rest is read when training "
        "begins, and what is damaged is left out and named then."
    )


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


# ---- what to beware of -------------------------------------------------------------------------
def _untrainable(facts: Facts) -> str:
    train, val, test = facts.split
    # Without a part to check on, training deals one, as long as there is one to measure on.
    if train and (val or (train > 1 and test)):
        return ""
    if facts.has_own_split:
        return (
            f"The source's own parts leave {count(train)} to train on and {val:,} to check on, and "
            "training needs some of each; sort them into folders 'train', 'val' and 'test', or "
            "leave such folders out."
        )
    return f"{count(facts.n_images)} came, training and its check need at least 3; add more."


def _too_few(facts: Facts) -> str:
    n = facts.n_images
    if n < FEW:
        verb = "is" if n == 1 else "are"
        return (
            f"{count(n)} {verb} very few: a model learns them by heart and says little about "
            f"others; {RATHER_FEW} or more make a useful map."
        )
    if n < RATHER_FEW:
        return (
            f"{n:,} pictures are rather few: expect blurred reconstructions of pictures the model "
            f"has not seen, and over-fitting in a long run; {RATHER_FEW} or more are better."
        )
    return ""


def _too_alike(facts: Facts) -> str:
    if facts.varies is None or facts.varies >= ALIKE_LEVELS or facts.n_images < 2:
        return ""
    return (
        f"The pictures hardly differ (by {facts.varies:.1f} of 255 levels on average), so there is "
        "nearly nothing for the model to tell apart; check that these are the right ones."
    )


def _too_flat(facts: Facts) -> str:
    if facts.n_flat <= FLAT_SHARE * facts.n_looked:
        return ""
    return (
        f"{facts.n_flat:,} of {facts.n_looked:,} pictures looked at show one flat colour; leave "
        "them out unless they belong to the set."
    )


def _copied(facts: Facts) -> str:
    if facts.n_copies <= COPIES_SHARE * facts.n_compared:
        return ""
    return (
        f"{facts.n_copies:,} of {facts.n_compared:,} pictures are exact copies of another; a copy "
        "in the test part makes the measures look better than they are, so remove them."
    )


def _rare_classes(facts: Facts) -> list[str]:
    if len(facts.classes) < 2:
        return []
    singles = [name for name, n in facts.classes.items() if n == 1]
    if 2 * len(singles) > len(facts.classes):
        return [
            f"{len(singles):,} of {len(facts.classes):,} classes hold a single picture; perhaps "
            "the folders are no classes, which does no harm but makes colours on the map useless."
        ]
    usual = median(facts.classes.values())
    rare = [(c, n) for c, n in facts.classes.items() if n < RARE_CLASS and n < RARE_SHARE * usual]
    more = [f"{len(rare) - N_NAMED:,} more classes"] if len(rare) > N_NAMED else []
    named = [f"'{name}' ({n:,})" for name, n in rare[:N_NAMED]] + more
    if not rare:
        return []
    return [
        f"Few pictures for {_joined(named)}, where a class usually has {usual:,.0f}; the model "
        "will hardly know them."
    ]


def _much_cut(facts: Facts) -> str:
    width, height = _target(facts)
    cut = sum(n for size, n in facts.sizes.items() if _kept(size, width / height) < 1 - MUCH_CUT)
    if cut <= CUT_SHARE * max(1, facts.n_examined):
        return ""
    return (
        f"The cut to {times((width, height))} takes away more than a third of {cut:,} of "
        f"{facts.n_examined:,} pictures; what matters should be in their middle, or cut them "
        "yourself first."
    )


def _kept(size: tuple[int, int], aspect: float) -> float:
    """Share of the area that a centred cut to an aspect (width by height) leaves."""
    own = size[0] / size[1]
    return min(own / aspect, aspect / own)


def _much_skipped(facts: Facts) -> str:
    n_all = facts.n_images + facts.n_skipped
    if facts.n_skipped <= SKIPPED_SHARE * n_all:
        return ""
    return (
        f"{facts.n_skipped:,} of {n_all:,} files cannot be read; look at the list, they may need "
        "to be saved in another form."
    )


def _slow(facts: Facts) -> str:
    n_times = facts.spec.width * facts.spec.height / QUICK_SIDE**2
    if n_times <= MUCH_SLOWER:
        return ""
    return (
        f"Pictures of {times(_target(facts))} have {n_times:.1f} times the pixels of "
        f"{QUICK_SIDE}×{QUICK_SIDE} ones and train that much more slowly; choose a smaller size "
        "when time is short."
    )
