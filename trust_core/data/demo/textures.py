"""Procedural industrial surfaces without defects: one function a material.

Every function returns the reflectance of a square canvas as float32 `(n, n)`, mostly between 0.2
and 0.8, and takes all that varies from part to part (grain, direction, pitch, tone) from `rng`.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from trust_core.registry import Registry

Field = npt.NDArray[np.float32]
Texture = Callable[[np.random.Generator, int], Field]

TEXTURES: Registry[Texture] = Registry("material")


def grid(n: int) -> tuple[Field, Field]:
    """Pixel coordinates `(y, x)` as broadcastable float32 columns `(n, 1)` and rows `(1, n)`."""
    axis = np.arange(n, dtype=np.float32)
    return axis[:, None], axis[None, :]


def coloured_noise(
    rng: np.random.Generator, n: int, *, along: float, across: float, angle: float = 0.0
) -> Field:
    """Gaussian noise `(n, n)` of unit variance, smooth over `along` and `across` pixels.

    The direction `along` is turned by `angle` radians from the horizontal; equal lengths make
    isotropic grain, unequal ones make brush lines.
    """
    u, v = _frequencies(n, angle)
    spectrum = np.exp(-19.7 * ((along * u) ** 2 + (across * v) ** 2))
    return _filtered(rng, n, spectrum)


def fractal_noise(rng: np.random.Generator, n: int, *, slope: float, coarsest: float) -> Field:
    """Noise `(n, n)` of unit variance; amplitude falls as frequency^-slope below `coarsest` px."""
    u, v = _frequencies(n, 0.0)
    return _filtered(rng, n, (u**2 + v**2 + coarsest**-2) ** (-0.5 * slope))


def smoothstep(x: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth cubic between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _frequencies(n: int, angle: float) -> tuple[Field, Field]:
    fy = fft.fftfreq(n).astype(np.float32)[:, None]
    fx = fft.rfftfreq(n).astype(np.float32)[None, :]
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * fx + s * fy, c * fy - s * fx


def _filtered(rng: np.random.Generator, n: int, spectrum: Field) -> Field:
    white = fft.rfft2(rng.standard_normal((n, n), dtype=np.float32))
    spectrum = spectrum.copy()
    spectrum[0, 0] = 0
    field: Field = fft.irfft2(white * spectrum, s=(n, n))
    return field / field.std()


def _relief(height: Field, light: float) -> Field:
    """Shading of a height field lit at a grazing angle from direction `light`, unit variance."""
    shade: Field = np.cos(light) * np.gradient(height, axis=1)
    shade += np.sin(light) * np.gradient(height, axis=0)
    return shade / shade.std()


@TEXTURES.register("brushed")
def brushed(rng: np.random.Generator, n: int) -> Field:
    """Brushed metal: long parallel lines of several depths and the band of light they reflect."""
    angle = rng.normal(0, 0.05)
    fine = coloured_noise(rng, n, along=rng.uniform(25, 60), across=0.5, angle=angle)
    coarse = coloured_noise(
        rng, n, along=rng.uniform(70, 140), across=rng.uniform(1.5, 3), angle=angle
    )
    band = coloured_noise(rng, n, along=90, across=60, angle=angle + np.pi / 2)
    grain = rng.uniform(0.022, 0.038)
    return rng.uniform(0.48, 0.62) + grain * fine + 0.7 * grain * coarse + 0.03 * band


@TEXTURES.register("cast")
def cast(rng: np.random.Generator, n: int) -> Field:
    """Sand-cast metal: the relief of rough, lumpy skin under grazing light."""
    height = fractal_noise(rng, n, slope=rng.uniform(1.7, 2.1), coarsest=rng.uniform(10, 22))
    shade = _relief(height, rng.uniform(0, 2 * np.pi))
    cloud = coloured_noise(rng, n, along=30, across=30)
    return (
        rng.uniform(0.38, 0.56)
        + rng.uniform(0.032, 0.05) * np.tanh(0.6 * shade) / 0.5
        + 0.018 * cloud
    )


@TEXTURES.register("woven")
def woven(rng: np.random.Generator, n: int) -> Field:
    """Woven fabric: warp over weft, each thread a shaded cylinder with fibres of its own."""
    y, x = grid(n)
    pitch = rng.uniform(6.5, 9)
    twill = bool(rng.random() < 0.5)
    turn = rng.normal(0, 0.04)
    sway = coloured_noise(rng, n, along=50, across=50)
    across = (x + turn * y + 0.9 * sway) / pitch
    down = (y - turn * x + 0.9 * coloured_noise(rng, n, along=50, across=50)) / pitch
    i, j = np.floor(across).astype(int), np.floor(down).astype(int)
    on_top = ((i + j) % 4 < 2) if twill else ((i + j) % 2 == 0)
    tone = rng.normal(0, 0.018, (2, int(n / pitch) + 8)).astype(np.float32)
    fibres = coloured_noise(rng, n, along=4, across=0.6)
    warp = _thread(across - i, down - j) + tone[0][i + 3] + 0.02 * fibres.T
    weft = _thread(down - j, across - i) * 0.9 + tone[1][j + 3] + 0.02 * fibres
    return rng.uniform(0.32, 0.48) + np.where(on_top, warp, weft).astype(np.float32)


def _thread(across: Field, along: Field) -> Field:
    """Brightness of one thread: a cylinder across, dipping under its neighbour at both ends."""
    cylinder = np.sqrt(np.maximum(1 - (2 * across - 1) ** 2, 0))
    return (0.26 * cylinder * (0.55 + 0.45 * np.sin(np.pi * along)) - 0.06).astype(np.float32)


@TEXTURES.register("ceramic")
def ceramic(rng: np.random.Generator, n: int) -> Field:
    """Glazed ceramic: smooth, with orange peel, faint clouds and a few dark specks in the glaze."""
    peel = coloured_noise(rng, n, along=rng.uniform(3, 5), across=rng.uniform(3, 5))
    cloud = coloured_noise(rng, n, along=35, across=35)
    speck = coloured_noise(rng, n, along=1.2, across=1.2)
    specks = smoothstep(speck, 2.6, 4.2)
    return rng.uniform(0.6, 0.72) + 0.007 * peel + 0.014 * cloud - rng.uniform(0.1, 0.35) * specks


@TEXTURES.register("ground")
def ground(rng: np.random.Generator, n: int) -> Field:
    """Ground steel: concentric arcs left by the wheel, crossed by a second, fainter pass."""
    y, x = grid(n)
    field = np.full((n, n), rng.uniform(0.44, 0.56), np.float32)
    for strength in (rng.uniform(0.03, 0.045), rng.uniform(0.008, 0.02)):
        radius, towards = rng.uniform(1.2, 4) * n, rng.uniform(0, 2 * np.pi)
        r = np.hypot(
            x - n / 2 - radius * np.cos(towards), y - n / 2 - radius * np.sin(towards)
        ).astype(np.float32)
        lines = ndimage.gaussian_filter1d(rng.standard_normal(4 * n).astype(np.float32), 0.9)
        lines /= lines.std()
        offset = (r - r.min()) * 1.4
        k = offset.astype(int)
        mix = offset - k
        worn = 0.75 + 0.25 * coloured_noise(rng, n, along=18, across=18)
        field += strength * worn * ((1 - mix) * lines[k] + mix * lines[k + 1])
    return field + 0.012 * coloured_noise(rng, n, along=1, across=1)


@TEXTURES.register("leather")
def leather(rng: np.random.Generator, n: int) -> Field:
    """Embossed leather: rounded cells of a jittered Voronoi grain between dark creases."""
    pitch = rng.uniform(8, 12)
    cells = int(n / pitch) + 5
    points = rng.uniform(0.1, 0.9, (2, cells, cells)).astype(np.float32)
    y, x = grid(n)
    bend = 0.12 * coloured_noise(rng, n, along=6, across=6)
    gx, gy = x / pitch + 2 + bend, y / pitch * rng.uniform(0.8, 1) + 2 + bend
    i, j = gx.astype(int), gy.astype(int)
    first = np.full((n, n), np.inf, np.float32)
    second = first.copy()
    for dj in (-1, 0, 1):
        for di in (-1, 0, 1):
            a, b = i + di, j + dj
            d = np.hypot(gx - a - points[0, b, a], gy - b - points[1, b, a]).astype(np.float32)
            second = np.minimum(second, np.maximum(first, d))
            first = np.minimum(first, d)
    height = np.minimum(second - first, 0.5)
    crease = np.exp(-height / 0.12)
    shade = _relief(ndimage.gaussian_filter(height, 1), rng.uniform(0, 2 * np.pi))
    pores = coloured_noise(rng, n, along=1.5, across=1.5)
    return rng.uniform(0.4, 0.58) - 0.12 * crease + 0.03 * shade + 0.014 * pores
