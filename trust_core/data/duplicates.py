"""Pictures that lie in several splits: byte for byte, or nearly so. Both void what is proven.

Notation: n pictures, each a fingerprint of `SIDE` x `SIDE` numbers.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageFilter

from trust_core.data.images import read_image
from trust_core.data.names import role_of_split
from trust_core.data.roles import ROLES
from trust_core.data.samples import Dataset
from trust_core.errors import UnreadableImage
from trust_core.messages import amount

SIDE = 64
FINE, BLUR = 1.0, 4.0  # pixels of the fingerprint: finer is noise, smoother is light
ALIKE = 0.85  # correlation; below 0.5 for parts in one fixture where it was tried
MOST_LOOKED_AT = 250  # pictures of each role
FEWEST = 10  # pictures from which it can be told what all have in common

Prints = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NearDuplicates:
    """Pictures of one role that are nearly those of an earlier one.

    `pairs` are (path in the earlier role, path in the later role), most alike first, of the
    `looked_at` pictures of `total`; `sentence` is "" when there are none.
    """

    pairs: tuple[tuple[str, str], ...]
    looked_at: int
    total: int
    sentence: str


def copies_across_splits(samples: pd.DataFrame) -> str:
    """What is to be said of byte-identical pictures in several splits as given; "" for none.

    `samples` has columns `path, sha256, split, role`, the last two as given.
    """
    named = samples["role"].where(samples["role"] != "", samples["split"]).map(role_of_split)
    known = samples.assign(named=named)[(samples["sha256"] != "") & named.notna()]
    spread = known.groupby("sha256")["named"].nunique()
    torn = known[known["sha256"].isin(spread.index[spread > 1])].sort_values(["sha256", "path"])
    if torn.empty:
        return ""
    roles = [role for role in ROLES if (torn["named"] == role).any()]
    first = torn[torn["sha256"] == torn["sha256"].iloc[0]].drop_duplicates("named")["path"]
    pictures = amount(torn["sha256"].nunique(), "picture lies", "pictures lie")
    return (
        f"{pictures} in several splits ({' and '.join(roles)}), byte for byte the same (e.g. "
        f"{' and '.join(first)}): nothing is proven on what was seen before, so each counts in the "
        f"earliest, {roles[0]}, only."
    )


def near_duplicates(dataset: Dataset) -> NearDuplicates:
    """Pictures of different roles and groups that are nearly the same one.

    A fingerprint is the picture at `SIDE` x `SIDE`, grey, without what is smooth and without what
    all pictures have in common, so that parts in one fixture under one light stay apart, while one
    saved again, scaled or brightened is found. A picture that was moved or turned is not found.
    """
    samples = dataset.samples.sort_values("path")
    by_role = [part for role in ROLES if len(part := samples[samples["role"] == role])]
    chosen = pd.concat([part.iloc[:: max(1, -(-len(part) // MOST_LOOKED_AT))] for part in by_role])
    total = len(samples)
    if len(by_role) < 2 or len(chosen) < FEWEST:
        return NearDuplicates((), 0, total, "")
    prints, read = _fingerprints(dataset.root, chosen["path"].tolist())
    chosen = chosen[read]
    ranks = chosen["role"].map({role: rank for rank, role in enumerate(ROLES)}).to_numpy()
    groups, _ = pd.factorize(chosen["group"])
    alike = prints @ prints.T
    apart = (ranks[:, None] < ranks[None, :]) & (groups[:, None] != groups[None, :])
    found = np.argwhere(apart & (alike >= ALIKE))
    order = np.argsort(-alike[found[:, 0], found[:, 1]], kind="stable")
    paths = chosen["path"].tolist()
    pairs = tuple((paths[a], paths[b]) for a, b in found[order].tolist())
    return NearDuplicates(pairs, len(chosen), total, _sentence(pairs, len(chosen), total))


def _sentence(pairs: Sequence[tuple[str, str]], looked_at: int, total: int) -> str:
    if not pairs:
        return ""
    later = len({second for _, second in pairs})
    part = "" if looked_at == total else f" ({looked_at:,} of {total:,} images were looked at)"
    return (
        f"{amount(later, 'image is', 'images are')} nearly the same picture as one of another role"
        f"{part}, e.g. {pairs[0][0]} and {pairs[0][1]}: what is proven on them says little of new "
        "parts. Put both into one group, or take one out."
    )


def _fingerprints(root: Path, paths: Sequence[str]) -> tuple[Prints, npt.NDArray[np.bool_]]:
    """Fingerprints of length 1, `(n, SIDE * SIDE)`, of the readable ones; and which those are."""

    def fingerprint(path: str) -> Prints | None:
        try:
            image = read_image(root / path).convert("L")
        except UnreadableImage:
            return None  # the audit says which, and why
        small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).filter(
            ImageFilter.GaussianBlur(FINE)
        )
        smooth = small.filter(ImageFilter.GaussianBlur(BLUR))
        return (np.asarray(small, np.float32) - np.asarray(smooth, np.float32)).ravel()

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = list(pool.map(fingerprint, paths))
    read = np.array([each is not None for each in found], np.bool_)
    if not read.any():
        return np.zeros((0, SIDE * SIDE), np.float32), read
    prints = _scaled(np.stack([each for each in found if each is not None]))
    common = np.median(prints, axis=0).astype(np.float32)
    shares = prints @ common / max(float(common @ common), 1e-6)
    return _scaled(prints - shares[:, None] * common), read


def _scaled(prints: Prints) -> Prints:
    """At length 1; a picture of one grey has no fingerprint: it stays 0."""
    lengths = np.linalg.norm(prints, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 1e-3, prints / np.maximum(lengths, 1e-3), 0), np.float32)
