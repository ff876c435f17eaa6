"""`litmobile export`: writes a run's network to a file, judges the file against the run, and quantises it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...errors import UserError
from ...tasks.network import Network, checkpoint_file, load
from ...tasks.task import hash_weights
from ...versions import list_versions
from ..engines.description import Description
from ..task_tools import import_tool
from .calibration import read_calibration_images
from .formats import Format, find_format
from .judgement import Judgement, judge, store_judgement
from .module import ExportModule
from .options import ExportOptions
from .quantization import Int8
from .simulated_int8 import SimulatedInt8

WORST_LAYERS = 5  # named if an export loses too much


def export(options: ExportOptions) -> None:
    """Runs the command.

    Raises:
        UserError: an option is wrong, a package is missing, or the network cannot be exported.
        SystemExit: with status 1, the file loses more than the tolerance.
    """
    options.check()
    kind = find_format(options.to, options.int8)
    if options.to.is_dir() and kind.is_judged:
        raise UserError(f"--to {options.to} is a folder; name a file.")
    network = load(options.run)
    if options.size is not None:
        network.preprocessing = replace(network.preprocessing, size=options.size)
    images = None
    if options.calibrate is not None:
        images = read_calibration_images(options.calibrate, network.preprocessing, options.calibration_images)
    module = ExportModule(network, options.segmentation, relative_boxes=not kind.finishes)
    description = describe(network, module, options.run)
    if images is None:
        write(kind, module, description, options, None)
        judgement = judge_file(kind, options, description)
        simulated = None
    else:
        simulated = SimulatedInt8(module, images)
        int8 = Int8(images, simulated.prefers_per_channel(), float_ends=False)
        judgement = write_int8(kind, module, description, options, int8)
    if judgement is None:
        print(f"{options.to} was not compared with the run.")
    else:
        check_loss(judgement, options, simulated)


def describe(network: Network, module: ExportModule, run: Path) -> Description:
    """Describes the file of a network."""
    checkpoint = torch.load(checkpoint_file(run), map_location="cpu", weights_only=True, mmap=True)
    return Description(
        role=module.role,
        classes=network.classes,
        preprocessing=network.preprocessing,
        outputs=module.outputs,
        postprocess={**module.postprocess, "is_inside": False} if module.postprocess else {},
        run={
            "folder": str(run),
            "backbone": network.backbone.describe(),
            "head": type(network.head).__name__,
            "epoch": checkpoint["epoch"],
            "step": checkpoint["global_step"],
            "weights": hash_weights(network),
        },
        versions=list_versions(),
    )


def write(
    kind: Format, module: ExportModule, description: Description, options: ExportOptions, int8: Int8 | None
) -> None:
    """Writes the file and the JSON file beside."""
    extra: dict[str, Any] = {"opset": options.opset} if kind.name == "ONNX" else {}
    import_tool(kind.writer)(module, options.to, description, int8, **extra)
    print(f"Wrote {options.to} ({options.to.stat().st_size / 1e6:.2f} MB)")


def write_int8(
    kind: Format, module: ExportModule, description: Description, options: ExportOptions, int8: Int8
) -> Judgement | None:
    """Writes a quantised file, again with its first and last layers in float if it loses too much and that helps."""
    write(kind, module, description, options, int8)
    first = judge_file(kind, options, description)
    if first is None or first.difference.value >= -options.tolerance:
        return first
    print(f"The loss is above --tolerance {options.tolerance:g}: keeping the first and last layers in float.")
    write(kind, module, description, options, int8._replace(float_ends=True))
    second = judge_file(kind, options, description)
    if second is not None and second.exported > first.exported:
        return second
    print("That does not help: quantising them again.")
    write(kind, module, description, options, int8)
    return judge_file(kind, options, description)


def judge_file(kind: Format, options: ExportOptions, description: Description) -> Judgement | None:
    """Evaluates file and run, and prints the difference; None if this was not asked for or cannot be done here."""
    if options.split == "none":
        return None
    if not kind.is_judged:
        print(f"{kind.name} files cannot be run here.")
        return None
    judgement = judge(options, description.run["weights"])
    store_judgement(options.to, judgement)
    print(judgement)
    return judgement


def check_loss(judgement: Judgement, options: ExportOptions, simulated: SimulatedInt8 | None) -> None:
    """Ends the command with status 1 if the file loses more than the tolerance; names the layers that lose most."""
    if judgement.difference.value >= -options.tolerance:
        return
    text = f"litmobile: {options.to} loses {-judgement.difference.value:.4f} of {judgement.figure}, more than "
    text += f"--tolerance {options.tolerance:g}."
    if simulated is not None:
        ranked = simulated.rank_layers(simulated.prefers_per_channel())
        worst = [f"{layer.name} ({layer.error:.1e})" for layer in ranked[:WORST_LAYERS]]
        text += f" Layers whose quantisation alone changes the outputs most: {', '.join(worst)}."
    sys.exit(text)
