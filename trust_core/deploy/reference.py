"""What the audit saw, kept in a guard for the drift check: numbers of `tune`, no image and no name.

One photograph a group, as many as `MOST`: what is compared with it takes one a part, too, because
photographs of one part resemble each other more than those of two.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.tradeoff import Floats
from trust_core.deploy.photometry import photometry
from trust_core.deploy.policy import REFERENCE
from trust_core.errors import StoreError, UnreadableImage
from trust_core.model.preprocessing import noted_preprocessing
from trust_core.storage.audit_columns import PassedColumns, number_column, text_column
from trust_core.storage.audit_files import Audit

MOST = 2000  # groups
MOST_PHOTOGRAPHS = 400  # of them whose photographs are read again
NUMBERS = ("p_defect", "indicator", "brightness", "sharpness")


@dataclass(frozen=True)
class Reference:
    """One photograph of each of `R` groups of `tune`.

    Attributes:
        p_defect: `(R,)`.
        indicator: of the passed ones; +∞ where unscored, NaN for those called defective, `(R,)`.
        brightness: of `photometry`, NaN where the photograph was not read, `(R,)`.
        sharpness: the same.
        defective: their labels, `(R,)`.
        images_per_group: how many photographs a group has, on average, at least 1.
    """

    p_defect: Floats
    indicator: Floats
    brightness: Floats
    sharpness: Floats
    defective: npt.NDArray[np.bool_]
    images_per_group: float

    @property
    def passed(self) -> npt.NDArray[np.bool_]:
        """Which of them the detector calls good, `(R,)`."""
        return ~np.isnan(self.indicator)


def line_reference(audit: Audit, indicator: str, strength: float, seed: int = 0) -> Reference:
    """The reference of an operating point; photographs that are gone have no brightness."""
    columns = PassedColumns(audit, ["tune"], [strength])
    found = INDICATORS.find(indicator)(columns.at(strength), columns.at(0.0))
    values = np.full(len(text_column(audit, "outcome").codes), np.nan)
    values[columns.places] = np.where(np.isnan(found), np.inf, found)
    readable = ~text_column(audit, "outcome").equal("")
    places = np.flatnonzero(text_column(audit, "role").equal("tune") & readable)
    _, first = np.unique(text_column(audit, "group").codes[places], return_index=True)
    # In a random order, so that the first of them are a fair choice.
    chosen = places[np.random.default_rng(seed).permutation(first)[:MOST]]
    return Reference(
        number_column(audit, "p_defect")[chosen],
        values[chosen],
        *_photometry(audit, chosen),
        text_column(audit, "outcome").equal("FN", "TP")[chosen],
        max(1.0, len(places) / max(1, len(first))),
    )


def _photometry(audit: Audit, places: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Brightness and sharpness of the first photographs of these places among all images."""
    preprocessing = noted_preprocessing(audit.manifest.model.preprocessing)
    paths = audit.query("SELECT path FROM places ORDER BY file_row_number")["path"]
    found = np.full((2, len(places)), np.nan)
    for index, path in enumerate(paths.iloc[places[:MOST_PHOTOGRAPHS]]):
        try:
            pixels = preprocessing.pixels(preprocessing.read(audit.data_file(path)))
        except UnreadableImage:
            continue
        found[:, index] = np.concatenate(photometry(pixels[None]))
    return found[0], found[1]


def save_reference(reference: Reference, folder: Path) -> None:
    """Write the reference into the folder of a guard."""
    save_file(
        {name: getattr(reference, name) for name in NUMBERS}
        | {
            "defective": reference.defective.astype(np.uint8),
            "images_per_group": np.array([reference.images_per_group]),
        },
        folder / REFERENCE,
    )


def load_reference(folder: Path) -> Reference:
    """The reference in the folder of a guard.

    Raises:
        StoreError: there is none, or a damaged one.
    """
    path = folder / REFERENCE
    if not path.is_file():
        raise StoreError(
            f"{path} is not there, so there is nothing to compare with; export the guard again."
        )
    try:
        kept = load_file(path)
        return Reference(
            **{name: kept[name] for name in NUMBERS},
            defective=kept["defective"].astype(bool),
            images_per_group=float(kept["images_per_group"][0]),
        )
    except (SafetensorError, OSError, KeyError, IndexError) as error:
        raise StoreError(f"{path} is damaged; export the guard again.") from error
