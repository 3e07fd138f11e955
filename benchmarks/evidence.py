"""Evidence: how fast each form is, and how well it agrees with prediction difference analysis.

    python -m benchmarks.evidence [--quick] [--images 50] [--cache DIR] [--json]
                                  [--picture docs/evidence.png]

The solar cells of `../shared` with their ResNet-18 at 128 x 128; windows of 10 pixels at stride 8,
10 draws. Every form runs on every image in turn, so that what disturbs one disturbs all; the slow
one runs twice, with two seeds. Each image's answers are kept in the cache: a run that was stopped
goes on. Agreement is Spearman's ρ over the pixels with either slow run, divided by that of the slow
runs with each other.

`plugin_vs_pda`, `first_order_vs_pda`, ...: times faster, in seconds; `..._forwards`: in images put
through the network (a backward is no forward); `plugin_spearman`, ...: agreement. `view`: what the
first-order form costs in units of one forward and backward, and in milliseconds.
"""

import argparse
import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import rankdata

from benchmarks.evidence_cost import views
from benchmarks.machine import machine, versions
from trust_core.explanation.evidence.audit_gaussian import as_pixels, fit_to_files
from trust_core.explanation.evidence.forms import Evidence, evidence
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.storage.workspace import workspace_folder

SHARED = Path(__file__).resolve().parents[2] / "shared"
WINDOW, STRIDE, SAMPLES = 10, 8, 10
SLOW = ("pda", "pda_again")
FORMS = {
    "pda": "prediction-difference",
    "first_order": "first-order",
    "second_order": "second-order",
    "plugin": "plug-in",
    "corrected_plugin": "corrected-plug-in",
    "path": "path",
    "coarse_to_fine": "coarse-to-fine",
    "gradient_x_input": "gradient-x-input",
    "saliency": "saliency",
    "pda_again": "prediction-difference",
}
FAST = [name for name in FORMS if name not in SLOW]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Solar:
    """The detector, its images and what surroundings look like in them."""

    detector: Detector
    conditional: PatchGaussian
    paths: list[Path]


def solar() -> Solar:
    """The solar cells; surroundings are learnt from `train`, evidence is taken of `tune`."""
    package, models = importlib.util.find_spec("elpv_dataset"), SHARED / "models"
    if package is None or package.origin is None or not models.is_dir():
        sys.exit("The folder ../shared and the package elpv-dataset are needed.")
    root = Path(package.origin).parent / "data"
    table = pd.read_csv(models / "elpv_resnet18_splits.csv").sample(frac=1, random_state=0)
    detector = open_detector(
        models / "elpv_resnet18.safetensors",
        ModelOptions(size=(128, 128), mean=(0.5,), std=(0.25,)),
    )
    train, tune = (table.loc[table["split"] == split, "path"] for split in ("train", "tune"))
    conditional = fit_to_files(root, train.tolist(), detector.preprocessing).cut(WINDOW)
    return Solar(detector, conditional, [root / path for path in tune])


def answers(ware: Solar, path: Path, cache: Path) -> dict[str, Any]:
    """What every form says of one image, from the cache when it is there."""
    kept = cache / f"{path.stem}.npz"
    if not kept.exists():
        pixels = as_pixels(ware.detector.preprocessing, path)
        found: dict[str, Any] = {"log_odds": float(ware.detector.log_odds(pixels[None])[0])}
        for name, form in FORMS.items():
            seed = int(name == "pda_again")
            told = ask(ware.detector, pixels, ware.conditional, form, seed)
            found[f"{name}_bits"], found[f"{name}_windows"] = told.bits, told.windows[:, 2]
            found[f"{name}_cost"] = np.array([told.forwards, told.backwards, told.seconds])
        unfinished = cache / f".{path.stem}.npz"
        np.savez(unfinished, **found)
        unfinished.replace(kept)
    with np.load(kept, allow_pickle=False) as arrays:
        return dict(arrays)


def ask(
    detector: Detector, pixels: torch.Tensor, conditional: PatchGaussian, form: str, seed: int = 0
) -> Evidence:
    """One form at the benchmark's windows, without the check."""
    return evidence(
        detector,
        pixels,
        conditional,
        form,
        window=WINDOW,
        stride=STRIDE,
        samples=SAMPLES,
        seed=seed,
        check=False,
    )


def table(found: list[dict[str, Any]]) -> pd.DataFrame:
    """A row an (image, form): seconds and forwards against the slow form, and agreement."""
    rows = []
    for number, image in enumerate(found):
        slow = [_ranks(image[f"{name}_bits"]) for name in SLOW]
        ceiling = _correlation(*slow)
        usual = np.mean([image[f"{name}_windows"] for name in SLOW], axis=0)
        large = np.abs(usual) >= np.quantile(np.abs(usual), 0.9)
        cost = np.mean([image[f"{name}_cost"] for name in SLOW], axis=0)
        for name in FORMS:
            forwards, backwards, seconds = image[f"{name}_cost"]
            mine = _ranks(image[f"{name}_bits"])
            same = np.sign(image[f"{name}_windows"]) == np.sign(usual)
            rows.append(
                {
                    "image": number,
                    "form": name,
                    "seconds": seconds,
                    "forwards": forwards,
                    "backwards": backwards,
                    "faster": cost[2] / seconds,
                    "fewer": cost[0] / forwards,
                    "spearman": np.mean([_correlation(mine, other) for other in slow]),
                    "ceiling": ceiling,
                    "same_sign": same[large].mean(),
                    "log_odds": abs(float(image["log_odds"])),
                    "strongest": np.abs(usual).max(),
                }
            )
    rows_table = pd.DataFrame(rows)
    return rows_table.assign(agreement=rows_table["spearman"] / rows_table["ceiling"])


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """The figures by form, under the names other programs rely on."""
    told: dict[str, Any] = {
        "images": int(rows["image"].nunique()),
        "pda_spearman_with_itself": _spread(rows.loc[rows["form"] == "pda", "ceiling"]),
    }
    for name in FAST:
        mine = rows[rows["form"] == name]
        told |= {
            f"{name}_vs_pda": _extent(mine["faster"]),
            f"{name}_vs_pda_forwards": float(mine["fewer"].median()),
            f"{name}_backwards": float(mine["backwards"].median()),
            f"{name}_spearman": _spread(mine["agreement"]),
            f"{name}_same_sign_of_the_strongest_tenth": _spread(mine["same_sign"]),
        }
    told["when"] = {name: when(rows[rows["form"] == name]) for name in ("first_order", "plugin")}
    return told


def when(mine: pd.DataFrame) -> dict[str, list[float]]:
    """Median agreement in the lower, middle and upper third of what may explain it."""
    thirds: dict[str, list[float]] = {}
    for reason in ("log_odds", "strongest", "ceiling"):
        order = np.argsort(mine[reason].to_numpy(), kind="stable")
        parts = np.array_split(mine["agreement"].to_numpy()[order], 3)
        thirds[reason] = [round(float(np.median(part)), 3) for part in parts if len(part)]
    return thirds


def markdown(rows: pd.DataFrame, result: dict[str, Any]) -> str:
    """The figures as tables."""
    lines = [
        f"| {result['images']} images | forwards + backwards | times faster "
        "| agreement: median, 10th percentile | same sign in the strongest tenth |",
        "|---|---|---|---|---|",
    ]
    for name in FAST:
        mine = rows[rows["form"] == name]
        spread, told = result[f"{name}_spearman"], result[f"{name}_vs_pda"]
        same = result[f"{name}_same_sign_of_the_strongest_tenth"]["median"]
        lines.append(
            f"| `{FORMS[name]}` | {mine['forwards'].median():.0f} "
            f"+ {mine['backwards'].median():.0f} "
            f"| {told['median']:.3g} ({told['min']:.3g} to {told['max']:.3g}) "
            f"| {spread['median']:.2f}, {spread['p10']:.2f} | {same:.0%} |"
        )
    lines += [f"\nSlow runs with each other: {result['pda_spearman_with_itself']}", ""]
    lines += [f"{name}: {thirds}" for name, thirds in result["when"].items()]
    lines += [f"{size}: {view}" for size, view in result["view"].items()]
    return "\n".join(lines)


def _ranks(values: npt.NDArray[np.float32]) -> Floats:
    ranks: Floats = rankdata(values.ravel())
    return ranks - ranks.mean()


def _correlation(one: Floats, other: Floats) -> float:
    scale = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / scale) if scale else 0.0


def _spread(values: pd.Series) -> dict[str, float]:
    return {
        "median": round(float(values.median()), 3),
        "p10": round(float(values.quantile(0.1)), 3),
    }


def _extent(values: pd.Series) -> dict[str, float]:
    kinds = {"median": values.median(), "min": values.min(), "max": values.max()}
    return {name: round(float(value), 1) for name, value in kinds.items()}


def draw_picture(rows: pd.DataFrame, path: Path) -> None:
    """Speed against agreement, one mark a form."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name in FAST:
        mine = rows[rows["form"] == name]
        middle, low, high = (mine["agreement"].quantile(q) for q in (0.5, 0.1, 0.9))
        x = mine["faster"].median()
        colour = "#D55E00" if "plugin" in name or name == "coarse_to_fine" else "#0072B2"
        axes.errorbar(x, middle, [[middle - low], [high - middle]], fmt="o", color=colour)
        below = name in ("corrected_plugin", "second_order", "saliency")
        offset = (7, -14 if below else 6)
        axes.annotate(FORMS[name], (x, middle), offset, textcoords="offset points", fontsize=8)
    axes.axhline(1, color="#868C94", linestyle="--")
    place = {"xycoords": ("axes fraction", "data"), "fontsize": 8, "ha": "right"}
    axes.annotate("two slow runs with each other", (0.99, 1.02), **place)
    axes.axhline(0.95, color="#868C94", linestyle=":")
    axes.set(
        xscale="log",
        xlabel="times faster than prediction difference analysis",
        ylabel="agreement: Spearman's ρ / that of two slow runs",
        title=f"{rows['image'].nunique()} solar cells; median, 10th to 90th percentile",
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Ask, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 images")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="FILE")
    options = parser.parse_args()
    count = 2 if options.quick else options.images
    cache = options.cache or workspace_folder() / "benchmark-evidence"
    cache.mkdir(parents=True, exist_ok=True)
    ware = solar()
    found = []
    for number, path in enumerate(ware.paths[:count]):
        found.append(answers(ware, path, cache))
        print(f"{number + 1} of {count} images", file=sys.stderr, flush=True)
    rows = table(found)
    if options.picture:
        draw_picture(rows, options.picture)
    result = summary(rows) | {
        "setting": {"window": WINDOW, "stride": STRIDE, "samples": SAMPLES, "input": "128x128"},
        "view": views(3 if options.quick else 15),
        "machine": machine(),
        "versions": versions("torch", "torchvision"),
    }
    print(json.dumps(result, allow_nan=False) if options.json else markdown(rows, result))


if __name__ == "__main__":
    main()
