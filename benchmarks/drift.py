"""The drift check: alarms on lines without drift, and how soon a real one is called.

    python -m benchmarks.drift AUDIT [--indicator NAME] [--strength E] [--runs 200] [--images 500]
                               [--json]

Without drift: the groups of all images are dealt anew into audit and line, `--runs` times; the
stored scores serve, no model runs. With drift: a guard is exported, and images of the sealed roles
go through it blurred, under- and overexposed, noisy, or with a texture laid over them.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageFilter

from benchmarks.machine import machine, versions
from trust_core.decision.certify import indicator_to_certify
from trust_core.decision.curves import scored
from trust_core.deploy.drift import Drift, drift
from trust_core.deploy.export import export_guard
from trust_core.deploy.guard import Guard
from trust_core.deploy.operating_point import DeployedPoint
from trust_core.deploy.photometry import photometry
from trust_core.deploy.reference import Reference, load_reference
from trust_core.model.preprocessing import noted_preprocessing
from trust_core.storage.audit_files import Audit, open_audit

AUDITED, LINE = 0.4, 1000  # share of the groups that is the audit; images of a line without drift
DEFECT_RATE = 0.01  # of a line that is not mixed as the data set is
CLEAN = 200  # images before a drift that comes late

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def _exposed(factor: float) -> Change:
    return lambda image, _: image.point(lambda value: min(255, round(factor * value)))


def _blurred(radius: float) -> Change:
    return lambda image, _: image.filter(ImageFilter.GaussianBlur(radius * max(image.size) / 224))


def _noisy(deviation: float) -> Change:
    def change(image: Image.Image, draw: np.random.Generator) -> Image.Image:
        values = np.asarray(image, dtype=np.float32)
        return _picture(values + draw.normal(0, deviation, values.shape))

    return change


def _textured(depth: float) -> Change:
    """A weave over the part, 27 threads along each side: another supplier's surface."""

    def change(image: Image.Image, draw: np.random.Generator) -> Image.Image:
        values = np.asarray(image, dtype=np.float32)
        waves = [
            np.sin(2 * np.pi * (27 * np.arange(side) / side + draw.random()))
            for side in values.shape[:2]
        ]
        weave = depth * (waves[0][:, None] + waves[1][None, :]) / 2
        return _picture(values + weave.reshape(*weave.shape, *[1] * (values.ndim - 2)))

    return change


def _picture(values: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


CHANGES: dict[str, Change] = {
    "nothing": lambda image, _: image,
    "blur, 1 pixel of 224": _blurred(1),
    "blur, 2 pixels of 224": _blurred(2),
    "exposure × 0.8": _exposed(0.8),
    "exposure × 1.25": _exposed(1.25),
    "noise, σ = 10 of 255": _noisy(10),
    "texture, a weave of ± 12 of 255": _textured(12),
}


@dataclass(frozen=True)
class Quiet:
    """Alarms on lines without drift.

    Attributes:
        runs: lines.
        alarms: of them, with an alarm at any time.
        largest: 95 % of the lines never held more evidence than that.
    """

    runs: int
    alarms: int
    largest: float


def quiet_lines(table: pd.DataFrame, runs: int, defect_rate: float | None) -> Quiet:
    """Deal audit and line anew, and count the alarms.

    Args:
        table: of `stored_line`.
        runs: how often.
        defect_rate: of the line; as the data set's when None.
    """
    size = len(table) / table["group"].nunique()
    found = [
        drift(*dealt(table, np.random.default_rng(run), size, defect_rate), threshold=0.0, seed=run)
        for run in range(runs)
    ]
    evidence = [one.evidence for one in found]
    return Quiet(runs, sum(one.alarm for one in found), float(np.quantile(evidence, 0.95)))


def stored_line(audit: Audit, indicator: str, strength: float) -> pd.DataFrame:
    """All readable images of an audit but those of `train`, as a guard would have logged them."""
    table = audit.query(
        """SELECT path, "group", label, outcome, p_defect FROM samples
           WHERE outcome <> '' AND role <> 'train' ORDER BY sample_id"""
    )
    roles = ["tune", "certify", "test"]
    passed = scored(audit, roles, indicator, strength)
    table["indicator"] = np.nan
    seen = noted_preprocessing(audit.manifest.model.preprocessing)
    pixels = (seen.pixels(seen.read(audit.data_file(path))) for path in table["path"])
    measured = np.array([np.concatenate(photometry(one[None])) for one in pixels])
    table["brightness"], table["sharpness"] = measured.T
    went = table["outcome"].isin(["FN", "TN"])
    table.loc[went, "indicator"] = passed["indicator"].to_numpy()
    return table.assign(decision=np.where(went, "good", "defective"), audit_sample=False)


def dealt(
    table: pd.DataFrame, draw: np.random.Generator, size: float, defect_rate: float | None
) -> tuple[Reference, pd.DataFrame]:
    """The groups dealt into an audit and a line, whose photographs of a part follow each other."""
    groups = draw.permutation(table["group"].unique())
    mine = set(groups[: round(AUDITED * len(groups))])
    audited = table[table["group"].isin(mine)].drop_duplicates("group")
    indicator = audited["indicator"].fillna(np.inf).to_numpy()
    called = (audited["decision"] == "defective").to_numpy()
    reference = Reference(
        audited["p_defect"].to_numpy(),
        np.where(called, np.nan, indicator),
        *(audited[name].to_numpy() for name in ("brightness", "sharpness")),
        (audited["label"] == 1).to_numpy(),
        size,
    )
    rest = table[~table["group"].isin(mine)]
    if defect_rate is not None:
        bad = rest.loc[rest["label"] == 1, "group"].unique()
        good = rest["group"].nunique() - len(bad)
        kept = draw.permutation(bad)[round(good * defect_rate / (1 - defect_rate)) :]
        rest = rest[~rest["group"].isin(kept)]
    place = {group: number for number, group in enumerate(groups)}
    order = np.argsort(rest["group"].map(place).to_numpy(), kind="stable")
    return reference, rest.iloc[order].head(LINE).reset_index(drop=True)


def drifting_lines(
    audit: Audit, indicator: str, strength: float, images: int
) -> Iterator[tuple[str, Drift, Drift]]:
    """Each change with what is found when it is there from the start, and after `CLEAN` images."""
    values = scored(audit, ["tune"], indicator, strength)["indicator"]
    point = DeployedPoint(indicator, strength, float(values.quantile(0.8)), "benchmark")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "guard"
        export_guard(audit, folder, point)
        guard, reference = Guard.load(folder), load_reference(folder)
    rows = audit.query(
        """SELECT path, "group" FROM samples WHERE role IN ('certify', 'test') AND outcome <> ''"""
    )
    draw = np.random.default_rng(0)
    place_of = {group: draw.random() for group in rows["group"].unique()}
    rows = rows.iloc[np.argsort(rows["group"].map(place_of).to_numpy(), kind="stable")]
    paths = rows["path"].head(images + CLEAN).tolist()
    clean = decided(guard, audit, paths[:CLEAN], CHANGES["nothing"])
    for name, change in CHANGES.items():
        line = decided(guard, audit, paths[CLEAN:], change)
        both = (line, pd.concat([clean, line], ignore_index=True))
        first, late = (drift(reference, log, threshold=point.threshold) for log in both)
        yield name, first, late


def decided(guard: Guard, audit: Audit, paths: list[str], change: Change) -> pd.DataFrame:
    """What the guard logs of changed images."""
    draw, read = np.random.default_rng(0), guard.detector.preprocessing.read
    pictures = [change(read(audit.data_file(path)), draw) for path in paths]
    return pd.DataFrame([part.as_json() for part in guard.inspect(pictures, paths)])


def main() -> None:
    """Print both tables, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audit", type=Path)
    parser.add_argument("--indicator")
    parser.add_argument("--strength", type=float)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    audit = open_audit(options.audit)
    chosen = indicator_to_certify(audit, options.indicator, options.strength)
    point = chosen.indicator, chosen.strength
    stored = stored_line(audit, *point)
    quiet = {
        "mixed as the data set": quiet_lines(stored, options.runs, None),
        f"{DEFECT_RATE:.0%} defective": quiet_lines(stored, options.runs, DEFECT_RATE),
    }
    called = {
        name: (first.called_at, late.called_at and late.called_at - CLEAN, first.evidence)
        for name, first, late in drifting_lines(audit, *point, options.images)
    }
    if options.json:
        print(json.dumps({
            "audit": audit.folder.name, "indicator": point[0], "strength": point[1],
            "quiet": {name: vars(one) for name, one in quiet.items()},
            "called_at": {n: {"from_start": a, "late": b} for n, (a, b, _) in called.items()},
            "machine": machine(), "versions": versions("numpy", "torch"),
        }))  # fmt: skip
        return
    print(f"{point[0]} at strength {point[1]:g}")
    for name, one in quiet.items():
        print(f"{one.alarms:4} of {one.runs} lines without drift raise an alarm ({name}); "
              f"95 % of them never hold more than {one.largest:.3g}")  # fmt: skip
    for name, (first, late, evidence) in called.items():
        print(f"  {name:<32} called after {first or '–':>4} images, {late or '–':>4} after "
              f"{CLEAN} good ones (largest evidence {evidence:.3g})")  # fmt: skip


if __name__ == "__main__":
    main()
