"""Groups: what must never be torn apart. A physical part or lot; identical files always."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from trust_core.errors import SettingsError


def groups_by_pattern(paths: Sequence[str], pattern: str) -> list[str]:
    r"""The group each path names, "" where the pattern is not found.

    The named groups of the regular expression, else all its groups, joined by "|"; the whole match
    when it has none.

    Raises:
        SettingsError: the pattern is no regular expression.

    >>> groups_by_pattern(["lot7_part12_a.png", "x.png"], r"lot(\d+)_part(\d+)")
    ['7|12', '']
    """
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise SettingsError(
            f"--group-pattern {pattern!r} is not a regular expression: {error}."
        ) from error
    return [_name(match) if (match := search(path)) else "" for path in paths]


def _name(match: re.Match[str]) -> str:
    parts = match.groupdict().values() or match.groups()
    return "|".join(part or "" for part in parts) if parts else match.group()


def merge_identical(samples: pd.DataFrame) -> tuple[pd.Series, tuple[str, ...]]:
    """Put the groups of byte-identical images together, under the name that sorts first.

    Args:
        samples: columns `sha256` ("" for unreadable files, which are identical to nothing),
            `group`, `label`, `path`.

    Returns:
        The groups in row order, and notes: how many were merged, and identical images that are
        labelled both good and defective.
    """
    readable = samples[samples["sha256"] != ""]
    copies = readable[readable["sha256"].duplicated(keep=False)]
    if copies.empty:
        return samples["group"], ()
    by_file = copies.groupby("sha256", sort=True)
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for together in by_file["group"].unique():
        first, *others = sorted({root(group) for group in together})
        parent.update(dict.fromkeys(others, first))
    names = {group: root(group) for group in parent}
    renamed = sum(group != name for group, name in names.items())
    notes = [
        f"{len(copies):,} images are byte-identical copies of one another "
        f"({by_file.ngroups:,} different pictures); {renamed:,} groups were merged with the group "
        "of their copy."
    ]
    torn = np.flatnonzero(by_file["label"].nunique().to_numpy() > 1)
    if torn.size:
        example = copies.loc[copies["sha256"] == sorted(copies["sha256"].unique())[torn[0]], "path"]
        notes.append(
            f"{torn.size:,} pictures are labelled both good and defective, "
            f"for one {' and '.join(sorted(example)[:2])}: correct the labels."
        )
    merged = [names.get(group, group) for group in samples["group"]]
    return pd.Series(merged, index=samples.index, dtype="str"), tuple(notes)
