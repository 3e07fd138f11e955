"""What the masks of a data set say together: their background, labels, and what is doubtful."""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trust_core.data.mask_decoding import (
    CLASSES,
    COLOURED,
    IGNORED,
    INVERTED,
    PALE,
    UNIFORM,
    Colour,
    ground_of,
    mask_paths,
    mask_reading,
    with_ground,
)
from trust_core.errors import DataError, UnreadableImage
from trust_core.messages import Message, amount

CHECKED = 32
"""Masks of a data set that are looked at where labels come from elsewhere."""

_DOUBTS = {
    COLOURED: "no black in them, so the most frequent colour ({background}) was taken as the "
    "background",
    UNIFORM: "all of one colour, which marks the whole picture",
    INVERTED: "more than half of the picture is marked, as in inverted masks",
    PALE: "nearly black JPEG files, which were taken as empty; save masks as PNG",
    CLASSES: "255 beside the class number 1, which counts as a defect too; where it means ignore, "
    "save it as 0",
    IGNORED: "nothing but 255, which counts as a defect; where it means void, save it as 0",
}


@dataclass(frozen=True)
class _Look:
    """One mask file: the share that it marks, and what `MaskReading` says besides."""

    path: str
    share: float
    doubt: str
    background: str
    uniform: Colour | None


def defective_by_mask(root: Path, masks: Sequence[str]) -> tuple[list[bool], list[str], list[str]]:
    """Whether the masks of each image mark anything; the masks; and notes on what is doubtful.

    Where the background is not black, and all masks say so together, the masks name it: those of
    one colour all over have the same colour, which covers more than half of each of the others.
    Both readings of such a data set would be possible only if it held no good part.

    Raises:
        DataError: a mask cannot be read, so that its image would have no label, or most that there
            are mark most of their picture.
    """
    looks = _all_looks(root, masks)
    files = [look for found in looks for look in found]
    uniform = [look for look in files if look.uniform]
    ground = _one_colour(uniform)
    if ground and all(look.share for look in files) and len(uniform) < len(files):
        again = _all_looks(root, [with_ground(mask, ground) for mask in masks])
        shares = [look.share for found in again for look in found]
        marked = [share for share in shares if share]
        if len(marked) == len(files) - len(uniform) and max(marked) <= 0.5:
            note = (
                f"The background of the masks is {_words(ground)}: {len(uniform):,} of "
                f"{amount(len(files), 'mask is', 'masks are')} of that colour alone, and it covers "
                "more than half of each of the others."
            )
            named = [with_ground(mask, ground) for mask in masks]
            return [any(look.share for look in found) for found in again], named, [note]
    doubts = _by_doubt(files)
    if doubts[UNIFORM] and doubts[COLOURED]:
        raise DataError(
            Message(
                "Labels come from the masks, and some hold no black (e.g. {coloured}) while others "
                "are of one colour (e.g. {uniform}): that may mean everything or nothing. Save all "
                "masks with a black background, or give labels in a table ({samples:CSV}).",
                coloured=doubts[COLOURED][0].path,
                uniform=doubts[UNIFORM][0].path,
            )
        )
    large = doubts[UNIFORM] + doubts[INVERTED]
    if 2 * len(large) > len(files):
        raise DataError(
            Message(
                "Labels come from the masks, and {count:,} of {total:,} mark more than half of "
                "their picture (e.g. {mask}): they look inverted. Save them with a black "
                "background and the defect in another colour, or give labels in a table "
                "({samples:CSV}).",
                count=len(large),
                total=len(files),
                mask=large[0].path,
            )
        )
    defective = [any(look.share for look in found) for found in looks]
    return defective, list(masks), _doubt_notes(files, "")


def check_masks(
    root: Path, masks: Sequence[str], labels: Sequence[int]
) -> tuple[list[str], list[str]]:
    """The masks, which name their background where it is not black; and what is doubtful.

    Labels come from elsewhere here. The masks of good images tell the background: where all of them
    have one and the same colour all over, it is that, if most of the others have it on more than
    half. `masks` are the `mask_path` of each image, "" for none; `labels` are 0 good, 1 defective.
    """
    given = [(mask, label) for mask, label in zip(masks, labels, strict=True) if mask]
    few = given[:: max(1, -(-len(given) // CHECKED))]
    notes = []
    if ground := _ground_of_good(root, few) and _ground_of_good(root, given):
        good = sum(not label for _, label in given)
        notes.append(
            f"The background of the masks is {_words(ground)}: "
            f"{amount(good, 'mask of a good image is', 'masks of good images are')} of that colour "
            "alone."
        )
        masks = [with_ground(mask, ground) if mask else "" for mask in masks]
        few = [(with_ground(mask, ground), label) for mask, label in few]
    looks, empty, marked = [], [], []
    for mask, label in few:
        for look in _looks(root, mask, strict=False):
            looks.append(look)
            if label and not look.share and not look.doubt:
                empty.append(look.path)
            elif not label and look.share:
                marked.append(look.path)
    looked = "" if len(few) == len(given) else f" looked at (of {len(given):,})"
    notes += _doubt_notes(looks, looked)
    for found, one, several in (
        (empty, "mask of a defective image marks", "masks of defective images mark"),
        (marked, "mask of a good image marks", "masks of good images mark"),
    ):
        if found:
            what = "nothing" if found is empty else "something"
            notes.append(
                f"{amount(len(found), one, several)} {what}, of {len(few):,}{looked}, e.g. "
                f"{found[0]}."
            )
    return list(masks), notes


def _ground_of_good(root: Path, given: Sequence[tuple[str, int]]) -> Colour | None:
    """The background that the masks of good images tell, where that is certain."""
    if not all(label for _, label in given) and not any(ground_of(mask) for mask, _ in given):
        good = _all_looks(root, [mask for mask, label in given if not label], strict=False)
        ground = _one_colour([look for found in good for look in found])
        if ground:
            bad = [with_ground(mask, ground) for mask, label in given if label]
            shares = [look.share for found in _all_looks(root, bad, strict=False) for look in found]
            partly = [share for share in shares if 0 < share < 1]
            small = sum(share <= 0.5 for share in partly)
            if 2 * len(partly) > len(shares) and 2 * small > len(partly):
                return ground
    return None


def _one_colour(looks: Sequence[_Look]) -> Colour | None:
    """The one colour of masks all of which are of one, and of the same; not of black ones."""
    colours = {look.uniform for look in looks}
    colour = next(iter(colours)) if len(colours) == 1 else None
    return colour if colour and any(colour) else None


def _all_looks(root: Path, masks: Sequence[str], *, strict: bool = True) -> list[list[_Look]]:
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(partial(_looks, root, strict=strict), masks, chunksize=64))


def _looks(root: Path, mask_path: str, *, strict: bool) -> list[_Look]:
    """The masks of one image; those that cannot be read are left out unless `strict`."""
    looks = []
    for path in mask_paths(mask_path):
        try:
            reading = mask_reading(root / path, ground_of(mask_path))
        except UnreadableImage as error:
            if strict:
                raise DataError(
                    f"The label of an image comes from its mask, and {path} cannot be read: {error}"
                ) from error
            continue  # said where it is needed
        share = float(reading.marked.mean()) if reading.marked.size else 0.0
        looks.append(_Look(path, share, reading.doubt, reading.background, reading.uniform))
    return looks


def _by_doubt(looks: Sequence[_Look]) -> dict[str, list[_Look]]:
    doubts: dict[str, list[_Look]] = defaultdict(list)
    for look in looks:
        doubts[look.doubt].append(look)
    return doubts


def _doubt_notes(looks: Sequence[_Look], looked: str) -> list[str]:
    doubts = _by_doubt(looks)
    return [
        f"Look at {len(doubts[doubt]):,} of {amount(len(looks), 'mask', 'masks')}{looked}, e.g. "
        f"{doubts[doubt][0].path}: {words.format(background=doubts[doubt][-1].background)}."
        for doubt, words in _DOUBTS.items()
        if doubts.get(doubt)
    ]


def _words(colour: Colour) -> str:
    return "white" if set(colour) == {255} else "of the colour " + ", ".join(map(str, colour))
