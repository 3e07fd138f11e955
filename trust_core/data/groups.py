"""Groups of images that never lie in two roles: a physical part or lot; identical files always."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import re2
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trust_core.errors import SettingsError
from trust_core.messages import Message, amount

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # they are told in a sentence


def groups_by_pattern(paths: Sequence[str], pattern: str) -> list[str]:
    r"""The group each path names, "" where the pattern is not found.

    The named groups of the regular expression, else all its groups, joined by "|"; the whole match
    when it has none. Patterns of strangers are searched by RE2, whose time grows with the length
    of the path alone: `(.+)+X` holds up nobody.

    Raises:
        SettingsError: the pattern is no regular expression, or one that RE2 has not.

    >>> groups_by_pattern(["lot7_part12_a.png", "x.png"], r"lot(\d+)_part(\d+)")
    ['7|12', '']
    """
    try:
        search = re2.compile(pattern, _OPTIONS).search
    except re2.error as error:
        raise SettingsError(_refusal(pattern, error)) from error
    return [_name(match) if (match := search(path)) else "" for path in paths]


def _refusal(pattern: str, error: re2.error) -> Message:
    reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
    if reason.startswith("invalid perl operator") or re.search(r"escape sequence: \\\d", reason):
        return Message(
            "{group_pattern} {pattern!r} looks ahead or behind, or back at what it has found "
            "({reason}), which patterns here cannot; name the part in brackets instead, as in "
            "part(\\d+)_.",
            "{pattern!r}, which should find the part in the path, looks ahead or behind, or back "
            "at what it has found ({reason}), which patterns here cannot; name the part in "
            "brackets instead, as in part(\\d+)_.",
            pattern=pattern,
            reason=reason,
        )
    return Message(
        "{group_pattern} {pattern!r} is not a regular expression: {reason}.",
        "{pattern!r}, which should find the part in the path, is not a regular expression: "
        "{reason}.",
        pattern=pattern,
        reason=reason,
    )


def _name(match: Any) -> str:  # noqa: ANN401 - the package has no types
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
    files, _ = pd.factorize(copies["sha256"], sort=True)
    groups, names = pd.factorize(copies["group"])
    # Groups and files are the nodes of a graph, images its edges: what hangs together is one group.
    size = len(names) + files.max() + 1
    edges = coo_array((np.ones(len(copies)), (groups, len(names) + files)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    first = pd.Series(names).groupby(component[: len(names)]).transform("min")
    new_names = dict(zip(names, first, strict=True))
    renamed = sum(old != new for old, new in new_names.items())
    notes = [
        f"{len(copies):,} images are byte-identical copies of one another "
        f"({amount(int(files.max()) + 1, 'different picture', 'different pictures')}); "
        f"{amount(renamed, 'group was', 'groups were')} merged with the group of their copy."
    ]
    torn = np.flatnonzero(copies.groupby(files)["label"].nunique() > 1)
    if torn.size:
        example = copies.loc[files == torn[0], "path"]
        notes.append(
            f"{amount(torn.size, 'picture is', 'pictures are')} labelled both good and defective, "
            f"for one {' and '.join(sorted(example)[:2])}: correct the labels."
        )
    merged = [new_names.get(group, group) for group in samples["group"]]
    return pd.Series(merged, index=samples.index, dtype="str"), tuple(notes)
