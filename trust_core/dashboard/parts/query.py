"""Which parts the grid shows: filters, order, pages and neighbours, as SQL over the stored tables.

Nothing but the rows of one page leaves the database, however many images an audit has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from trust_core.dashboard.address import Point
from trust_core.decision.curves import roles_of
from trust_core.decision.indicators import ABSENT
from trust_core.store import Audit

PAGE_SIZE = 24

# The indicators of `decision.indicators`, for the database: `at` is the image at the chosen
# strength, `clean` at strength 0. A test holds both to the same numbers.
INDICATOR_SQL = {
    "iou_difference": '"at".iou_difference',
    "iou_defect": '"at".iou_defect',
    "good_disagreement": '1.0 - "at".iou_good',
    "iou_difference_shift": '"at".iou_difference - clean.iou_difference',
    "p_defect": "samples.p_defect",
    "log_odds": '"at".log_odds',
    "log_odds_shift": '"at".log_odds - clean.log_odds',
    "iou_difference_clean": "clean.iou_difference",
    **{name: f"indicators.{name}" for name in ABSENT},
}

SHOWN = {
    "all": "TRUE",
    "fn": "outcome = 'FN'",
    "overlooked": "outcome = 'FN' AND NOT flagged",
    "flagged": "flagged",
    "tn": "outcome = 'TN'",
    "tp": "outcome = 'TP'",
    "fp": "outcome = 'FP'",
    "unscored": "status <> 'scored'",
    "changed": "flagged <> flagged_before",
}

ORDERS = {
    "suspicious": "passed DESC, suspicion DESC",
    "trusted": "passed DESC, suspicion ASC",
    "likely": "p_defect DESC NULLS LAST",
    "unlikely": "p_defect ASC NULLS LAST",
    "path": "path ASC",
}

_PARTS = """
    WITH scored AS (
        SELECT samples.*, outcome IN ('FN', 'TN') AS passed,
               CASE WHEN outcome IN ('FN', 'TN') THEN {indicator} END AS indicator
        FROM samples
        LEFT JOIN scores AS "at" ON "at".sample_id = samples.sample_id AND "at".strength = $2
        LEFT JOIN scores AS clean ON clean.sample_id = samples.sample_id AND clean.strength = 0
        LEFT JOIN indicators ON indicators.sample_id = samples.sample_id
        WHERE list_contains($1, role) AND ($5 = '' OR kind = $5) AND ($6 = '' OR "group" = $6)
          AND (contains(lower(path), lower($7)) OR contains(lower("group"), lower($7)))
    ), ranked AS (
        SELECT *, CASE WHEN indicator IS NULL OR isnan(indicator) THEN 'infinity'::DOUBLE
                       ELSE indicator END AS suspicion
        FROM scored
    ), parts AS (
        SELECT *, passed AND suspicion >= $3 AS flagged,
               passed AND suspicion >= $4 AS flagged_before
        FROM ranked
    ), chosen AS (
        SELECT * FROM parts WHERE {shown}
    )
"""
_PAGE = "SELECT * FROM chosen ORDER BY {order} LIMIT $8 OFFSET $9"
_LIST = """
    SELECT path, label, kind, "group", role, outcome, p_defect, indicator, flagged
    FROM chosen ORDER BY {order}
"""
_PLACE = """
    SELECT number, total, previous, following FROM (
        SELECT sample_id, row_number() OVER (ORDER BY {order}) AS number,
               count(*) OVER () AS total, lag(sample_id) OVER (ORDER BY {order}) AS previous,
               lead(sample_id) OVER (ORDER BY {order}) AS following
        FROM chosen
    ) WHERE sample_id = $8
"""
_COUNTS = "SELECT {counted} FROM parts"
_GROUP = "SELECT * FROM parts ORDER BY path"


@dataclass(frozen=True)
class Filters:
    """What the grid is narrowed to. An unknown `show` or `sort` is the first of its table.

    Attributes:
        show: a key of `SHOWN`.
        kind: kind of defect; "" = any.
        group: one physical part or lot; "" = any.
        search: a piece of the path or of the group's name, upper and lower case alike.
        sort: a key of `ORDERS`.
        before: the earlier threshold that `changed` compares with; None = the present one.
    """

    show: str = "all"
    kind: str = ""
    group: str = ""
    search: str = ""
    sort: str = "suspicious"
    before: float | None = None


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
        Columns of `samples.parquet`, with `indicator` (NaN for unscored and for parts that were not
        passed), `flagged` and `flagged_before`.
    """
    offset = PAGE_SIZE * (max(page, 1) - 1)
    return _ask(audit, point, filters, _PAGE, PAGE_SIZE, offset)


def listed(audit: Audit, point: Point, filters: Filters) -> pd.DataFrame:
    """All parts the filters leave, in order, as they are taken away as a file."""
    return _ask(audit, point, filters, _LIST)


def counts(audit: Audit, point: Point, filters: Filters) -> dict[str, int]:
    """How many parts each key of `SHOWN` would leave, and `flagged_fn`, `flagged_tn`.

    Also of the parts that change side from `filters.before` to the present threshold:
    `gained_fn, gained_tn` are flagged only now, `lost_fn, lost_tn` only before.
    """
    columns = SHOWN | {
        f"{name}_{outcome}": f"{condition} AND outcome = '{outcome.upper()}'"
        for outcome in ("fn", "tn")
        for name, condition in (
            ("flagged", "flagged"),
            ("gained", "flagged AND NOT flagged_before"),
            ("lost", "flagged_before AND NOT flagged"),
        )
    }
    row = _ask(audit, point, filters, _COUNTS, counted=columns).iloc[0]
    return {name: int(row[name]) for name in columns}


def kinds(audit: Audit, role: str) -> list[str]:
    """The kinds of defect among the images of a role."""
    table = audit.query(
        "SELECT DISTINCT kind FROM samples WHERE list_contains($1, role) AND kind <> '' ORDER BY 1",
        [list(roles_of(role))],
    )
    return table["kind"].tolist()


def place_of(audit: Audit, point: Point, filters: Filters, sample_id: str) -> Place:
    """Where a part stands in the order of the grid, for previous and next."""
    table = _ask(audit, point, filters, _PLACE, sample_id)
    if table.empty:
        return Place(0, 0, None, None)
    row = table.iloc[0]
    ends = (None if pd.isna(row[name]) else str(row[name]) for name in ("previous", "following"))
    return Place(int(row["number"]), int(row["total"]), *ends)


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
    photos = _ask(audit, point, Filters(group=group), _GROUP, roles=[role])
    scores = audit.query("SELECT * FROM scores WHERE sample_id = $1 ORDER BY strength", [sample_id])
    return photos, scores


def _ask(
    audit: Audit,
    point: Point,
    filters: Filters,
    sql: str,
    *more: object,
    counted: Mapping[str, str] | None = None,
    roles: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Run `sql` over the views `parts` and `chosen`.

    Only entries of this module's tables become part of the SQL; whatever a reader typed goes in as
    a parameter.
    """
    order = ORDERS.get(filters.sort, ORDERS["suspicious"])
    statement = (_PARTS + sql).format(
        indicator=INDICATOR_SQL[point.indicator],
        shown=SHOWN.get(filters.show, "TRUE"),
        order=f"{order}, sample_id",
        counted=", ".join(
            f'count(*) FILTER (WHERE {condition}) AS "{name}"'
            for name, condition in (counted or {}).items()
        ),
    )
    parameters = [
        list(roles or roles_of(point.role)),
        point.strength,
        point.threshold,
        point.threshold if filters.before is None else filters.before,
        filters.kind,
        filters.group,
        filters.search,
        *more,
    ]
    return audit.query(statement, parameters)
