"""An operating point: what the pages look at, and what the URL carries from one to the next."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OperatingPoint:
    """An operating point, and the images it is looked at on.

    Attributes:
        indicator: one of `available`.
        strength: ε, one of the audit's.
        threshold: τ, finite.
        role: `tune`, `certify`, `test` or `all`.
    """

    indicator: str
    strength: float
    threshold: float
    role: str
