"""Exports every family under every head and compares the files with PyTorch: a table for docs/deployment_table.md.

`python -m litmobile.tools.benchmark.prepared.deployment_table IMAGES --to FILE` takes about an hour on one CPU core.
Rows are written as they are measured, and a second start goes on after the last one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou

from .... import backbones
from ....backbones import Backbone
from ....errors import UserError
from ....heads import LRASPP, Classifier, SSDLite
from ....heads.contract import HeadFactory
from ....heads.predictions import Classification, Detections, Prediction, Segmentation
from ....tasks.network import Network
from ....tasks.preprocessing import Preprocessing
from ...engines.network import ExportedNetwork, load_exported
from ...export.calibration import read_calibration_images
from ...export.formats import FORMATS
from ...export.module import ExportModule, describe_module
from ...export.quantization import Int8
from ...profile.timing import Timing, take_turns
from ...task_tools import import_tool
from ..untrained import imitate_training

IMAGES, COMPARED = 16, 4  # images that set statistics and ranges, and images that files are compared on
MIN_SCORE = 0.05  # of compared detections
MIN_IOU = 0.9  # with the network's box of the same class
TITLES = (
    "backbone",
    "head",
    "file",
    "export, s",
    "MB",
    "deviation from PyTorch",
    "time / PyTorch eager, 95 % interval",
)

FAMILIES: dict[str, Callable[[], Backbone]] = {
    "MobileNetV1": backbones.MobileNetV1,
    "MobileNetV2": backbones.MobileNetV2,
    "MobileNetV3": backbones.MobileNetV3,
    "ShuffleNetV1": backbones.ShuffleNetV1,
    "ShuffleNetV2": backbones.ShuffleNetV2,
    "EffNet": partial(backbones.EffNet, extended=True),
    "MobileViT": partial(backbones.MobileViT, "xxs"),
}


class Kind(NamedTuple):
    """A head with its role, the size of the input and the number of classes."""

    head: HeadFactory
    role: str
    size: tuple[int, int]
    classes: int


HEADS = {
    "Classifier": Kind(Classifier, "classification", (224, 224), 1000),
    "SSDLite": Kind(SSDLite, "detection", (320, 320), 80),
    "LRASPP": Kind(LRASPP, "segmentation", (512, 512), 19),
}
#: suffix of each file, and whether it is quantised
FILES = {
    "ONNX": (".onnx", False),
    "ONNX int8": (".onnx", True),
    "ExecuTorch": (".pte", False),
    "ExecuTorch int8": (".pte", True),
}


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(
        "python -m litmobile.tools.benchmark.prepared.deployment_table", description=__doc__
    )
    parser.add_argument("images", type=Path, help="folder of photos")
    parser.add_argument("--to", type=Path, required=True, help="Markdown file of the table, which is continued")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = options.to.read_text(encoding="utf-8").splitlines() if options.to.exists() else []
    with options.to.open("a", encoding="utf-8") as table:
        if not done:
            print(format_row(TITLES), format_row(["---"] * len(TITLES)), sep="\n", file=table, flush=True)
        for family, head in ((family, head) for family in FAMILIES for head in HEADS):
            wanted = [
                name for name in FILES if not any(row.startswith(f"| {family} | {head} | {name} |") for row in done)
            ]
            for cells in measure(family, head, wanted, options.images, options.seconds):
                print(format_row([family, head, *cells]), file=table, flush=True)


def format_row(cells: Sequence[str]) -> str:
    """Formats a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def measure(family: str, head: str, names: Sequence[str], folder: Path, seconds: float) -> Iterator[list[str]]:
    """Yields the cells of the files ``names`` of a network: what could be exported, and how it compares."""
    if not names:
        return
    network = build_network(family, head)
    images = read_calibration_images(folder, network.preprocessing, IMAGES)
    imitate_training(network, images)
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            suffix, is_int8 = FILES[name]
            path = Path(temporary) / f"network{'-int8' * is_int8}{suffix}"
            try:
                taken = export(network, path, Int8(images, per_channel=True, float_ends=False) if is_int8 else None)
            except UserError as error:
                yield [name, "–", "–", f"not exported: {error}", "–"]
                continue
            exported = load_exported(path, threads=1)
            deviation = compare(exported, network, images[:COMPARED])
            ratio = measure_ratio(exported, network, images[:1], seconds)
            yield [name, f"{taken:.0f}", f"{path.stat().st_size / 1e6:.2f}", deviation, ratio]


def build_network(family: str, head: str) -> Network:
    """Builds a network with random weights, in evaluation mode."""
    torch.manual_seed(0)
    kind = HEADS[head]
    classes = [f"class {k}" for k in range(kind.classes)]
    return Network(FAMILIES[family](), kind.head, classes, Preprocessing(kind.size), role=kind.role).eval()


def export(network: Network, path: Path, int8: Int8 | None) -> float:
    """Writes a file and returns how many seconds it took."""
    kind = FORMATS[path.suffix]
    start = time.perf_counter()
    module = ExportModule(network, relative_boxes=not kind.finishes)
    import_tool(kind.writer)(module, path, describe_module(network, module), int8)
    return time.perf_counter() - start


def measure_ratio(exported: ExportedNetwork, network: Network, image: Tensor, seconds: float) -> str:
    """Measures the file and the network in turn, both from uint8 images to predictions."""

    def run_eager() -> object:
        with torch.inference_mode():
            return network.decode(network(image), network.preprocessing.size)

    def run_file() -> object:
        with torch.inference_mode():
            return exported.decode(exported(image), network.preprocessing.size)

    eager, file = take_turns([run_eager, run_file], seconds)
    return "{:.2f} ({:.2f} to {:.2f})".format(*Timing.of(file, eager).ratio)


@torch.inference_mode()
def compare(exported: ExportedNetwork, network: Network, images: Tensor) -> str:
    """Returns the largest deviation of the file's predictions from the network's, one image at a time."""
    size = network.preprocessing.size
    pairs: list[tuple[Prediction, Prediction]] = []
    for image in images.split(1):
        (found,), (expected,) = exported.decode(exported(image), size), network.decode(network(image), size)
        pairs.append((found, expected))
    return describe_deviation(pairs)


def describe_deviation(pairs: Sequence[tuple[Prediction, Prediction]]) -> str:
    """Describes how far predictions are from those expected: the largest deviation of all images."""
    first = pairs[0][1]
    if isinstance(first, Classification):
        largest = max(float((found.scores - expected.scores).abs().max()) for found, expected in pairs)  # pyright: ignore[reportAttributeAccessIssue]
        return f"probability {largest:.1g}"
    if isinstance(first, Segmentation):
        shares = [float((found.labels != expected.labels).float().mean()) for found, expected in pairs]  # pyright: ignore[reportAttributeAccessIssue]
        return f"{max(shares):.2%} of the labels".replace("%", " %")
    return describe_detections(pairs)  # pyright: ignore[reportArgumentType]


def describe_detections(pairs: Sequence[tuple[Detections, Detections]]) -> str:
    """Describes the deviation of boxes in pixels and of scores, and the share of detections that are found again."""
    found_again, total, pixels, scores = 0, 0, 0.0, 0.0
    for found, expected in pairs:
        for box, score, label in zip(*expected, strict=True):
            if score <= MIN_SCORE:
                continue
            total += 1
            alike = found.labels == label
            if not alike.any():
                continue
            overlap, index = box_iou(box[None], found.boxes[alike])[0].max(0)
            if overlap < MIN_IOU:
                continue
            found_again += 1
            pixels = max(pixels, float((found.boxes[alike][index] - box).abs().max()))
            scores = max(scores, float((found.scores[alike][index] - score).abs()))
    return f"{found_again} of {total} found; {pixels:.2g} px, score {scores:.1g}"


if __name__ == "__main__":
    main()
