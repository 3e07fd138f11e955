"""The job `train` of the command line: its options, what it does, and what it prints."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.audit.options import values_of
from trust_core.cli.options import add_options, dataset
from trust_core.cli.printing import print_notes
from trust_core.errors import SettingsError
from trust_core.messages import time_left

if TYPE_CHECKING:
    from trust_core.model.training.checkpoint import Epoch
    from trust_core.model.training.loop import TrainingProgress


def add_surfaces(part: argparse.ArgumentParser) -> None:
    """Options of the job that makes something to train on."""
    part.add_argument("out", type=Path, metavar="DIR", help="a new folder")
    part.add_argument("--parts", type=int, default=1000)
    part.add_argument("--photos", type=int, default=1, help="photographs of each part")
    part.add_argument("--train", type=int, default=700, help="parts to train on")
    part.add_argument("--seed", type=int, default=1)


def run_surfaces(options: argparse.Namespace) -> dict[str, Any]:
    """Write demo surfaces with masks; the demo audits others, of a seed of its own."""
    from trust_core.data.demo.surfaces import SAMPLES_FILE, generate

    for name, least in (("parts", 1), ("photos", 1), ("train", 0), ("seed", 0)):
        if (number := getattr(options, name)) < least:
            raise SettingsError(f"--{name} is at least {least}, not {number}.")
    folder = generate(
        options.out,
        seed=options.seed,
        parts=options.parts,
        photos=options.photos,
        train=options.train,
    )
    return {"data": str(folder), "samples": str(folder / SAMPLES_FILE), "parts": options.parts}


def show_surfaces(result: dict[str, Any]) -> None:
    """Where the surfaces are, and the command that trains on them."""
    print(f"{result['parts']:,} parts: {result['data']}")
    print(
        f"  python -m trust_core train {result['data']} --samples {result['samples']} "
        "--objective joint --out network.safetensors"
    )


def add_train(part: argparse.ArgumentParser) -> None:
    """Options of the job; what is left out is as in `TrainingSettings`."""
    part.add_argument("data", metavar="DATA", help="folder or zip of labelled images with masks")
    part.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .safetensors file")
    part.add_argument("--onnx", type=Path, metavar="FILE", help="also write it as ONNX")
    add_options(part, "data", "network", "training")


def run_train(options: argparse.Namespace) -> dict[str, Any]:
    """Train, and tell what came out."""
    from trust_core.model.training.settings import TrainingSettings
    from trust_core.model.training.train import train

    settings = TrainingSettings(**values_of(vars(options), "network", "training"))
    trained = train(dataset(options), settings, options.out, progress=training_progress())
    print_notes(trained.notes)
    exported = {}
    if options.onnx:
        from trust_core.model.onnx_export import export_onnx
        from trust_core.model.open import open_detector

        exported = {"onnx": str(export_onnx(open_detector(trained.model), options.onnx))}
    return exported | {
        "model": str(trained.model),
        "architecture": settings.blueprint.name,
        "roles": str(trained.roles),
        "best": asdict(trained.best),
        "epochs": len(trained.history),
        "history": [asdict(epoch) for epoch in trained.history],
        "seconds": trained.seconds,
        "notes": list(trained.notes),
    }


def show_train(result: dict[str, Any]) -> None:
    """Where the network is, what it gives on `tune`, and how it is audited."""
    best = result["best"]
    print(f"Network: {result['model']} ({result['architecture']})")
    print(
        f"Epoch {best['epoch']} of {result['epochs']} is the best: on tune it catches "
        f"{best['tune_caught']:,} of {best['tune_defective']:,} defective parts and raises "
        f"{best['tune_false_alarms']:,} false alarms among {best['tune_good']:,} good ones "
        f"(average precision {best['tune_average_precision']:.3f})."
    )
    print(
        "Audit it on the same data with --roles, so that what it has learnt from counts as seen:\n"
        f"  python -m trust_core audit {result['model']} DATA --roles {result['roles']}"
    )


def training_progress() -> Callable[["TrainingProgress"], None]:
    """A line that is written over on a terminal; into a file, one an epoch."""
    terminal = sys.stderr.isatty()
    shown, closed = 0.0, 0

    def show(state: "TrainingProgress") -> None:
        nonlocal shown, closed
        ends = len(state.history) > closed
        if ends:
            closed = len(state.history)
            print_notes([epoch_line(state.history[-1], state.epochs)])
        now = time.monotonic()
        if terminal and not ends and now - shown > 0.2:
            shown = now
            text = f"Epoch {state.epoch} of {state.epochs}, step {state.done:,} of {state.total:,}"
            text += time_left(state.seconds_left)
            print(f"{text:<70}", end="\r", file=sys.stderr, flush=True)

    return show


def epoch_line(epoch: "Epoch", epochs: int) -> str:
    """One epoch in words."""
    by_name = {"label": epoch.label_loss, "mask": epoch.mask_loss}
    losses = ", ".join(f"{n} loss {loss:.3f}" for n, loss in by_name.items() if loss is not None)
    return (
        f"Epoch {epoch.epoch} of {epochs}: {losses}; tune: {epoch.tune_caught:,} of "
        f"{epoch.tune_defective:,} defective parts caught, {epoch.tune_false_alarms:,} of "
        f"{epoch.tune_good:,} good parts alarmed, average precision "
        f"{epoch.tune_average_precision:.3f}"
    )
