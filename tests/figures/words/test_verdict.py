"""The verdict in words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trust_core.decision.verdict import AMBER, GREEN, RED, Verdict, verdict
from trust_core.figures.words.verdict import verdict_sentence


def judged(**changes: object) -> Verdict:
    table = pd.DataFrame(
        {
            "indicator": np.arange(40.0),
            "p_defect": np.arange(40.0) % 7,
            "outcome": ["TN"] * 30 + ["FN"] * 10,
            "group": [str(i) for i in range(40)],
        }
    )
    return replace(verdict(table), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"colour": GREEN}, "IoU difference is better than threshold shift."),
        ({"colour": RED}, "IoU difference is worse than threshold shift."),
        (
            {"colour": AMBER, "groups": 44},
            "44 missed parts cannot tell IoU difference from threshold",
        ),
        ({"colour": AMBER, "groups": 1}, "1 missed part and 30 good parts are too few"),
        ({"colour": AMBER, "groups": 0}, "No missed parts and 30 good parts are too few"),
    ],
)
def test_the_verdict_in_words(changes: dict, says: str) -> None:
    assert verdict_sentence(judged(**changes), "iou_difference").startswith(says)
