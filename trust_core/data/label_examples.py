"""Folders whose names do not tell which parts are good: what is in them, to ask the user."""

from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pandas as pd

from trust_core.data.files import is_image, list_files
from trust_core.data.folders import locate
from trust_core.data.images import read_image
from trust_core.data.masks import pair_masks
from trust_core.data.tables import read_table
from trust_core.errors import DataError, UnreadableImage

THUMBNAIL = 160  # pixels of the longer side
SHOWN = 3


def examples(
    root: Path, classes: Mapping[str, int], samples: Path | None = None, most: int = SHOWN
) -> dict[str, list[Path]]:
    """A few images of each class, spread over it.

    Args:
        root: the data folder.
        classes: number of images by class name, as `LabelsNeeded.folders` has them.
        samples: the table whose labels are the classes, when it is not the folders.
        most: images for each class.
    """
    if samples is None:
        files = pair_masks(root, [path for path in list_files(root) if is_image(path)]).images
        folders = [path.rpartition("/")[0] for path in files]
        places = locate(Counter(folders), tuple(classes))
        names = [places[folder].name for folder in folders]
    else:
        table = read_table(samples, ("path", "label"))
        files, names = table["path"].tolist(), table["label"].tolist()
    paths = pd.Series(files, dtype="str").groupby(pd.Series(names, dtype="str")).apply(list)
    return {name: [root / path for path in spread(paths.get(name, []), most)] for name in classes}


def spread(items: list[str], most: int) -> list[str]:
    """Up to `most` items, evenly over the list: neighbours often show one part."""
    step = max(1, len(items) // most)
    return items[::step][:most]


def thumbnail(path: Path, side: int = THUMBNAIL) -> bytes | None:
    """A small PNG of an image, square on grey; None when it cannot be read."""
    try:
        image = read_image(path)
    except UnreadableImage:
        return None
    image.thumbnail((side, side))
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def sample_tables(paths: list[Path]) -> list[Path]:
    """Those of some CSV files that say a path and a label for each image."""
    found = []
    for path in paths:
        try:
            read_table(path, ("path", "label"))
        except DataError:
            continue
        found.append(path)
    return found


def table_columns(path: Path) -> list[str]:
    """The columns of a table that may name a group; none when it cannot be read."""
    try:
        return [name for name in read_table(path, ("path",)) if name not in ("path", "label")]
    except DataError:
        return []
