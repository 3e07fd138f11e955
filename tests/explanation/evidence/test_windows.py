"""Windows over an image: where they begin, and which of them do not overlap."""

import subprocess
import sys

from trust_core.explanation.evidence.windows import disjoint, window_starts


def test_windows_reach_the_border_whatever_the_stride():
    assert window_starts(11, 3, 2) == [0, 2, 4, 6, 8]
    assert window_starts(12, 3, 2) == [0, 2, 4, 6, 8, 9]
    assert window_starts(3, 3, 2) == [0]


def test_disjoint_windows_are_chosen_from_the_first():
    assert disjoint([0, 2, 4, 6, 8, 9], 3) == [0, 2, 4]
    assert disjoint([0, 2, 3], 3) == [0, 2]


def test_what_pages_read_of_evidence_loads_no_pytorch():
    code = (
        "import sys, trust_core.audit.evidence_store, trust_core.audit.gradcam_check\n"
        "import trust_core.audit.probe_explanation, trust_core.explanation.evidence.agreement\n"
        "import trust_core.decision.tuning.trial, trust_core.deploy.drift\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
