"""Faithfulness: does evidence lie where the defect is, and does the answer hang on it?

    python -m benchmarks.faithfulness [--quick] [--images 40] [--methods NAME,..] [--unseen]
                                      [--cache DIR] [--json]

Defective magnetic tiles of tune and test with a mask, one of each tile, their EfficientNet-Lite0 at
192 x 192; windows of 16 pixels, 10 draws. Beside the forms of evidence:
Grad-CAM of the program, integrated gradients of Captum (32 steps from black), a random map, and the
map of the probe at the depth that speaks loudest; probes come from an audit of the same tiles at
ε = 0, which is made in the cache, and are fitted to its `tune`. `--unseen` keeps to the tiles that
they were not fitted to.

`pointing`: share of images whose largest value lies within half a window of the mask; `mass`: share
of the positive evidence that lies inside it; `iou`: overlap of the mask with what lies above 0 and
above half of the map's range, as the program's mask `half`; `deletion`, `insertion`: mean
p(defective) while the pixels go to, or come from, a blurred image, largest values first (lower and
higher are better; Petsiuk et al., BMVC 2018). Intervals: 95 %, bootstrap over tiles.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from captum.attr import IntegratedGradients
from scipy.ndimage import binary_dilation
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from benchmarks.evidence import SHARED
from benchmarks.machine import machine, versions
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.layouts import read_dataset
from trust_core.data.mask_decoding import read_mask
from trust_core.decision.indicators.probe_reading import loudest_depth
from trust_core.explanation.cams import gradcam
from trust_core.explanation.evidence.audit_gaussian import as_pixels, fit_to_files
from trust_core.explanation.evidence.forms import FINE, FORMS, evidence
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.explanation.probe_map import probe_map
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.storage.audit_files import Audit
from trust_core.storage.workspace import workspace_folder

WINDOW, SAMPLES, STEPS, BLUR = 16, 10, 24, 20.0
STRIDE, FINE_STRIDE = 12, 3  # where a window costs a forward, and where it does not
MEASURES = ("pointing", "mass", "iou", "deletion", "insertion")
RESAMPLES = 2000

Floats = npt.NDArray[np.float64]
Method = Callable[["Tiles", Tensor, str], Floats]


@dataclass(frozen=True)
class Tiles:
    """The detector, what surroundings look like, the images to ask about, and their audit."""

    detector: Detector
    conditional: PatchGaussian
    root: Path
    images: pd.DataFrame
    audit: Audit


def tiles(cache: Path) -> Tiles:
    """The tiles; surroundings are learnt from `train`, probes from `tune` of an audit."""
    root = SHARED / "data" / "magnetic_tile"
    if not root.is_dir():
        sys.exit("The folder ../shared is needed.")
    table = pd.read_csv(root / "splits.csv").sample(frac=1, random_state=0)
    detector = open_detector(
        SHARED / "models" / "magnetic_tile_lite0.pth",
        ModelOptions(size=(192, 192), mean=(0.5,), std=(0.5,)),
    )
    train = table.loc[table["split"] == "train", "path"].tolist()
    chosen = table[(table["split"] != "train") & (table["label"] == 1)]
    shown = [read_mask(root / mask).any() for mask in chosen["mask"]]  # four masks are empty
    one_each = chosen[shown].drop_duplicates("group").reset_index(drop=True)
    conditional = fit_to_files(root, train, detector.preprocessing).cut(WINDOW)
    dataset = read_dataset(root, samples=root / "splits.csv", certify="half")
    audit = run_audit(detector, dataset, AuditSettings(strengths=(0.0,)), cache / "audit")
    kept = audit.query("SELECT path, sample_id, role FROM samples")
    return Tiles(detector, conditional, root, one_each.merge(kept, on="path"), audit)


def asked(form: str) -> Method:
    """A form of evidence as a method."""
    return lambda ware, pixels, _: evidence(
        ware.detector,
        pixels,
        ware.conditional,
        form,
        window=WINDOW,
        stride=FINE_STRIDE if form in FINE else STRIDE,
        samples=SAMPLES,
        check=False,
    ).bits.astype(np.float64)


def grad_cam(ware: Tiles, pixels: Tensor, _: str) -> Floats:
    """The program's Grad-CAM of *defective* at the last layer, at the input's size."""
    response = ware.detector.forward_with_gradients(pixels[None])
    layer = ware.detector.layers[0]
    made = gradcam(response.activations[layer], response.gradients[layer])
    return enlarged(made[0], pixels)


def probe(ware: Tiles, pixels: Tensor, sample_id: str) -> Floats:
    """The map of the probe at the loudest depth, at the input's size."""
    reading = loudest_depth(ware.audit, sample_id)
    assert reading is not None  # `tune` of the tiles carries probes
    maps = ware.detector.depth_maps(pixels[None])[reading.layer][0]
    weights = torch.from_numpy(reading.weights)
    found = probe_map(maps, weights, reading.offset, reading.probe_score)
    return enlarged(torch.from_numpy(found.values), pixels)


def enlarged(cells: Tensor, pixels: Tensor) -> Floats:
    """Cells (h, w) at the size of the input, bilinear."""
    large = torch.nn.functional.interpolate(cells[None, None], pixels.shape[1:], mode="bilinear")
    return large[0, 0].double().numpy()


def integrated_gradients(ware: Tiles, pixels: Tensor, _: str) -> Floats:
    """Captum's, of the log-odds."""
    detector, layer = ware.detector, ware.detector.layers[0]
    with detector.tapped(layer, lambda activations: activations) as log_odds:
        found = IntegratedGradients(log_odds).attribute(
            pixels[None], n_steps=32, internal_batch_size=8
        )
    return found[0].sum(0).double().detach().numpy()


def random_map(ware: Tiles, pixels: Tensor, _: str) -> Floats:
    """No explanation: what every method has to beat."""
    return np.random.default_rng(int(1e6 * float(pixels.mean()))).random(tuple(pixels.shape[1:]))


METHODS: dict[str, Method] = {
    **{form: asked(form) for form in FORMS},
    "integrated gradients": integrated_gradients,
    "Grad-CAM": grad_cam,
    "probe": probe,
    "random": random_map,
}


def judge(ware: Tiles, values: Floats, pixels: Tensor, mask: npt.NDArray[np.bool_]) -> Floats:
    """One map by `MEASURES`, (5,)."""
    near = binary_dilation(mask, iterations=WINDOW // 2)
    positive = np.maximum(values, 0)
    blurred = gaussian_blur(pixels, [2 * int(2 * BLUR) + 1] * 2, [BLUR] * 2)
    ranks = np.empty(values.size, dtype=np.int64)
    ranks[np.argsort(-values.ravel(), kind="stable")] = np.arange(values.size)
    shares = np.linspace(0, 1, STEPS + 1)
    gone = torch.from_numpy(ranks.reshape(values.shape) < shares[:, None, None] * values.size)
    images = torch.cat(
        [torch.where(gone[:, None], *pair) for pair in ((blurred, pixels), (pixels, blurred))]
    )
    answers = torch.cat([ware.detector.log_odds(part) for part in images.split(25)]).sigmoid()
    areas = answers.view(2, -1).double().numpy()
    trapezes = ((areas[:, 1:] + areas[:, :-1]) / 2).mean(1)
    hit = near.flat[int(values.argmax())]
    mass = positive[mask].sum() / max(positive.sum(), 1e-12)
    strongest = (values > 0) & (values >= (values.min() + values.max()) / 2)
    iou = (strongest & mask).sum() / (strongest | mask).sum()
    return np.array([hit, mass, iou, *trapezes])


def judged(ware: Tiles, row: pd.Series, cache: Path, methods: list[str]) -> dict[str, Any]:
    """These methods on one image, from the cache where they are there."""
    kept = cache / f"{Path(row['path']).stem}.npz"
    known: dict[str, Any] = {}
    if kept.exists():
        with np.load(kept, allow_pickle=False) as arrays:
            known = dict(arrays)
    if missing := [name for name in methods if name not in known]:
        pixels = as_pixels(ware.detector.preprocessing, ware.root / row["path"])
        mask = read_mask(ware.root / row["mask"])
        size = ware.detector.preprocessing.size
        resized = torch.nn.functional.adaptive_max_pool2d(
            torch.from_numpy(mask).float()[None, None], size
        )[0, 0].numpy()
        for name in missing:
            values = METHODS[name](ware, pixels, row["sample_id"])
            known[name] = judge(ware, values, pixels, resized > 0)
        known["log_odds"] = float(ware.detector.log_odds(pixels[None])[0])
        unfinished = cache / f".{kept.name}"
        np.savez(unfinished, **known)
        unfinished.replace(kept)
    return known


def intervals(values: Floats) -> list[list[float]]:
    """Mean and 95 % interval of each measure over images, one of each tile; (n, 5) to 5 × 3."""
    draw = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    means = values[draw].mean(1)
    rows = [values.mean(0), *np.quantile(means, (0.025, 0.975), axis=0)]
    return [[round(float(v), 3) for v in column] for column in zip(*rows, strict=True)]


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 images")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--methods", default=",".join(METHODS), help="some of them")
    parser.add_argument("--unseen", action="store_true", help="no tile that a probe was fitted to")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cache = options.cache or workspace_folder() / "benchmark-faithfulness"
    cache.mkdir(parents=True, exist_ok=True)
    methods = options.methods.split(",")
    ware = tiles(cache)
    images = ware.images[ware.images["role"] != "tune"] if options.unseen else ware.images
    chosen = images.head(2 if options.quick else options.images)
    found = []
    for number, (_, row) in enumerate(chosen.iterrows()):
        found.append(judged(ware, row, cache, methods))
        print(f"{number + 1} of {len(chosen)} images", file=sys.stderr, flush=True)
    result: dict[str, Any] = {
        "images": len(found),
        "called_defective": sum(bool(image["log_odds"] >= 0) for image in found),
        "methods": {
            name: dict(
                zip(MEASURES, intervals(np.array([image[name] for image in found])), strict=True)
            )
            for name in methods
        },
        "machine": machine(),
        "versions": versions("torch", "captum"),
    }
    if options.json:
        print(json.dumps(result, allow_nan=False))
        return
    print(
        f"| {result['images']} tiles | "
        + " | ".join(MEASURES)
        + " |\n"
        + "|---" * (1 + len(MEASURES))
        + "|"
    )
    for name, measures in result["methods"].items():
        cells = (f"{mean:.3f} [{low:.2f}, {high:.2f}]" for mean, low, high in measures.values())
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
