"""Pretrained weights: finding and reading them, renaming their tensors, and checking that they fit."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_weight

from ..checksum import check_intact
from ..errors import WeightsError, first_line
from .contract import Backbone

State = dict[str, Tensor]

# keys under which timm, Lightning and torchvision's references store tensors; averaged weights are preferred
WRAPPERS = ("state_dict_ema", "state_dict", "model")
# prefixes of a backbone's tensors in a litmobile run, in a litmobile network, and after data-parallel training
PREFIXES = ("network.backbone.", "backbone.", "module.")


class LoadReport(NamedTuple):
    """Result of loading a backbone's weights.

    Attributes:
        source: file or published name of the weights.
        loaded: number of tensors of the network that were set.
        missing: tensors of the network that the source lacks; they keep their initial values.
        unexpected: tensors of the source that the network does not have.
    """

    source: str
    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        text = f"loaded {self.loaded} tensors from {self.source}"
        for kind, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                text += f"; {len(names)} {kind}: {', '.join(names[:4])}" + (", …" if len(names) > 4 else "")
        return text


def load_weights(backbone: Backbone, source: str | Path) -> LoadReport:
    """Loads pretrained weights into ``backbone``, before or after :meth:`Backbone.select`.

    Args:
        backbone: the network; its architecture is never changed to suit the weights.
        source: "imagenet" for the weights published for this network; an exact published name (torchvision's
            ``MobileNet_V2_Weights.IMAGENET1K_V1``, timm's ``mobilenetv3_large_100.ra_in1k``); or a local ``.pth``,
            ``.pt``, ``.ckpt`` or ``.safetensors`` file. Tensors may have our names or those of the library that
            published the network.

    Raises:
        WeightsError: the weights cannot be found or downloaded, are unsafe to read, contain nothing for this network,
            or have other shapes.
    """
    name = str(source)
    if name == "imagenet":
        name = backbone.imagenet_weights_name()
        if not name:
            raise WeightsError(
                f"No ImageNet weights are published for {backbone.describe()}; {backbone.nearest_weights()}"
                "pass a file, or train from scratch."
            )
    if is_file_name(name):
        state = read_state(Path(name))
    else:
        backbone.check_published_weights(name)
        state = fetch(name)
    return load_state(backbone, state, name)


def is_file_name(source: str) -> bool:
    """Whether ``source`` is a file (or a folder), not the name of published weights."""
    return Path(source).suffix in {".pth", ".pt", ".ckpt", ".safetensors"} or Path(source).exists()


def load_state(backbone: Backbone, state: State, source: str) -> LoadReport:
    """Loads ``state``, with any names that ``backbone`` can translate; see :func:`load_weights`."""
    translated, unexpected = backbone.translate(state)
    own = backbone.state_dict()
    matching = {name: tensor for name, tensor in translated.items() if name in own}
    if not matching:
        content = f"its tensors are {', '.join(list(state)[:3])}, …" if state else "it has no tensors"
        raise WeightsError(f"{source} contains no tensors of {backbone.describe()}: {content}.")
    for name, tensor in matching.items():
        if tensor.shape != own[name].shape:
            raise WeightsError(
                f"{source} does not fit {backbone.describe()}: {name} has shape {list(own[name].shape)} here and "
                f"{list(tensor.shape)} there; set {' and '.join(backbone.shape_arguments) or 'the arguments'} to "
                "their values in training, or pass weights of this network."
            )
    backbone.load_state_dict(matching, strict=False)
    # older files lack the counters of the norms; only norms without a momentum need them
    missing = tuple(name for name in own if name not in matching and not name.endswith("num_batches_tracked"))
    return LoadReport(source, len(matching), missing, tuple(unexpected))


def read_state(path: Path) -> State:
    """Reads the tensors of a checkpoint file; from a litmobile run or network, only those of its backbone.

    Raises:
        WeightsError: the file does not exist, is unsafe, or is not a checkpoint.
    """
    state = tensors_of(read_checkpoint(path), path)
    # the first two kinds also contain a head, which a backbone does not need
    for prefix in PREFIXES:
        inside = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if inside:
            return inside
    return state


def read_checkpoint(path: Path) -> object:
    """Reads a checkpoint file without running code that it may contain.

    Raises:
        WeightsError: the file does not exist, is damaged, is unsafe, or is not a checkpoint.
    """
    if path.is_dir():
        raise WeightsError(f"{path} is a folder; pass a weights file in it.")
    if not path.is_file():
        raise WeightsError(f"The weights file {path} does not exist.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as error:  # the library's own exception type is not public
            raise WeightsError(f"{path} is not a safetensors file: {error}.") from error
    check_intact(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # training scripts store their options in one
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} was refused because reading it could run code; save its state_dict alone, or as safetensors."
        ) from error
    except Exception as error:  # a file of another kind can make the unpickler raise any exception
        raise WeightsError(f"{path} is not a checkpoint that PyTorch can read ({type(error).__name__}).") from error


def tensors_of(content: object, path: Path) -> State:
    """Returns the tensors in the ``content`` of the checkpoint ``path``, wherever its writer stores them.

    Raises:
        WeightsError: the content is not a dictionary.
    """
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors.")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def fetch(name: str) -> State:
    """Downloads published weights by torchvision's or timm's exact name.

    Raises:
        WeightsError: no weights have that name, or the download fails.
    """
    try:
        return _download_torchvision(name) if "_Weights." in name else _download_timm(name)
    except (URLError, OSError, RuntimeError) as error:  # RuntimeError: the downloaded file is damaged
        raise WeightsError(
            f"The weights {name} could not be downloaded ({type(error).__name__}: {first_line(error)}); without "
            "internet access, pass a file that contains them."
        ) from error


def _download_torchvision(name: str) -> State:
    try:
        url = get_weight(name).url
    except (ValueError, KeyError) as error:
        raise WeightsError(f"torchvision publishes no weights {name!r}: {first_line(error)}.") from error
    return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)


def _download_timm(name: str) -> State:
    if not timm.is_model(name.partition(".")[0]):
        raise WeightsError(f"There is neither a file nor a published set of weights called {name!r}.")
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except RuntimeError as error:  # timm raises it if the tag is unknown or has no weights
        raise WeightsError(f"timm publishes no weights {name!r}: {first_line(error)}.") from error
