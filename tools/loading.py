"""Loads what predicts: a run, a checkpoint, a saved network, or an exported file; this is ``litmobile.load``."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import UserError, first_line
from ..tasks import network as networks
from ..tasks.network import Predictor
from .engines.choice import is_exported

AUTO = "auto"


def load(source: str | Path, device: str | torch.device = AUTO, engine: str | None = None) -> Predictor:
    """Loads a network, ready to predict.

    Args:
        source: the folder of a run, whose best checkpoint is loaded, or else the last; a checkpoint; a file that
            ``Network.save`` wrote; or a file that `litmobile export` wrote (.onnx, .pte, .tflite, .pt2).
        device: "auto" is a CUDA GPU if there is one, else the CPU; or "cpu", "cuda", "cuda:1", "mps". Exported files
            run on the CPU.
        engine: program that runs an exported file, e.g. "openvino". Default: the first for its format.

    Returns:
        A :class:`litmobile.Network`, or what predicts with the exported file; both are torch modules with
        ``predict``, ``stream``, ``classes`` and ``preprocessing``.

    Raises:
        MissingCheckpointError: the run has no checkpoint, or the file does not exist.
        WeightsError: the file is damaged, is unsafe to read, is not a checkpoint of litmobile, or names a class whose
            module is neither installed nor imported by your program.
        UserError: the device does not exist here, or the exported file cannot be run.
    """
    path = Path(source).expanduser()
    if is_exported(path):
        return load_engine(path, device, engine)
    if engine is not None:
        raise UserError(f"engine={engine} is for exported files, but {path} is a run, which PyTorch runs.")
    return move_network(networks.load(path), device)


def load_engine(path: Path, device: str | torch.device, engine: str | None) -> Predictor:
    """Opens an exported file.

    Raises:
        UserError: the device is not the CPU, or the file cannot be run.
    """
    from .engines.network import load_exported

    if device != AUTO and torch.device(device).type != "cpu":
        raise UserError(f"device={device} is for runs; exported files such as {path} run on the CPU.")
    return load_exported(path, engine)


def move_network(network: networks.Network, device: str | torch.device, option: str = "device=") -> networks.Network:
    """Moves ``network`` to ``device``; ``option`` names it in the message.

    Raises:
        UserError: this machine does not have the device.
    """
    if device == AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's errors for an unknown name and for an absent device
        reason = first_line(error).partition(". ")[0]
        raise UserError(f"{option}{device} cannot be used here: {reason}.") from error
