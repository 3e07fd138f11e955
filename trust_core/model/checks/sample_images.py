"""A few images of a data set: to ask what its classes mean, to try a detector on, to look at."""

import io
import threading
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from cachetools import LRUCache
from PIL import Image, ImageChops, ImageFilter
from torch import Tensor

from trust_core.data.files import is_image, list_files
from trust_core.data.folders import class_folders
from trust_core.data.images import read_image
from trust_core.data.label_columns import label_column
from trust_core.data.mask_decoding import read_masks
from trust_core.data.masks import pair_masks
from trust_core.data.samples import Dataset
from trust_core.data.table_paths import image_paths
from trust_core.data.tables import read_table
from trust_core.errors import DataError, UnreadableImage
from trust_core.messages import amount
from trust_core.model.checks.findings import MaskLook as MaskLook
from trust_core.model.checks.findings import MaskPreview as MaskPreview
from trust_core.model.checks.findings import Preview as Preview
from trust_core.model.detector import Detector
from trust_core.model.preprocessing import Preprocessing

OPEN_ROLES = ("tune", "train", "")  # certify and test stay sealed
CLASS_PICTURES = 3
PREVIEWS = 5  # images of each label
PICTURE_SIDE = 160  # pixels of the longer side
MASKS = 32  # that are measured
KEPT_PIXELS = 256 * 2**20  # bytes of inputs that the next look at the same images may want
MARK_COLOUR, MARK_OPACITY, OUTLINE = (255, 0, 96), 90, 1  # opacity of 255; pixels

Pixels = npt.NDArray[np.uint8]

_kept: LRUCache[Hashable, Pixels] = LRUCache(KEPT_PIXELS, lambda pixels: pixels.nbytes)
_keeping = threading.Lock()


@dataclass(frozen=True)
class SampleImages:
    """A few images as a network sees them.

    `pixels` are (N, c, H, W) float32 in [0, 1], `labels` (N,), 0 good, 1 defective; `unreadable`
    images are left out.
    """

    pixels: Tensor
    labels: npt.NDArray[np.int8]
    unreadable: int


def sample_images(dataset: Dataset, preprocessing: Preprocessing, images: int = 32) -> SampleImages:
    """Read a few images, half of each label where there are enough; `tune` before `train`.

    They are the same ones every time, and none is of a sealed role where others are not.

    Raises:
        DataError: none of them can be read.
    """
    chosen = sample_rows(dataset, images)
    pixels = readable_pixels(dataset.root, chosen["path"], preprocessing)
    if not pixels:
        raise DataError(
            f"Of {amount(len(chosen), 'image', 'images')} looked at in {dataset.root} none can be "
            f"read; the first: {_reason(dataset.root / chosen['path'].iloc[0])}"
        )
    return SampleImages(
        _scaled(pixels.values()),
        chosen.loc[chosen["path"].isin(pixels), "label"].to_numpy(np.int8),
        len(chosen) - len(pixels),
    )


def sample_rows(dataset: Dataset, images: int, *, one_a_group: bool = False) -> pd.DataFrame:
    """The rows of a few images, as `sample_images` takes them.

    Args:
        dataset: where they come from.
        images: how many in all.
        one_a_group: photos of one part say the same thing twice.
    """
    samples = dataset.samples
    rows = samples[samples["role"].isin(OPEN_ROLES)]
    rows = samples if rows.empty else rows
    rank = {role: number for number, role in enumerate(OPEN_ROLES)}
    rows = rows.assign(rank=rows["role"].map(rank).fillna(len(rank)))
    rows = rows.sort_values(["rank", "sample_id"])
    if one_a_group:
        rows = rows.drop_duplicates("group")
    by_label = [part for _, part in rows.groupby("label")]
    share = -(-images // max(len(by_label), 1))
    return pd.concat([part.head(share) for part in by_label] or [rows]).head(images)


def previews(detector: Detector, dataset: Dataset, each: int = PREVIEWS) -> list[Preview]:
    """A few images of both labels from the roles that are not sealed, good ones first."""
    rows = dataset.samples[dataset.samples["role"].isin(OPEN_ROLES)]
    paths = {
        path: label
        for label in (0, 1)
        for path in _evenly(rows.loc[rows["label"] == label, "path"].tolist(), each)
    }
    pixels = readable_pixels(dataset.root, paths, detector.preprocessing)
    if not pixels:
        return []
    answers = detector.log_odds(_scaled(pixels.values())).double().sigmoid().tolist()
    bgr = detector.preprocessing.channels == "bgr"
    return [
        Preview(_png(_as_image(shown[::-1] if bgr else shown)), paths[path], answer)
        for (path, shown), answer in zip(pixels.items(), answers, strict=True)
    ]


def look_at_masks(dataset: Dataset, pictures: int = PREVIEWS, masks: int = MASKS) -> MaskLook:
    """What the masks of some defective images mark, to be confirmed by eye; no sealed role.

    Args:
        dataset: where they come from.
        pictures: how many images are shown.
        masks: how many masks are measured, those of the pictures first; what cannot be read is
            left out.
    """
    samples = dataset.samples
    masked, defective = samples["mask_path"] != "", samples["label"] == 1
    rows = samples[defective & masked & samples["role"].isin(OPEN_ROLES)]
    paths = rows.set_index("path")["mask_path"]
    shown = _evenly(paths.index.tolist(), pictures)
    measured = dict.fromkeys([*shown, *_evenly(paths.index.tolist(), masks)])
    previews, shares = [], []
    for path in list(measured)[:masks]:
        with suppress(UnreadableImage):
            mask = read_masks(dataset.root, paths[path])
            shares.append(float(mask.mean()))
            if path in shown:
                picture = read_image(dataset.root / path)
                previews.append(MaskPreview(_marked(picture, mask), shares[-1]))
    counts = (int((masked & rows).sum()) for rows in (defective, ~defective))
    with_mask, good_masked = counts
    return MaskLook(tuple(previews), tuple(shares), with_mask, int(defective.sum()), good_masked)


def _marked(picture: Image.Image, mask: npt.NDArray[np.bool_]) -> bytes:
    """A small PNG of an image with what its mask marks."""
    small = picture.convert("RGB")
    small.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    marked = Image.fromarray(mask).convert("L").resize(small.size, Image.Resampling.BILINEAR)
    marked = marked.point([0] + [255] * 255)  # a small mark stays in sight
    inside = marked.filter(ImageFilter.MinFilter(2 * OUTLINE + 1))
    small.paste(MARK_COLOUR, (0, 0), marked.point([0] + [MARK_OPACITY] * 255))
    small.paste(MARK_COLOUR, (0, 0), ImageChops.subtract(marked, inside))  # its outline
    return _png(small)


def class_pictures(
    root: Path, classes: Iterable[str], samples: Path | None = None, each: int = CLASS_PICTURES
) -> dict[str, list[bytes]]:
    """Small PNGs of a few images of each class, evenly over it; unreadable ones are left out.

    Names of the classes are as in `LabelsNeeded.folders`; `samples` is the table whose labels they
    are, when they are not the folders.
    """
    classes = tuple(classes)
    if samples is None:
        files = pair_masks(root, [path for path in list_files(root) if is_image(path)]).images
        names = [folder.name for folder in class_folders(files, classes)]
    else:
        table = read_table(samples, ("path", "label"))
        files, _ = image_paths(root, table, samples)
        names = table[label_column(table)].str.casefold().tolist()
    by_class: dict[str, list[str]] = {name: [] for name in classes}
    for path, name in zip(files, names, strict=True):
        if name in by_class:
            by_class[name].append(path)
    return {name: small_pictures(root, _evenly(by_class[name], each)) for name in classes}


def readable_pixels(
    root: Path, paths: Iterable[str], preprocessing: Preprocessing
) -> dict[str, Pixels]:
    """The network's input `(c, H, W)` by path, of those images that can be read."""
    pixels = {}
    for path in paths:
        with suppress(UnreadableImage):  # the audit lists it
            (pixels[path],) = image_pixels(root / path, [preprocessing])
    return pixels


def image_pixels(file: Path, rules: Sequence[Preprocessing]) -> list[Pixels]:
    """The network's input `(c, H, W)` of one image by each of some rules; not to be written to.

    The latest are kept: who changes one setting of the input looks at the same images again.

    Args:
        file: the image.
        rules: at least one; they decode it alike.

    Raises:
        UnreadableImage: as `Preprocessing.read`.
    """
    found, picture, stamp = [], None, file.stat() if file.exists() else None
    for rule in rules:
        fill = rule.mean if rule.resize == "letterbox" else (0.0,)  # else applied by the detector
        seen = replace(rule, mean=fill, std=(1.0,))
        key = file, stamp and (stamp.st_mtime_ns, stamp.st_size), seen
        with _keeping:
            pixels = _kept.get(key)
        if pixels is None:
            picture = picture or rules[0].read(file)
            pixels = rule.pixels(picture)
            with _keeping:
                _kept[key] = pixels
        found.append(pixels)
    return found


def _reason(path: Path) -> str:
    """Why an image cannot be read."""
    try:
        read_image(path)
    except UnreadableImage as error:
        return str(error)
    return f"{path.name}: it holds more bits than were named."


def _scaled(pixels: Iterable[Pixels]) -> Tensor:
    """(N, c, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.stack(list(pixels))).float() / 255


def _evenly(paths: Sequence[str], most: int) -> Sequence[str]:
    """Up to `most` of the paths, evenly over the list: neighbours often show one part."""
    return paths[:: max(1, len(paths) // most)][:most]


def small_pictures(root: Path, paths: Iterable[str]) -> list[bytes]:
    """Small PNGs of image files; unreadable ones are left out."""
    pictures = []
    for path in paths:
        with suppress(UnreadableImage):
            image = read_image(root / path)
            image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
            pictures.append(_png(image))
    return pictures


def _as_image(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """The picture of a network's input `(c, H, W)`, its channels red, green, blue or one grey."""
    return Image.fromarray(
        pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    )


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)  # a page waits for it
    return file.getvalue()
