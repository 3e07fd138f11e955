"""Do probes help detectors that were trained until they stopped getting better? Three families.

    python -m benchmarks.probe_networks [--epochs 12] [--network NAME] [--data NAME] [--json]

Each network is trained by the project's own `train` on the magnetic tiles and on the generated
surfaces, until a quarter of the epochs in a row is no better on `tune`, then audited at ε = 0.
What is there already (networks and audits, in the workspace) is not made again, so a stopped run
goes on.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch

from benchmarks.multitask import TILES
from benchmarks.probes import Lead, candidates, certify_given_back, lead
from benchmarks.proposals import proposed
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.demo.surfaces import SAMPLES_FILE, generate
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.decision.indicators.probes import fit_probes
from trust_core.decision.json_object import json_object
from trust_core.decision.tradeoff import curve
from trust_core.errors import StoreError
from trust_core.model.open import open_detector
from trust_core.model.training.settings import TrainingSettings
from trust_core.model.training.train import train
from trust_core.storage.audit_files import SAMPLES, Audit, open_audit
from trust_core.storage.workspace import workspace_folder

SIDE, EPOCHS = 64, 12
ENCODERS = {  # with first weights drawn from the seed
    "ResNet-18": "resnet18",
    "EfficientNet-Lite0": "tu-tf_efficientnet_lite0",
    "ConvNeXt-Atto": "tu-convnext_atto",
}
PARTS, FITTED = 1200, 400  # generated surfaces, and how many of them are trained on


@dataclass(frozen=True)
class Trained:
    """One detector on one data set.

    Attributes:
        network: its family.
        data: what it was trained on.
        auroc: of p on all images of `test`: how good the detector is.
        missed: missed defects and passed good parts of `test`.
        proposal: what `tune` proposes.
        leads: of the probe combination, in the program's roles and with `certify` given back.
    """

    network: str
    data: str
    auroc: float
    missed: tuple[int, int]
    proposal: str
    leads: list[Lead]


def tiles() -> Dataset:
    """The magnetic tiles in the program's own roles."""
    if not TILES.is_dir():
        sys.exit(f"The folder {TILES} is needed.")
    return read_dataset(TILES, samples=TILES / "splits.csv", certify="half")


def surfaces() -> Dataset:
    """Generated surfaces, one photograph a part."""
    folder = workspace_folder() / "probe-networks" / "surfaces"
    made = generate(folder, parts=PARTS, photos=1, size=SIDE, train=FITTED)
    return read_dataset(made, samples=made / SAMPLES_FILE)


DATA: dict[str, Callable[[], Dataset]] = {"tiles": tiles, "surfaces": surfaces}


def audited(network: str, data: str, epochs: int) -> Audit:
    """Train and audit, or open what an earlier run left."""
    settings = TrainingSettings(
        objective="label",
        encoder=ENCODERS[network],
        size=(SIDE, SIDE),
        channels="grey",
        epochs=epochs,
        patience=epochs // 4,
    )
    folder = workspace_folder() / "probe-networks" / f"{data}-{network.lower()}-{epochs}"
    model, dataset = folder.with_suffix(".safetensors"), DATA[data]()
    if not model.exists():
        train(dataset, settings, model)
    try:
        return open_audit(folder)
    except StoreError:
        return run_audit(open_detector(model), dataset, AuditSettings(strengths=(0.0,)), folder)


def evaluate(network: str, data: str, audit: Audit) -> Trained:
    """How good the detector is, and what probes add."""
    own = pd.read_parquet(audit.folder / SAMPLES)
    test = own[(own["role"] == "test") & own["p_defect"].notna()]
    p, defective = test["p_defect"].to_numpy(np.float64), (test["label"] == 1).to_numpy()
    found, proposal = [], ""
    for what, samples in (("program's", own), ("certify given back", certify_given_back(own))):
        probes = fit_probes(audit, samples)
        if probes is not None:
            found.append(lead(samples, probes, what))
        if not proposal:
            proposal = proposed(samples, probes, candidates(audit))[0].indicator
    counts = test["outcome"].value_counts()
    missed = int(counts.get("FN", 0)), int(counts.get("TN", 0))
    return Trained(network, data, curve(p, defective).auroc, missed, proposal, found)


def row_of(found: Trained) -> str:
    """One row of Markdown."""
    told = "; ".join(
        f"{each.what}: {each.test:+.3f} [{each.interval[0]:+.3f}, {each.interval[1]:+.3f}] "
        f"{each.colour} ({each.fitted}, {each.groups} groups)"
        for each in found.leads
    )
    counts = f"{found.missed[0]}, {found.missed[1]}"
    return (
        f"| {found.network} | {found.data} | {found.auroc:.3f} | {counts} | {told or '–'} "
        f"| {found.proposal} |"
    )


def main() -> None:
    """Train, audit, print a Markdown table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--network", choices=list(ENCODERS), action="append")
    parser.add_argument("--data", choices=list(DATA), action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # so that the same bytes come out wherever it runs
    found = []
    for data in options.data or DATA:
        for network in options.network or ENCODERS:
            found.append(evaluate(network, data, audited(network, data, options.epochs)))
            print(row_of(found[-1]), file=sys.stderr, flush=True)
    if options.json:
        rows = [asdict(each) for each in found]
        print(json.dumps(json_object({"networks": rows}), allow_nan=False))
    else:
        heads = "| network | data | AUROC, all images | FN, TN | lead | proposed |"
        print("\n".join([heads, "|---|---|---|---|---|---|", *map(row_of, found)]))


if __name__ == "__main__":
    main()
