"""Does the label help the mask, and the mask the label? Three objectives on the magnetic tiles.

    python -m benchmarks.multitask [--epochs 10] [--seeds 3] [--json | --out docs/multitask.md]

One network is trained for each objective and seed, with the same encoder, first weights, images and
number of steps; `train` fits, `tune` picks the epoch, everything reported is on `test`. What is
there already (networks and audits, in the workspace) is not made again, so a stopped run goes on.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.multitask_rows import ALARMS, DECISIONS, MASKS, Row, row_of
from benchmarks.results import paragraphs
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.decision.localization.metrics import SIZES
from trust_core.errors import StoreError
from trust_core.model.open import open_detector
from trust_core.model.training.network import OBJECTIVES
from trust_core.model.training.settings import TrainingSettings
from trust_core.model.training.train import train
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.workspace import workspace_folder

TILES = Path(__file__).resolve().parents[2] / "shared" / "data" / "magnetic_tile"
SETTINGS = TrainingSettings(weights="imagenet", channels="grey", size=(192, 192), batch=16)
EPOCHS, SEEDS = 10, 3


@dataclass(frozen=True)
class Run:
    """One trained network.

    Attributes:
        objective: of `OBJECTIVES`.
        seed: of the training.
        audit: of its answers on `tune` and `test`, without enhancement.
    """

    objective: str
    seed: int
    audit: Audit


def tiles() -> Dataset:
    """The magnetic tiles with the splits that come with them, none of tune set aside."""
    if not TILES.is_dir():
        sys.exit(f"The folder {TILES} is needed.")
    data = read_dataset(TILES, samples=TILES / "splits.csv")
    return replace(data, samples=data.samples.assign(role=data.samples["split"]))


def run(dataset: Dataset, settings: TrainingSettings) -> Run:
    """Train and audit, or open what an earlier run left."""
    name = f"{settings.objective}-{settings.epochs}-{settings.seed}"
    folder = workspace_folder() / "multitask"
    model = folder / f"{name}.safetensors"
    if not model.exists():
        train(dataset, settings, model)
    audit = folder / name
    try:
        return Run(settings.objective, settings.seed, open_audit(audit))
    except StoreError:
        judged = dataset.samples[dataset.samples["role"].isin(["tune", "test"])]
        images = replace(dataset, samples=judged.reset_index(drop=True))
        found = run_audit(open_detector(model), images, AuditSettings(strengths=(0,)), audit)
        return Run(settings.objective, settings.seed, found)


def runs(epochs: int, seeds: int) -> list[Run]:
    """Every objective with every seed, seed by seed."""
    torch.set_num_threads(1)  # so that the same bytes come out wherever it runs
    data = tiles()
    made = []
    for seed in range(seeds):
        for objective in OBJECTIVES:
            settings = replace(SETTINGS, objective=objective, epochs=epochs, seed=seed)
            made.append(run(data, settings))
            print(f"{objective}, seed {seed}: done", file=sys.stderr, flush=True)
    return made


def document(rows: dict[str, list[Row]], epochs: int) -> str:
    """The text of `docs/multitask.md`."""
    seeds = len(rows["joint"])
    sizes = rows["joint"][0].sizes
    heads = [f"{name} (n = {n})" for (name, _), n in zip(SIZES, sizes, strict=True)]
    by_size = {
        objective: {head: [row.by_size[k] for row in made] for k, head in enumerate(heads)}
        for objective, made in rows.items()
    }
    return "\n".join(
        [
            paragraphs(HEAD.format(epochs=epochs, seeds=seeds, tiles=rows["joint"][0].groups)),
            "\n## The decision\n",
            _table(_by_name(rows, DECISIONS)),
            f"Recall at {ALARMS:.0%} false alarms, by the size of the defect:\n",
            _table(by_size),
            "## The masks\n",
            _table(_by_name(rows, MASKS)),
            paragraphs(_of_masks(rows)),
            "\n## The claim\n",
            paragraphs(_claim(rows)) + "\n",
        ]
    )


HEAD = """# One network, two answers: does it help?

Written by `python -m benchmarks.multitask`; every number is measured on `test`.

arXiv 2510.13226 claims that a network which learns the decision of each part beside its mask misses
fewer parts than one that learns pixels only, most of all small and faint defects. Tried here on the
magnetic tiles, split by tile ({tiles} tiles in `test`; `train` fits, `tune` picks the epoch), with
three objectives: `joint` (0.5·L_seg + 0.5·L_cls), `mask` (pixels only; a part is defective
when any pixel of its mask is, so its evidence is the largest of the mask's) and `label` (the
decision only; its mask is the heatmap, cut where `tune` likes it best). Encoder (EfficientNet-Lite0
with ImageNet weights), decoder, first weights, images and steps are the same: {epochs} epochs at
192×192, batch 16, fp32. Each number is the mean over {seeds} seeds, in brackets the lowest and the
highest. These are short runs on a CPU, chosen for equal budgets and not for the best network.
"""


def _by_name(
    rows: dict[str, list[Row]], names: dict[str, str]
) -> dict[str, dict[str, list[float]]]:
    return {
        objective: {text: [row.values[name] for row in made] for name, text in names.items()}
        for objective, made in rows.items()
    }


def _table(found: dict[str, dict[str, list[float]]]) -> str:
    """A row an objective, a column a measure: mean, lowest and highest over the seeds."""
    heads = list(next(iter(found.values())))
    lines = [f"| objective | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for objective, columns in found.items():
        cells = [_spread(values) for values in columns.values()]
        lines.append(f"| `{objective}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    if np.isnan(values).any():
        return "–"
    return f"{np.mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def _of_masks(rows: dict[str, list[Row]]) -> str:
    cuts = ", ".join(f"{row.threshold:.2f}" for row in rows["label"])
    return f"""
Masks of `joint` and `mask` are the mask head at 0.5; the mask of `label` is its **thresholded
heatmap** (`gradcam` for *defective*, at {cuts} of its display scale). Seg_mIoU counts a false alarm
and a miss as 0, so stray pixels on good parts cost it dearly and pooled mIoU hardly; Seg_Recall
does not see them at all and has to be read beside the good images with a mask. *AP of the mask's
alarm* ranks images by the largest probability of their mask.
"""


def _claim(rows: dict[str, list[Row]]) -> str:
    """What the tables say of the claim; every word that depends on a number is chosen by it."""
    small = {o: [_small(row) for row in made] for o, made in rows.items()}
    equal = {o: [row.values["recall_at_alarms"] for row in made] for o, made in rows.items()}
    masks = {
        o: [row.values["mask_average_precision"] for row in rows[o]] for o in ("joint", "mask")
    }
    against = [
        f"against `{other}`, recall at equal false alarms is "
        + _compared(equal["joint"], equal[other])
        + ", and for defects under 1 % of the part it is "
        + _compared(small["joint"], small[other])
        for other in ("mask", "label")
    ]
    wins = all(np.mean(equal["joint"]) > np.mean(equal[other]) for other in ("mask", "label"))
    clear = all(min(equal["joint"]) > max(equal[other]) for other in ("mask", "label"))
    verdict = (
        "**Confirmed here.**"
        if clear
        else "**Not confirmed here: better on average, within the spread of the seeds.**"
        if wins
        else "**Not confirmed here.**"
    )
    alarm = _compared(masks["joint"], masks["mask"])
    seg, marks = (
        [[row.values[name] for row in rows[o]] for o in ("joint", "mask")]
        for name in ("seg_recall", "mask_alarms")
    )
    return f"""{verdict} For `joint` {"; ".join(against)}. The AP of its mask's alarm is {alarm}
beside that of `mask`. Its Seg_Recall, the measure of the work, is {_compared(*seg)}, and the share
of good images that get a mask {_compared(*marks)}: read together, not apart. What a decision at
its own threshold catches says little by itself, because
the objectives raise very different numbers of false alarms; the columns at {ALARMS:.0%} false
alarms and AP compare them fairly. The limits: one data set, one encoder, short training, a decision
branch that averages over the whole picture (the head of segmentation_models_pytorch), and
{rows["joint"][0].groups} tiles in `test`, of which several show the same defect many times."""


def _small(row: Row) -> float:
    """Recall of the two smallest sizes together."""
    return float(np.average(row.by_size[:2], weights=row.sizes[:2]))


def _compared(ours: list[float], theirs: list[float]) -> str:
    word = "higher" if np.mean(ours) > np.mean(theirs) else "lower"
    ahead = sum(a > b for a, b in zip(ours, theirs, strict=True))
    return (
        f"{word} ({np.mean(ours):.2f} and {np.mean(theirs):.2f}; ahead with {ahead} of "
        f"{len(ours)} seeds)"
    )


def main() -> None:
    """Run what is missing, then print or write the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.multitask", description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true")
    shown.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: dict[str, list[Row]] = {objective: [] for objective in OBJECTIVES}
    for made in runs(options.epochs, options.seeds):
        rows[made.objective].append(row_of(made.audit))
    if options.json:
        print(json.dumps({o: [asdict(row) for row in found] for o, found in rows.items()}))
    elif options.out:
        options.out.write_text(document(rows, options.epochs), encoding="utf-8")
    else:
        print(document(rows, options.epochs))


if __name__ == "__main__":
    main()
