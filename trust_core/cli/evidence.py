"""The job `evidence` of the command line: which pixels speak for a defect, and which against."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.audit.options import model_options
from trust_core.cli.options import add_options
from trust_core.cli.printing import counting, print_notes
from trust_core.errors import DataError, StoreError, UnreadableImage

if TYPE_CHECKING:
    from trust_core.explanation.evidence.forms import Evidence
    from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
    from trust_core.model.detector import Detector
    from trust_core.storage.audit_files import Audit

SUMMARY = "evidence.json"


def add_evidence(part: argparse.ArgumentParser) -> None:
    """Options of the job."""
    part.add_argument("model", metavar="MODEL", help=".safetensors, .pt, .pth or .onnx")
    part.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of them")
    part.add_argument(
        "--audit",
        type=Path,
        metavar="AUDIT",
        help="of this model: it says how the model is opened, and what surroundings look like is "
        "learnt from its images; without it, from the images given",
    )
    part.add_argument("--form", default="first-order", help="e.g. plug-in, prediction-difference")
    part.add_argument("--window", type=int, default=10, help="side of the windows in pixels")
    part.add_argument("--stride", type=int, help="from window to window")
    part.add_argument("--samples", type=int, default=10, help="draws a window, steps of a path")
    part.add_argument("--seed", type=int, default=0)
    part.add_argument("--marginal", action="store_true", help="leave the surroundings out")
    part.add_argument("--out", type=Path, default=Path("evidence"), metavar="DIR")
    add_options(part, "model", "input")


def run_evidence(options: argparse.Namespace) -> dict[str, Any]:
    """Write an overlay and an array of each image, and a summary of all."""
    import numpy as np
    from PIL import Image

    from trust_core.audit.reopen import reopen_detector
    from trust_core.decision.json_object import json_object
    from trust_core.explanation.evidence.audit_gaussian import as_pixels
    from trust_core.explanation.evidence.forms import FORMS, evidence
    from trust_core.figures.evidence import evidence_pixels, scale_end
    from trust_core.model.open import open_detector
    from trust_core.model.placement import WHOLE
    from trust_core.storage.atomic import write_json
    from trust_core.storage.audit_files import open_audit

    FORMS.find(options.form)
    files = image_files(options.images)
    audit = open_audit(options.audit) if options.audit else None
    model = Path(options.model)
    detector = (
        reopen_detector(audit, path=model)
        if audit
        else open_detector(model, model_options(vars(options)))
    )
    conditional = _surroundings(options, audit, detector, [path for path, _ in files])
    folder = options.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be made: {error.strerror}; name another by --out."
        ) from error
    done: list[dict[str, Any]] = []
    scales: list[float] = []
    failed: list[dict[str, str]] = []
    count = counting()
    for number, (path, name) in enumerate(files, 1):
        try:
            pixels = as_pixels(detector.preprocessing, path)
        except UnreadableImage as error:
            failed.append({"image": str(path), "reason": str(error)})
            print_notes([f"Left out: {error}"])
            continue
        found = evidence(
            detector,
            pixels,
            conditional,
            options.form,
            window=options.window,
            stride=options.stride,
            samples=options.samples,
            seed=options.seed,
            marginal=options.marginal,
        )
        np.save(folder / f"{name}.npy", found.bits)
        answer = detector.log_odds(pixels[None])[0].double()
        summary = {"log_odds": float(answer), "p_defect": float(answer.sigmoid())}
        done.append(_summary(path, folder / name, found) | summary)
        scales.append(scale_end(found.bits))
        count(number, len(files))
    if not done:
        raise DataError(
            f"None of {len(files)} images can be read; the first: {failed[0]['reason']}"
        )
    scale = max(scales)
    for entry in done:  # in a second round: one scale for all of them
        image = detector.preprocessing.read(Path(entry["image"]))
        seen = detector.preprocessing.pixels(image).mean(0)
        photo = Image.fromarray(np.rint(seen).astype(np.uint8))
        picture = evidence_pixels(photo, WHOLE, np.load(entry["array"]), scale)
        Image.fromarray(picture).save(entry["overlay"])
    result: dict[str, Any] = json_object(
        {
            "form": options.form,
            "window": options.window,
            "surroundings": str(options.audit) if audit else "the images given",
            "scale_bits": scale,
            "images": done,
            "failed": failed,
            "out": str(folder),
            "model_sha256": detector.sha256,
        }
    )
    write_json(folder / SUMMARY, result)
    return result


def show_evidence(result: dict[str, Any]) -> None:
    """A line for each image, and where the overlays lie."""
    for entry in result["images"]:
        check = entry["expected_bits"]
        sums = "" if check is None else f"; check {entry['total_bits']:+.2f} of {check:+.2f}"
        print(
            f"{entry['image']}: p(defective) {entry['p_defect']:.3f}, strongest "
            f"{entry['strongest']['bits']:+.3f} bits at row {entry['strongest']['row']}, column "
            f"{entry['strongest']['column']}{sums}"
        )
    count = len(result["images"])
    print(
        f"{count:,} {'image' if count == 1 else 'images'}, {len(result['failed']):,} left out; "
        f"orange and blue end at {result['scale_bits']:.3f} bits: {result['out']}"
    )


def image_files(words: list[str]) -> list[tuple[Path, str]]:
    """The images that were named, those in folders too, each with a name of its own for output.

    Raises:
        DataError: a folder without images, or a name that is nothing.
    """
    from trust_core.data.files import is_image, list_files

    found: list[tuple[Path, str]] = []
    for word in words:
        given = Path(word)
        if given.is_dir():
            inside = [name for name in list_files(given) if is_image(name)]
            if not inside:
                raise DataError(f"There are no images in {given}.")
            found += [(given / name, "-".join(Path(name).with_suffix("").parts)) for name in inside]
        else:
            found.append((given, given.stem))
    seen: dict[str, int] = {}
    named = []
    for path, name in found:
        seen[name] = seen.get(name, 0) + 1
        named.append((path, name if seen[name] == 1 else f"{name}-{seen[name]}"))
    return named


def _surroundings(
    options: argparse.Namespace, audit: "Audit | None", detector: "Detector", paths: list[Path]
) -> "PatchGaussian":
    from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian, fit_to_files

    if audit:
        return audit_patch_gaussian(audit, options.window)
    print_notes(
        ["No --audit: what surroundings look like is learnt from the images given, good or not."]
    )
    found = fit_to_files(Path(), [str(path) for path in paths], detector.preprocessing)
    return found.cut(options.window)


def _summary(path: Path, base: Path, found: "Evidence") -> dict[str, Any]:
    """What the summary says of one image."""
    row, column = divmod(int(abs(found.bits).argmax()), found.bits.shape[1])
    return {
        "image": str(path),
        "overlay": f"{base}.png",
        "array": f"{base}.npy",
        "strongest": {"row": row, "column": column, "bits": float(found.bits[row, column])},
        "total_bits": found.total,
        "expected_bits": found.expected,
        "forwards": found.forwards,
        "backwards": found.backwards,
        "seconds": found.seconds,
    }
