"""Results as JSON: tuples become lists, and what is not finite null."""

import math
from collections.abc import Mapping
from typing import Any


def json_object(content: Mapping[str, object]) -> dict[str, Any]:
    """A JSON object of mappings, sequences and numbers; NaN and ±∞ become null.

    >>> json_object({"interval": (0.5, float("nan"))})
    {'interval': [0.5, None]}
    """
    return {key: json_value(value) for key, value in content.items()}


def json_value(content: object) -> object:
    """One value as JSON; NaN and ±∞ become null."""
    if isinstance(content, Mapping):
        return json_object(content)
    if isinstance(content, list | tuple):
        return [json_value(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
