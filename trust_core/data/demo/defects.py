"""Defects for the procedural surfaces, each with its exact mask, and harmless marks.

A defect is a *profile* `(n, n)` in [-1, 1]: what it adds to the reflectance at full contrast.
Cells below `SUPPORT` are set to exactly 0, so the mask (where the profile is not 0) is exact:
outside it a defective part and its flawless twin are the same to the last bit. Harmless marks
(tool marks, dust, wipe traces) are drawn on good and defective parts alike and are in no mask.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from trust_core.data.demo.textures import Field, coloured_noise, grid, smoothstep
from trust_core.registry import Registry

SUPPORT = 0.1
Profile = Callable[[np.random.Generator, int, tuple[float, float], float], Field]

DEFECTS: Registry[Profile] = Registry("kind of defect")


def draw(
    kind: str, rng: np.random.Generator, n: int, centre: tuple[float, float], size: float
) -> Field:
    """Profile `(n, n)` of one defect.

    `kind` is a key of `DEFECTS`; `n` is height and width of the canvas, `centre` (y, x) in pixels,
    and `size` from 0 (smallest) to 1 (largest).
    """
    profile = DEFECTS[kind](rng, n, centre, size).astype(np.float32)
    profile /= np.abs(profile).max()
    profile[np.abs(profile) < SUPPORT] = 0
    return profile


def _frame(n: int, centre: tuple[float, float], angle: float) -> tuple[Field, Field]:
    """Coordinates `(s, d)` along and across a line through `centre` at `angle`, each `(n, n)`."""
    y, x = grid(n)
    y, x = y - np.float32(centre[0]), x - np.float32(centre[1])
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def _path(
    rng: np.random.Generator, s: Field, length: float, *, knot: float, jitter: float, bow: float
) -> tuple[Field, Field]:
    """Lateral offset and ink, fading at both ends, along a bowed, jittery line at places `s`."""
    knots = np.linspace(-length / 2, length / 2, max(4, int(length / knot) + 1)).astype(np.float32)
    offset = jitter * rng.standard_normal(len(knots)).cumsum()
    offset -= np.interp(0, knots, offset)
    ink = rng.uniform(0.55, 1, len(knots)) * np.minimum(
        1, 4.5 * (0.5 - np.abs(knots) / length) + 0.15
    )
    offset += bow * (knots / length) ** 2 * length
    return (
        np.interp(s, knots, offset).astype(np.float32),
        np.interp(s, knots, ink, left=0, right=0).astype(np.float32),
    )


@DEFECTS.register("scratch")
def scratch(rng: np.random.Generator, n: int, centre: tuple[float, float], size: float) -> Field:
    """A long, slightly bowed groove: bright burr beside a dark furrow, of uneven depth."""
    s, d = _frame(n, centre, rng.uniform(0, np.pi))
    offset, ink = _path(rng, s, 24 + 64 * size, knot=6, jitter=0.2, bow=rng.normal(0, 0.16))
    width = 0.6 + 0.5 * size
    d = (d - offset) / width
    return ink * (np.exp(-(d**2)) - 0.7 * np.exp(-((d - 1.7) ** 2)))


@DEFECTS.register("pit")
def pit(rng: np.random.Generator, n: int, centre: tuple[float, float], size: float) -> Field:
    """One to four small craters close together: dark hollow, lit rim."""
    field = np.zeros((n, n), np.float32)
    light = rng.uniform(0, 2 * np.pi)
    for k in range(int(rng.integers(1, 5))):
        at = (
            (centre[0], centre[1])
            if k == 0
            else tuple(np.add(centre, rng.normal(0, 5 + 5 * size, 2)))
        )
        radius = (1.6 + 3 * size) * rng.uniform(0.6, 1)
        s, d = _frame(n, at, light)
        r2 = (s**2 + (d * rng.uniform(0.85, 1.2)) ** 2) / radius**2
        field += (-1.0 + 0.5 * s / radius) * np.exp(-r2) * rng.uniform(0.7, 1)
        field += 0.5 * np.maximum(s, 0) / radius * np.exp(-((np.sqrt(r2) - 1.4) ** 2) / 0.15)
    return field


@DEFECTS.register("stain")
def stain(rng: np.random.Generator, n: int, centre: tuple[float, float], size: float) -> Field:
    """A dried drop: a broad, irregular darker patch with a slightly stronger rim."""
    s, d = _frame(n, centre, rng.uniform(0, np.pi))
    radius = 7 + 17 * size
    r = np.hypot(s, d * rng.uniform(1, 1.6)) / radius
    shore = coloured_noise(rng, n, along=radius * 0.8, across=radius * 0.8)
    shore += 0.4 * coloured_noise(rng, n, along=radius * 0.25, across=radius * 0.25)
    edge = 1 - r + 0.26 * shore
    body = smoothstep(edge, 0, 0.35) * (0.85 + 0.1 * shore)
    rim = np.exp(-(((edge - 0.2) / 0.1) ** 2))
    return -(0.75 * body + 0.25 * rim) * (r < 1.6)


@DEFECTS.register("crack")
def crack(rng: np.random.Generator, n: int, centre: tuple[float, float], size: float) -> Field:
    """A thin dark line that wanders in sharp turns, often with a branch."""
    angle, length, width = rng.uniform(0, np.pi), 20 + 50 * size, 0.75 + 0.55 * size
    field = np.zeros((n, n), np.float32)
    branches = [(centre, angle, length)]
    if rng.random() < 0.3 + 0.6 * size:
        along = rng.uniform(-0.25, 0.25) * length
        fork = (centre[0] + along * np.sin(angle), centre[1] + along * np.cos(angle))
        branches.append((fork, angle + rng.choice((-1, 1)) * rng.uniform(0.5, 1.1), 0.6 * length))
    for at, turn, reach in branches:
        s, d = _frame(n, at, turn)
        offset, ink = _path(rng, s, reach, knot=3.5, jitter=1.3, bow=0)
        field = np.minimum(field, -ink * np.exp(-(((d - offset) / width) ** 2)))
    return field


@DEFECTS.register("inclusion")
def inclusion(rng: np.random.Generator, n: int, centre: tuple[float, float], size: float) -> Field:
    """A foreign particle: small, angular, sharply bounded, darker or brighter than its place."""
    s, d = _frame(n, centre, rng.uniform(0, np.pi))
    radius = 2.2 + 5 * size
    theta = np.arctan2(d, s)
    corners = sum(
        a * np.cos(k * theta + p)
        for k, a, p in zip(
            (2, 3, 5), rng.uniform(0.05, 0.22, 3), rng.uniform(0, 6.3, 3), strict=True
        )
    )
    r = np.hypot(s, d * rng.uniform(1, 1.7)) / (radius * (1 + corners))
    body = smoothstep(-r, -1.15, -0.75) * (1 + 0.15 * coloured_noise(rng, n, along=2, across=2))
    return body if rng.random() < 0.35 else -body


def harmless_marks(rng: np.random.Generator, n: int) -> Field:
    """What a good part may carry `(n, n)`: straight tool marks across it, dust, a wipe trace."""
    field = np.zeros((n, n), np.float32)
    for _ in range(rng.binomial(2, 0.35)):
        _, d = _frame(n, tuple(rng.uniform(0.1 * n, 0.9 * n, 2)), rng.normal(0, 0.12))
        field += rng.uniform(-0.5, 0.8) * np.exp(-((d / rng.uniform(0.6, 1.4)) ** 2))
    dust = np.zeros((n, n), np.float32)
    count = rng.poisson(rng.choice((0.5, 3, 9)))
    y, x = rng.integers(0, n, (2, count))
    dust[y, x] = rng.uniform(2, 9, count)
    field += ndimage.gaussian_filter(dust, rng.uniform(0.6, 0.9), truncate=3)
    if rng.random() < 0.25:
        wipe = coloured_noise(rng, n, along=60, across=7, angle=rng.uniform(0, np.pi))
        field += 0.35 * smoothstep(wipe, 0.6, 2.2)
    return field
