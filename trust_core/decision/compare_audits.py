"""Two audits of the same images: which parts changed side. No Streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from trust_core.storage.audit_files import Audit

# (outcome there, outcome here): what it means that a part went from one to the other.
CHANGES = {
    ("FN", "TP"): "missed there, caught here",
    ("TP", "FN"): "caught there, missed here",
    ("FP", "TN"): "false alarm there, passed here",
    ("TN", "FP"): "passed there, false alarm here",
}
RELABELLED = "the label differs"


@dataclass(frozen=True)
class Beside:
    """This audit beside another, on the images that both hold byte for byte.

    Attributes:
        shared: images in both.
        here: images of these roles in this audit.
        there: the same in the other.
        counts: outcome → (there, here), on the shared images.
        changed: shared images whose side changed: `sample_id, path, kind, role, change`, the
            missed defects first.
    """

    shared: int
    here: int
    there: int
    counts: dict[str, tuple[int, int]]
    changed: pd.DataFrame


def beside(audit: Audit, other: Audit, roles: Sequence[str]) -> Beside:
    """Compare two audits on images of these roles of the open one.

    An image is the same when path and content are; one that a model cannot read has no side.
    """
    here = _samples(audit)
    here = here[here["role"].isin(list(roles))]
    there = _samples(other)
    both = here.merge(there, on=["sample_id", "sha256"], suffixes=("", "_there"))
    counts = {
        name: (int((both["outcome_there"] == name).sum()), int((both["outcome"] == name).sum()))
        for name in ("FN", "TP", "TN", "FP")
    }
    pairs = list(zip(both["outcome_there"], both["outcome"], strict=True))
    order = {change: place for place, change in enumerate((*CHANGES.values(), RELABELLED))}
    change = [
        RELABELLED if a != b else CHANGES.get(pair, "")
        for a, b, pair in zip(both["label_there"], both["label"], pairs, strict=True)
    ]
    changed = both.assign(change=change)
    changed = changed[changed["change"] != ""]
    changed = changed.assign(place=changed["change"].map(order)).sort_values(["place", "path"])
    columns = ["sample_id", "path", "kind", "role", "change"]
    changed = changed[columns].reset_index(drop=True)
    return Beside(len(both), len(here), len(there), counts, changed)


def _samples(audit: Audit) -> pd.DataFrame:
    return audit.query("SELECT sample_id, sha256, path, kind, role, label, outcome FROM samples")
