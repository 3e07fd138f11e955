"""What the pages ask of the parts: one page of them, how many there are, who is beside whom.

Of the tables nothing but the rows that are shown is read, however many images an audit has.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trust_core.dashboard.parts.selection import SHOWN, Filters, Parts, places_where
from trust_core.dashboard.point import Point
from trust_core.decision.curves import roles_of
from trust_core.storage.audit_columns import text
from trust_core.storage.audit_files import Audit

PAGE_SIZE = 24


@dataclass(frozen=True)
class Place:
    """Where a part stands among those the filters leave; ids are None at the ends.

    Attributes:
        number: counted from 1; 0 when the filters leave the part out.
        total: parts the filters leave.
        previous: `sample_id` of the part before.
        following: `sample_id` of the part after.
    """

    number: int
    total: int
    previous: str | None
    following: str | None


def page_of_parts(audit: Audit, point: Point, filters: Filters, page: int) -> pd.DataFrame:
    """The parts of one page, at most `PAGE_SIZE` rows.

    Args:
        audit: the audit.
        point: the operating point; `point.role` says which images.
        filters: what to show, and in which order.
        page: counted from 1.

    Returns:
        Columns of `samples.parquet`, with `passed`, `indicator` (NaN for unscored and for parts
        that were not passed), `flagged` and `flagged_before`.
    """
    parts, first = Parts(audit, point, filters), PAGE_SIZE * (max(page, 1) - 1)
    return parts.rows(parts.ordered()[first : first + PAGE_SIZE])


def listed(audit: Audit, point: Point, filters: Filters) -> pd.DataFrame:
    """All parts the filters leave, in order, as they are taken away as a file."""
    parts = Parts(audit, point, filters)
    table = parts.rows(parts.ordered(), 'path, label, kind, "group", role, outcome, p_defect')
    return table.drop(columns=["passed", "flagged_before"])


def counts(audit: Audit, point: Point, filters: Filters) -> dict[str, int]:
    """How many parts each key of `SHOWN` would leave, and `flagged_fn`, `flagged_tn`.

    Also of the parts that change side from `filters.before` to the present point:
    `gained_fn, gained_tn` are flagged only now, `lost_fn, lost_tn` only before.
    """
    parts = Parts(audit, point, filters)
    found = {name: int(parts.chosen(name).sum()) for name in SHOWN}
    now, before = parts.flagged & parts.inside, parts.flagged_before & parts.inside
    sides = {"flagged": now, "gained": now & ~before, "lost": before & ~now}
    for outcome in ("fn", "tn"):
        has = parts.outcome(outcome.upper())
        found |= {f"{name}_{outcome}": int((side & has).sum()) for name, side in sides.items()}
    return found


def kinds(audit: Audit, role: str) -> list[str]:
    """The kinds of defect among the images of a role."""
    kind, inside = text(audit, "kind"), text(audit, "role").equal(*roles_of(role))
    there = np.bincount(kind.codes[inside], minlength=len(kind.names)) > 0
    return [name for name in kind.names[there] if name]


def place_of(audit: Audit, point: Point, filters: Filters, sample_id: str) -> Place:
    """Where a part stands in the order of the grid, for previous and next."""
    order = Parts(audit, point, filters).ordered()
    here = np.flatnonzero(np.isin(order, places_where(audit, "sample_id = $1", [sample_id])))
    if not len(here):
        return Place(0, 0, None, None)
    number = int(here[0])
    beside = [order[at] if 0 <= at < len(order) else -1 for at in (number - 1, number + 1)]
    known = audit.query(
        "SELECT file_row_number, sample_id FROM places WHERE file_row_number IN ($1, $2)",
        [int(place) for place in beside],
    )
    names: Mapping[int, str] = dict(known.itertuples(index=False))
    return Place(number + 1, len(order), *(names.get(int(place)) for place in beside))


def part_rows(audit: Audit, point: Point, sample_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One part, and every photo of its group, whatever the filters.

    Returns:
        The group's rows as `page_of_parts` gives them, sorted by path (the part is one of them;
        empty when the audit has no such part), and the part's rows of `scores.parquet` by strength.
    """
    known = audit.query('SELECT role, "group" FROM samples WHERE sample_id = $1', [sample_id])
    if known.empty:
        return known, known
    role, group = known.iloc[0]
    photos = Parts(audit, point, Filters(group=group, sort="path"), roles=[role])
    table = photos.rows(np.flatnonzero(photos.inside)).sort_values("path", ignore_index=True)
    scores = audit.query("SELECT * FROM scores WHERE sample_id = $1 ORDER BY strength", [sample_id])
    return table, scores
