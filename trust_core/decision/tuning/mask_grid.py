"""Every overlap that the kept maps hold: layers × pairs × mask rules, without the model.

The numbers are those of `explanation.overlap` to the last bit. They come faster because a map is
resized and sorted once for all rules, and masks are compared 64 cells at a time.

Notation: `n` rows of `scores.parquet`, `R` recipes, `s` side of the comparison grid.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trust_core.decision.tradeoff import Floats
from trust_core.explanation.overlap import MASKS, to_comparison_grid, top_share
from trust_core.storage.audit_files import Audit
from trust_core.storage.manifest import Manifest

MASK_RULES = ("half", "otsu", "top:0.05", "top:0.1", "top:0.2", "top:0.4")
ROWS_AT_ONCE = 256  # what they need stays in the cache of a core
MOST_THREADS = 4

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Recipe:
    """How one overlap is made."""

    layer: str
    specific: str
    agnostic: str
    mask: str


def recipes_of(manifest: Manifest) -> tuple[Recipe, ...]:
    """Every recipe that the kept maps allow; the audit's own mask rule comes first."""
    settings = manifest.settings
    layers = dict.fromkeys(entry.layer for entry in manifest.maps)
    return tuple(
        Recipe(layer, specific, agnostic, rule)
        for layer in layers
        for specific in settings.specific
        for agnostic in settings.agnostic
        for rule in dict.fromkeys((manifest.mask, *MASK_RULES))
    )


def overlaps(
    audit: Audit,
    rows: npt.NDArray[np.int64],
    log_odds: Floats,
    recipes: Sequence[Recipe],
) -> Floats:
    """Overlaps of kept maps by every recipe.

    `rows` are those of `scores.parquet`, `(n,)`; where one of `log_odds` is not finite, there is no
    score.

    Returns:
        IoU(M_defect, M_agnostic) and IoU(M_good, M_agnostic), `(2, n, R)`; NaN where a row has no
        score.
    """
    found = np.empty((2, len(rows), len(recipes)))

    def score(start: int) -> None:
        part = slice(start, start + ROWS_AT_ONCE)
        found[:, part] = _ious(audit, rows[part], recipes)

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(score, range(0, len(rows), ROWS_AT_ONCE)))
    found[:, ~np.isfinite(log_odds)] = np.nan
    return found


def _ious(audit: Audit, rows: npt.NDArray[np.int64], recipes: Sequence[Recipe]) -> Floats:
    """The same of a few rows, whatever their log-odds."""
    names = {(entry.layer, entry.map): entry.name for entry in audit.manifest.maps}
    first = audit.manifest.settings.specific[0]
    rules = tuple(dict.fromkeys(recipe.mask for recipe in recipes))
    made: dict[tuple[str, str], tuple[dict[str, Words], npt.NDArray[np.bool_]]] = {}

    def masks(layer: str, name: str, *, specific: bool) -> tuple[dict[str, Words], Any]:
        if (layer, name) not in made:
            kept = np.asarray(audit.maps(names[layer, name])[rows])
            made[layer, name] = _masks(kept, rules, specific=specific)
        return made[layer, name]

    found = np.empty((2, len(rows), len(recipes)))
    for index, recipe in enumerate(recipes):
        where, sound = masks(recipe.layer, recipe.agnostic, specific=False)
        prefix = "" if recipe.specific == first else f"{recipe.specific}_"
        for row, side in enumerate(("defect", "good")):
            mask, finite = masks(recipe.layer, f"{prefix}{side}", specific=True)
            found[row, :, index] = _iou(mask[recipe.mask], where[recipe.mask])
            sound = sound & finite
        sound &= np.isfinite(found[:, :, index]).all(0)
        found[:, ~sound, index] = np.nan
    return found


def _masks(
    kept: npt.NDArray[np.float16], rules: Sequence[str], *, specific: bool
) -> tuple[dict[str, Words], npt.NDArray[np.bool_]]:
    """Masks of maps `(n, h, w)` by every rule, as bits `(n, s²/64)`, and which maps are sound."""
    import torch  # takes seconds to load, and who shows what was found has no use for it

    maps = torch.from_numpy(kept).float()
    sound = maps.isfinite().all(2).all(1)
    maps = to_comparison_grid(maps.nan_to_num(0.0, 0.0, 0.0))
    if not specific:
        sound &= maps.amax((1, 2)) != maps.amin((1, 2))
    values = maps.flatten(1).numpy()
    shares = {rule: top_share(rule[4:]) for rule in rules if rule.startswith("top:")}
    counts = {rule: round(share * values.shape[1]) for rule, share in shares.items()}
    tops = _largest(values, counts) if counts else {}
    evidence = values > 0
    found = {}
    for rule in rules:
        mask = tops[rule] if rule in tops else MASKS[rule](maps, "").flatten(1).numpy()
        bits = np.packbits(mask & evidence if specific else mask, axis=1)
        found[rule] = bits.view(np.uint64)
    return found, sound.numpy()


def _largest(
    values: npt.NDArray[np.float32], counts: dict[str, int]
) -> dict[str, npt.NDArray[np.bool_]]:
    """The k largest cells of each row, equal cells in index order, for every rule's k."""
    ascending = np.sort(values, axis=1)
    found = {}
    for rule, count in counts.items():
        smallest = ascending[:, -count, None]
        mask = values >= smallest
        tied = np.flatnonzero(mask.sum(1) > count)
        above, ties = values[tied] > smallest[tied], values[tied] == smallest[tied]
        left = count - above.sum(1, keepdims=True)
        mask[tied] = above | (ties & (ties.cumsum(1) <= left))
        found[rule] = mask
    return found


def _iou(first: Words, second: Words) -> Floats:
    both = np.bitwise_count(first & second).sum(1, dtype=np.int64)
    either = np.bitwise_count(first | second).sum(1, dtype=np.int64)
    return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
