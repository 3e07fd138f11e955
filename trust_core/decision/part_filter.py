"""Filters over the parts of an audit: which they leave, in which order, how many, page by page.

Conditions and orders are arrays over all images, kept for all sessions; of the tables themselves
nothing but the rows of one page is read, however many images an audit has.

Notation: `S` images of the audit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.decision.curves import roles_of
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.localization.audit_masks import Contradiction, contradicting
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.storage.audit_columns import (
    PASSED_OUTCOMES,
    Flags,
    Floats,
    PassedColumns,
    Places,
    number_column,
    text_column,
)
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import MemoryCache

PAGE_SIZE = 24
MANY = 1000  # rows above which the whole table is read
MEMORY = 80_000_000  # bytes of indicators and orders that are kept, of all audits together

_cache = MemoryCache(MEMORY)


@dataclass(frozen=True)
class Filters:
    """What the grid is narrowed to. An unknown `show` or `sort` is the first of its table.

    Attributes:
        show: a key of `SHOWN`.
        kind: kind of defect; "" = any.
        group: one physical part or lot; "" = any.
        search: a piece of the path or of the group's name, upper and lower case alike.
        sort: a key of `ORDERS`.
        before: the earlier operating point that `changed` compares with; None = the present one.
        contra: only decisions that contradict the network's own mask in this way; None = any.
    """

    show: str = "all"
    kind: str = ""
    group: str = ""
    search: str = ""
    sort: str = "suspicious"
    before: OperatingPoint | None = None
    contra: Contradiction | None = None


@dataclass(frozen=True)
class PartCounts:
    """How many parts filters leave.

    `shown` is by each key of `SHOWN`, all other filters kept; gained are those that are flagged now
    and were not at `Filters.before`, lost the reverse.
    """

    shown: Mapping[str, int]
    flags: FlagCounts
    gained_fn: int
    gained_tn: int
    lost_fn: int
    lost_tn: int


@dataclass(frozen=True)
class GridPosition:
    """Where a part stands among those the filters leave; ids are None at the ends.

    `number` counts from 1, 0 when the filters leave the part out; `previous` and `following` are
    ids.
    """

    number: int
    total: int
    previous: str | None
    following: str | None


def page_of_parts(audit: Audit, point: OperatingPoint, filters: Filters, page: int) -> pd.DataFrame:
    """The parts of one page, at most `PAGE_SIZE` rows.

    `point.role` says which images; pages are counted from 1.

    Returns:
        Columns of `samples.parquet`, with `passed`, `indicator` (NaN for unscored and for parts
        that were not passed), `flagged` and `flagged_before`.
    """
    parts, first = Parts(audit, point, filters), PAGE_SIZE * (max(page, 1) - 1)
    return parts.rows(parts.ordered()[first : first + PAGE_SIZE])


def listed(audit: Audit, point: OperatingPoint, filters: Filters) -> pd.DataFrame:
    """All parts the filters leave, in order, as they are taken away as a file."""
    parts = Parts(audit, point, filters)
    table = parts.rows(parts.ordered(), 'path, label, kind, "group", role, outcome, p_defect')
    return table.drop(columns=["passed", "flagged_before"])


def count_parts(audit: Audit, point: OperatingPoint, filters: Filters) -> PartCounts:
    """How many parts the filters leave, by what is shown and by what changes side."""
    parts = Parts(audit, point, filters)
    now, before = parts.flagged & parts.inside, parts.flagged_before & parts.inside
    missed, good = parts.outcome("FN"), parts.outcome("TN")

    def count(flags: Flags) -> int:
        return int(np.count_nonzero(flags))

    return PartCounts(
        {name: count(parts.chosen(name)) for name in SHOWN},
        FlagCounts(
            count(missed & parts.inside),
            count(good & parts.inside),
            count(missed & now),
            count(good & now),
        ),
        gained_fn=count(missed & now & ~before),
        gained_tn=count(good & now & ~before),
        lost_fn=count(missed & before & ~now),
        lost_tn=count(good & before & ~now),
    )


def defect_kinds(audit: Audit, role: str) -> list[str]:
    """The kinds of defect among the images of a role."""
    kind, inside = text_column(audit, "kind"), text_column(audit, "role").equal(*roles_of(role))
    there = np.bincount(kind.codes[inside], minlength=len(kind.names)) > 0
    return [name for name in kind.names[there] if name]


def grid_position(
    audit: Audit, point: OperatingPoint, filters: Filters, sample_id: str
) -> GridPosition:
    """Where a part stands in the order of the grid, for previous and next."""
    order = Parts(audit, point, filters).ordered()
    here = np.flatnonzero(np.isin(order, _places_where(audit, "sample_id = $1", [sample_id])))
    if not len(here):
        return GridPosition(0, 0, None, None)
    number = int(here[0])
    beside = [order[at] if 0 <= at < len(order) else -1 for at in (number - 1, number + 1)]
    known = audit.query(
        "SELECT file_row_number, sample_id FROM places WHERE file_row_number IN ($1, $2)",
        [int(place) for place in beside],
    )
    names: Mapping[int, str] = dict(known.itertuples(index=False))
    return GridPosition(number + 1, len(order), *(names.get(int(place)) for place in beside))


def part_rows(
    audit: Audit, point: OperatingPoint, sample_id: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
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


class Parts:
    """All images of an audit with what the operating point and the filters say of each.

    `show` and `sort` of the filters play no part here; `roles` are those of `point.role` when None.
    """

    def __init__(
        self,
        audit: Audit,
        point: OperatingPoint,
        filters: Filters,
        roles: Sequence[str] | None = None,
    ) -> None:
        self.audit, self.point, self.filters = audit, point, filters
        self.roles = roles_of(point.role) if roles is None else roles

    @cached_property
    def inside(self) -> Flags:
        """What role, kind, group, search and contradiction leave, `(S,)`."""
        filters = self.filters
        inside = text_column(self.audit, "role").equal(*self.roles)
        for name in ("kind", "group"):
            if wanted := getattr(filters, name):
                inside = inside & text_column(self.audit, name).equal(wanted)
        if filters.contra:
            inside = inside & contradicting(self.audit, filters.contra)
        return inside & _matching(self.audit, filters.search) if filters.search else inside

    @cached_property
    def indicator(self) -> Floats:
        """The indicator of the passed images, `(S,)`; NaN for the unscored and all others."""
        return _indicator(self.audit, self.point.indicator, self.point.strength)

    @cached_property
    def passed(self) -> Flags:
        """What the detector calls good, `(S,)`."""
        return text_column(self.audit, "outcome").equal(*PASSED_OUTCOMES)

    @cached_property
    def flagged(self) -> Flags:
        """What is flagged now, `(S,)`; the unscored always are."""
        return self.passed & ~(self.indicator < self.point.threshold)

    @cached_property
    def flagged_before(self) -> Flags:
        """What was flagged at the earlier operating point, `(S,)`."""
        before = self.filters.before
        if before is None:
            return self.flagged
        indicator = _indicator(self.audit, before.indicator, before.strength)
        return self.passed & ~(indicator < before.threshold)

    def outcome(self, name: str) -> Flags:
        """Which have an outcome, `(S,)`."""
        return text_column(self.audit, "outcome").equal(name)

    def chosen(self, show: str) -> Flags:
        """What a key of `SHOWN` leaves, `(S,)`; an unknown one leaves all."""
        return self.inside & SHOWN.get(show, SHOWN["all"])(self)

    def ordered(self) -> npt.NDArray[np.int32]:
        """Places of the parts the filters leave, in the order of the grid."""
        order = _order(self)
        return order[self.chosen(self.filters.show)[order]]

    def rows(self, places: Places | npt.NDArray[np.int32], columns: str = "*") -> pd.DataFrame:
        """Rows of `samples.parquet`, in this order, with what the operating point says of them."""
        few = len(places) <= MANY
        those = f"WHERE file_row_number IN ({', '.join(map(str, places.tolist()))})" if few else ""
        found = self.audit.query(
            f"SELECT {columns}, file_row_number AS place FROM places {those}"  # noqa: S608 - ours
        )
        ranks = pd.Index(found["place"]).get_indexer(places)
        return (
            found.iloc[ranks]
            .drop(columns=["place", "file_row_number"], errors="ignore")
            .reset_index(drop=True)
            .assign(
                passed=self.passed[places],
                indicator=self.indicator[places],
                flagged=self.flagged[places],
                flagged_before=self.flagged_before[places],
            )
        )


SHOWN: dict[str, Callable[[Parts], Flags]] = {
    "all": lambda parts: parts.inside,
    "fn": lambda parts: parts.outcome("FN"),
    "overlooked": lambda parts: parts.outcome("FN") & ~parts.flagged,
    "flagged": lambda parts: parts.flagged,
    "tn": lambda parts: parts.outcome("TN"),
    "tp": lambda parts: parts.outcome("TP"),
    "fp": lambda parts: parts.outcome("FP"),
    "unscored": lambda parts: ~text_column(parts.audit, "status").equal("scored"),
    "changed": lambda parts: parts.flagged != parts.flagged_before,
}

# Each: places of all images in order; what is equal stays in the order of `sample_id`.
ORDERS: dict[str, Callable[[Parts], Places]] = {
    "suspicious": lambda parts: _passed_first(parts, -1.0),
    "trusted": lambda parts: _passed_first(parts, 1.0),
    "likely": lambda parts: np.argsort(-number_column(parts.audit, "p_defect"), kind="stable"),
    "unlikely": lambda parts: np.argsort(number_column(parts.audit, "p_defect"), kind="stable"),
    "path": lambda parts: _places_where(parts.audit, "TRUE ORDER BY path"),
}


def _order(parts: Parts) -> npt.NDArray[np.int32]:
    sort = parts.filters.sort if parts.filters.sort in ORDERS else "suspicious"
    by = (parts.point.indicator, parts.point.strength) if sort in ("suspicious", "trusted") else ()
    key = (str(parts.audit.folder), parts.audit.key, sort, *by)
    return _cache.get(key, lambda: ORDERS[sort](parts).astype(np.int32))


def _passed_first(parts: Parts, sign: float) -> Places:
    """Passed images by their indicator, the unscored as +∞, then all others."""
    places = np.flatnonzero(parts.passed)
    suspicion = np.nan_to_num(parts.indicator[places], nan=np.inf, posinf=np.inf, neginf=-np.inf)
    order = np.argsort(sign * suspicion, kind="stable")
    return np.concatenate([places[order], np.flatnonzero(~parts.passed)])


def _indicator(audit: Audit, name: str, strength: float) -> Floats:
    def find() -> Floats:
        columns = PassedColumns(audit, strengths=[strength])
        values = np.full(len(text_column(audit, "outcome").codes), np.nan)
        values[columns.places] = INDICATORS.find(name)(columns.at(strength), columns.at(0.0))
        return values

    return _cache.get((str(audit.folder), audit.key, "indicator", name, strength), find)


def _matching(audit: Audit, search: str) -> Flags:
    """Images with a piece of text in their path or group, `(S,)`."""

    def find() -> Flags:
        found = np.zeros(len(text_column(audit, "outcome").codes), dtype=bool)
        either = 'contains(lower(path), lower($1)) OR contains(lower("group"), lower($1))'
        found[_places_where(audit, either, [search])] = True
        return found

    return _cache.get((str(audit.folder), audit.key, "search", search), find)


def _places_where(audit: Audit, where: str, parameters: Sequence[object] = ()) -> Places:
    """Places of the images that a condition of SQL holds for."""
    table = audit.query(f"SELECT file_row_number FROM places WHERE {where}", parameters)  # noqa: S608
    return table["file_row_number"].to_numpy(dtype=np.int64)
