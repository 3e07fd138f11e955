"""Roles of the images: train (seen by the detector), tune (chooses), certify (proves), test.

Every group has one role, whole. Derived roles hang on a hash of the group's name alone, so that
neither row order nor new groups move an old one.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.names import first_few, role_of_split
from trust_core.errors import DataError
from trust_core.messages import Message, amount

ROLES = ("train", "tune", "certify", "test")
_TRAIN, _TUNE, _CERTIFY, _TEST = range(4)
_NONE = 9
_SALT = "trust_core roles 1:"


def assign_roles(samples: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give every image its role; a group never lies in two.

    A role named in `role`, else in `split`, holds. A group named in several goes whole to the
    earliest of train < tune < certify < test. Where no certify is named, half of the tune groups
    become it. Where splits are named but no tune, the test groups are divided (tune, certify,
    test as 40:40:20; without the certify share when certify is named). Groups without any name are
    divided 40:40:20.

    Args:
        samples: columns `split`, `role` (both "" where not given) and `group`.

    Returns:
        A copy with `role` filled, and notes on everything that was not simply as given.

    Raises:
        DataError: a name that is no role, or nothing but images to train or certify on.
    """
    given = samples["role"].where(samples["role"] != "", samples["split"])
    named = _ranks(given)
    codes, names = pd.factorize(samples["group"])
    rank = np.full(len(names), _NONE, dtype=np.int64)
    np.minimum.at(rank, codes, named)
    notes = _moved(named, rank[codes], codes)

    if not np.isin(rank, (_TUNE, _TEST, _NONE)).any():
        used = " or ".join(ROLES[index] for index in np.unique(rank))
        raise DataError(
            f"All images are {used}; an audit needs images the detector has not seen, as tune "
            "and test."
        )
    shares = np.array([_share(name) for name in names])
    rank, derived = _derive(rank, shares, set(named.tolist()))
    notes += derived
    if derived:
        notes.append(f"Roles: {_counts(rank, codes)}.")
    roles = np.array(ROLES, dtype=object)[rank][codes]
    return samples.assign(role=pd.Series(roles, index=samples.index, dtype="str")), tuple(notes)


def _ranks(given: pd.Series) -> npt.NDArray[np.int64]:
    """The index in `ROLES` each name stands for, `_NONE` where there is no name."""
    codes, names = pd.factorize(given)
    ranks = [role_of_split(name) if name.strip() else "" for name in names]
    unknown = sorted(name for name, role in zip(names, ranks, strict=True) if role is None)
    if unknown:
        raise DataError(
            f"Unknown split {first_few([repr(name) for name in unknown])}: "
            "use train, tune, certify or test."
        )
    table = [ROLES.index(role) if role else _NONE for role in ranks]
    return np.array(table, dtype=np.int64)[codes]


def _moved(
    named: npt.NDArray[np.int64], rank: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]
) -> list[str]:
    moved = (named != _NONE) & (named != rank)
    if not moved.any():
        return []
    sources, counts = np.unique(named[moved], return_counts=True)
    came = ", ".join(
        f"{count:,} from {ROLES[source]}"
        for source, count in zip(sources.tolist(), counts.tolist(), strict=True)
    )
    lay = amount(len(set(codes[moved].tolist())), "group lay", "groups lay")
    images = amount(int(moved.sum()), "image", "images")
    return [f"{lay} in several roles and went whole to the earliest: {images} moved ({came})."]


def _derive(
    rank: npt.NDArray[np.int64], share: npt.NDArray[np.float64], present: set[int]
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Roles of groups that nothing names, and roles that no image (`present`) names at all."""
    thirds = np.select([share < 0.4, share < 0.8], [_TUNE, _CERTIFY], _TEST)
    derived = rank.copy()
    notes: list[str] = []
    if (rank == _NONE).any():
        derived = np.where(rank == _NONE, thirds, derived)
        unnamed = amount(int((rank == _NONE).sum()), "group has no split", "groups have no split")
        who = "No image has a split" if present == {_NONE} else unnamed
        notes.append(
            Message(
                "{who}: divided by group 40:40:20 into tune, certify and test. Was the detector "
                "trained on any of these images? Then name them train ({roles:FILE}).",
                who=who,
            )
        )
    if _TUNE in present and _CERTIFY not in present:
        derived = np.where((rank == _TUNE) & (share >= 0.5), _CERTIFY, derived)
        notes.append("No certify is named: half of the tune groups became certify.")
    if _TEST in present and _TUNE not in present:
        if _CERTIFY in present:
            pieces, words = np.where(share < 2 / 3, _TUNE, _TEST), "2:1 into tune and test"
        else:
            pieces, words = thirds, "40:40:20 into tune, certify and test"
        derived = np.where(rank == _TEST, pieces, derived)
        notes.append(f"No tune is named: the test groups were divided {words}.")
    return derived, notes


def _share(group: str) -> float:
    """A number in [0, 1) that only the group's name decides."""
    digest = hashlib.sha256((_SALT + group).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _counts(rank: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> str:
    parts = []
    for index, role in enumerate(ROLES):
        groups = np.flatnonzero(rank == index)
        images = amount(int(np.isin(codes, groups).sum()), "image", "images")
        parts.append(f"{role} {images} in {amount(len(groups), 'group', 'groups')}")
    return ", ".join(parts)
