"""Roles of the images: train (seen by the detector), tune (chooses), certify (proves), test.

Every group has one role, whole. Derived roles hang on a hash of the group's name alone, so that
neither row order nor new groups move an old one.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.names import first_few, role_of_split
from trust_core.errors import DataError, SettingsError
from trust_core.messages import Message, amount, none_of

ROLES = ("train", "tune", "certify", "test")
_TRAIN, _TUNE, _CERTIFY, _TEST = range(4)
_NONE = 9
CUTS = ("auto", "half", "none")
LEAST_DEFECTIVE = 59  # groups: all caught, so many missed ones prove 95 % with confidence 95 %
_SALT = "trust_core roles 1:"


def assign_roles(
    samples: pd.DataFrame, certify: str = "auto"
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give every image its role; a group never lies in two.

    A role named in `role`, else in `split`, holds. A group named in several goes whole to the
    earliest of train < tune < certify < test. Where no certify is named, half of the tune groups
    become it if both halves can then do their job, and none if not, which is told. Where splits are
    named but no tune, the test groups are divided (tune, certify, test as 40:40:20; without the
    certify share when certify is named). Groups without any name are divided 40:40:20.

    Args:
        samples: columns `split`, `role` (both "" where not given), `group` and `label`.
        certify: what of `tune` becomes certify where none is named: `auto` as above, `half`
            whatever comes of it, `none`.

    Returns:
        A copy with `role` filled, and notes on everything that was not simply as given.

    Raises:
        DataError: a name that is no role, or nothing but images to train or certify on.
        SettingsError: `certify` is none of `CUTS`.
    """
    if certify not in CUTS:
        raise SettingsError(none_of("certify", certify, CUTS))
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
    defective = np.zeros(len(names), dtype=np.bool_)
    defective[codes[samples["label"].to_numpy() == 1]] = True
    rank, derived = _derive(rank, shares, set(named.tolist()), defective, certify)
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
    rank: npt.NDArray[np.int64],
    share: npt.NDArray[np.float64],
    present: set[int],
    defective: npt.NDArray[np.bool_],
    certify: str,
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
        cut = (rank == _TUNE) & (share >= 0.5)
        halves = [int((defective & (rank == _TUNE) & part).sum()) for part in (~cut, cut)]
        if certify == "half" or (certify == "auto" and min(halves) >= LEAST_DEFECTIVE):
            derived = np.where(cut, _CERTIFY, derived)
        notes.append(_cut_note(certify, *halves))
    if _TEST in present and _TUNE not in present:
        if _CERTIFY in present:
            pieces, words = np.where(share < 2 / 3, _TUNE, _TEST), "2:1 into tune and test"
        else:
            pieces, words = thirds, "40:40:20 into tune, certify and test"
        derived = np.where(rank == _TEST, pieces, derived)
        notes.append(f"No tune is named: the test groups were divided {words}.")
    return derived, notes


def _cut_note(certify: str, tune: int, sealed: int) -> str:
    """What became of `tune` where no certify is named, with the parts that hold a defect."""
    if certify == "none":
        return Message(
            "No certify is named and none was taken ({certify:none}): nothing is proven."
        )
    if certify == "half" or min(tune, sealed) >= LEAST_DEFECTIVE:
        return Message(
            "No certify is named: half of the tune groups became certify. {tune} groups with a "
            "defect are left to choose by, {sealed} to prove with; {least} missed ones are the "
            "least that prove 95 %. All of them choose with {certify:none}.",
            "The data name no parts for the proof: half of those for choosing became it. {tune} "
            "parts with a defect are left to choose by, {sealed} to prove with; {least} missed "
            "ones are the least that prove 95 %. {certify} can leave them all for choosing.",
            tune=tune,
            sealed=sealed,
            least=LEAST_DEFECTIVE,
        )
    return Message(
        "No certify is named and none was taken from tune, which holds {all} groups with a defect: "
        "halves of {tune} and {sealed} could not do their job, because {least} missed ones are the "
        "least that prove 95 %. All choose the threshold, and nothing can be proven. To divide "
        "them all the same: {certify:half}.",
        "The data name no parts for the proof, and none were taken from those for choosing, {all} "
        "of which have a defect: halves of {tune} and {sealed} could not do their job, because "
        "{least} missed ones are the least that prove 95 %. Nothing can be proven then. {certify} "
        "can divide them all the same.",
        all=tune + sealed,
        tune=tune,
        sealed=sealed,
        least=LEAST_DEFECTIVE,
    )


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
