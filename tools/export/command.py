"""`litmobile export`: writes a run's network to a file, judges the file against the run, and quantises it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...errors import UserError, first_line
from ...tasks.network import Network, checkpoint_file, hash_weights, load
from ..engines.choice import choose_engine, is_exported
from ..engines.description import Description, json_path
from ..engines.network import results_folder
from ..engines.packages import check_packages
from ..options.outputs import check_output
from ..task_tools import import_tool
from .calibration import read_calibration_images
from .formats import DEFAULT_OPSET, Format, check_opset, find_format
from .judgement import Judgement, judge, store_judgement
from .module import ExportModule, describe_module
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
    kind = find_format(options.to, options.int8)
    check_target(kind, options)
    if is_exported(options.run):
        raise UserError(f"--run {options.run} is an exported file; pass the run that it comes from.")
    network = load(options.run)
    if options.size is not None:
        network.preprocessing = replace(network.preprocessing, size=options.size)
    images = None
    if options.calibrate is not None:
        images = read_calibration_images(options.calibrate, network.preprocessing, options.calibration_images)
    module = ExportModule(network, options.segmentation, relative_boxes=not kind.finishes)
    if options.segmentation == "logits" and module.role != "segmentation":
        raise UserError(f"--segmentation=logits is for segmentation networks, but {options.run} is for {module.role}.")
    description = describe_module(network, module, describe_run(network, options.run))
    if images is None:
        write(kind, module, description, options, None)
        judgement = judge_file(kind, options, description)
        simulated = None
    else:
        simulated = SimulatedInt8(module, images)
        int8 = Int8(images, simulated.prefers_per_channel, float_ends=False)
        judgement = export_int8(kind, module, description, options, int8)
    if judgement is None:
        print(f"{options.to} was not compared with the run.")
    else:
        check_loss(judgement, options, simulated)


def check_target(kind: Format, options: ExportOptions) -> None:
    """Checks what would otherwise fail after the conversion.

    Raises:
        UserError: the file cannot be written, or an option does not fit its format.
    """
    if kind.is_judged or not options.to.is_dir():  # a Core ML package is a folder
        check_output("--to", options.to)
    if kind.takes_opset:
        check_opset(options.opset)
    elif options.opset != DEFAULT_OPSET:
        raise UserError(f"--opset is for .onnx files, not {options.to.suffix}; leave it out.")
    check_packages(kind.packages + (kind.int8_packages if options.int8 else ()))
    if options.engine is not None or (kind.is_judged and options.split != "none"):
        choose_engine(options.to, options.engine)
    if options.data is not None and not options.data.exists():
        raise UserError(f"--data {options.data} does not exist; pass the root folder of the data.")


def describe_run(network: Network, run: Path) -> dict[str, Any]:
    """Returns where the weights of ``network`` come from, as plain values."""
    checkpoint = torch.load(checkpoint_file(run), map_location="cpu", weights_only=True, mmap=True)
    names = {"epoch": "epoch", "step": "global_step"}  # a network that was saved in Python has neither
    return {
        "folder": str(run),
        "backbone": network.backbone.describe(),
        "head": type(network.head).__name__,
        **{name: checkpoint[key] for name, key in names.items() if key in checkpoint},
        "weights": hash_weights(network),
    }


def write(
    kind: Format, module: ExportModule, description: Description, options: ExportOptions, int8: Int8 | None
) -> None:
    """Writes the file and the JSON file beside.

    Raises:
        UserError: the network cannot be exported, or the file cannot be written.
    """
    special = {"opset": options.opset} if kind.takes_opset else {}
    try:
        import_tool(kind.writer)(module, options.to, description, int8, **special)
    except OSError as error:
        raise UserError(f"--to {options.to} cannot be written: {error.strerror or first_line(error)}.") from error
    shutil.rmtree(results_folder(options.to), ignore_errors=True)  # of an earlier file, which has just been replaced
    files = options.to.rglob("*") if options.to.is_dir() else [options.to]  # a Core ML package is a folder
    size = sum(file.stat().st_size for file in files if file.is_file())
    print(f"Wrote {options.to} ({size / 1e6:.2f} MB)", flush=True)


def export_int8(
    kind: Format, module: ExportModule, description: Description, options: ExportOptions, int8: Int8
) -> Judgement | None:
    """Writes a quantised file; one with its first and last layers in float if the first loses too much and that helps.

    Returns:
        the judgement of the file that was kept.
    """
    write(kind, module, description, options, int8)
    first = judge_file(kind, options, description)
    if first is None or not first.loses_more_than(options.tolerance):
        return first
    print(f"The loss is above --tolerance {options.tolerance:g}: keeping the first and last layers in float.")
    whole = options.to.with_stem(f".{options.to.stem}-whole")
    move_exported(options.to, whole)
    second = None
    try:
        write(kind, module, description, options, int8._replace(float_ends=True))
        second = judge_file(kind, options, description)
    finally:
        helps = second is not None and second.exported > first.exported
        if not helps:
            move_exported(whole, options.to)
        remove_exported(whole)
    print(f"That {'helps: they stay' if helps else 'does not help: they do not stay'} in float.")
    return second if helps else first


def move_exported(source: Path, target: Path) -> None:
    """Moves an exported file, its description and its evaluations; those of ``target`` are replaced."""
    remove_exported(target)
    source.rename(target)
    json_path(source).rename(json_path(target))
    results_folder(source).rename(results_folder(target))


def remove_exported(path: Path) -> None:
    """Removes an exported file, its description and its evaluations, as far as they exist."""
    path.unlink(missing_ok=True)
    json_path(path).unlink(missing_ok=True)
    shutil.rmtree(results_folder(path), ignore_errors=True)


def judge_file(kind: Format, options: ExportOptions, description: Description) -> Judgement | None:
    """Evaluates file and run, and prints the difference; None if this was not asked for or cannot be done here."""
    if options.split == "none":
        return None
    if not kind.is_judged:
        print(f"{kind.name} files cannot be run here.")
        return None
    try:
        judgement = judge(options, description.run["weights"])
    except UserError as error:
        reason = str(error).replace("--data.root=", "--data=")  # its name in this command
        raise UserError(f"{options.to} was written, but cannot be compared with the run: {reason}") from error
    store_judgement(options.to, judgement)
    print(judgement)
    return judgement


def check_loss(judgement: Judgement, options: ExportOptions, simulated: SimulatedInt8 | None) -> None:
    """Ends the command with status 1 if the file loses more than the tolerance; names the layers that lose most."""
    if not judgement.loses_more_than(options.tolerance):
        return
    loss = f"{-judgement.difference.value:.4f} of {judgement.figure}"
    sentences = [f"litmobile: {options.to} loses {loss}, more than --tolerance {options.tolerance:g}."]
    if simulated is not None:
        ranked = simulated.rank_layers(simulated.prefers_per_channel)
        worst = [f"{layer.name} ({layer.error:.1e})" for layer in ranked[:WORST_LAYERS]]
        sentences.append(f"Layers whose quantisation alone changes the outputs most: {', '.join(worst)}.")
    sys.exit(" ".join(sentences))
