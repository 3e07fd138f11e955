"""Every overlap that the kept maps hold, tried: for a page, which has it computed in a sandbox."""

from dataclasses import dataclass

import pandas as pd

from trust_core.decision.journal import require_open
from trust_core.decision.tuning.sensitivity import Sensitivity, sensitivity
from trust_core.storage.audit_files import Audit


@dataclass(frozen=True)
class Trial:
    """What trying every choice showed.

    Attributes:
        choices: how many there are.
        better: share of them that rank better than threshold shift on `tune`.
        sentence: whether the best of them is worth taking.
        sensitivity: of the chosen one, on the images of a role.
        columns: the indicators it found, with the `sample_id` of each image; None on `tune`.
    """

    choices: int
    better: float
    sentence: str
    sensitivity: Sensitivity
    columns: pd.DataFrame | None


def try_choices(audit: Audit, role: str) -> Trial:
    """Choose among all overlaps on `tune`, and hold the choice to the images of a role.

    Raises:
        SettingsError: the role is sealed.
        DataError: no image was called good.
    """
    from trust_core.decision.tuning.autotune import tune_overlaps  # brings PyTorch

    require_open(audit, [role])
    tuned = tune_overlaps(audit)
    near = sensitivity(tuned.overlaps, tuned.search.candidate, role)
    search, columns = tuned.search, tuned.columns if role == "test" else None
    return Trial(len(search.auroc), search.better, search.sentence, near, columns)
