"""Pretrained weights: where they come from, how their names map to ours, what fits and what does not."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import WeightsError
from .contract import Backbone

State = dict[str, Tensor]

# where checkpoints of timm, Lightning and torchvision's references keep their tensors; averaged ones are preferred
WRAPPERS = ("state_dict_ema", "state_dict", "model")
# what stands before a backbone's names in a run of ours, in a network of ours, and in what was trained in parallel
PREFIXES = ("network.backbone.", "backbone.", "module.")


class LoadReport(NamedTuple):
    """What became of a load.

    Attributes:
        source: where the weights came from.
        loaded: how many tensors of the network were set.
        missing: tensors of the network that the source lacks; they keep their initial values.
        left_over: tensors of the source that have no place in the network.
    """

    source: str
    loaded: int
    missing: tuple[str, ...]
    left_over: tuple[str, ...]

    def __str__(self) -> str:
        text = f"loaded {self.loaded} tensors from {self.source}"
        for what, names in (("missing there", self.missing), ("left over", self.left_over)):
            if names:
                shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
                text += f"; {len(names)} {what}: {shown}"
        return text


def load_weights(backbone: Backbone, source: str | Path) -> LoadReport:
    """Loads pretrained weights into ``backbone``, before or after :meth:`Backbone.select`.

    Args:
        backbone: the network; its architecture is never changed to suit the weights.
        source: "imagenet" for the weights published for this network; an exact published name (torchvision's
            ``MobileNet_V2_Weights.IMAGENET1K_V1``, timm's ``mobilenetv3_large_100.ra_in1k``); or a local ``.pth``,
            ``.pt``, ``.ckpt`` or ``.safetensors`` file in our key names or those of the library that published the
            network.

    Raises:
        WeightsError: the weights cannot be found or fetched, are unsafe to read, hold nothing for this network, or
            have other shapes.
    """
    name = str(source)
    if name == "imagenet":
        name = backbone.imagenet_weights_name()
        if not name:
            raise WeightsError(
                f"No ImageNet weights are published for {describe(backbone)}: {backbone.nearest_weights()}"
                "pass a file, or train from scratch."
            )
    if is_file_name(name):
        state = read_state(Path(name))
    else:
        backbone.check_published(name)
        state = fetch(name)
    return load_state(backbone, state, name)


def is_file_name(source: str) -> bool:
    """Whether ``source`` is meant as a file (or a folder), not as the name of published weights."""
    return Path(source).suffix in {".pth", ".pt", ".ckpt", ".safetensors"} or Path(source).exists()


def load_state(backbone: Backbone, state: State, source: str) -> LoadReport:
    """Loads ``state``, in any key names that ``backbone`` knows, and reports; see :func:`load_weights`."""
    translated, left_over = backbone.translate(state)
    own = backbone.state_dict()
    fitting = {name: tensor for name, tensor in translated.items() if name in own}
    if not fitting:
        held = f"its tensors are {', '.join(list(state)[:3])}, …" if state else "it has no tensors"
        raise WeightsError(f"{source} holds nothing for {describe(backbone)}: {held}.")
    for name, tensor in fitting.items():
        if tensor.shape != own[name].shape:
            raise WeightsError(
                f"{source} does not fit {describe(backbone)}: {name} is {list(own[name].shape)} here and "
                f"{list(tensor.shape)} there; give {' and '.join(backbone.shape_arguments) or 'the arguments'} as the "
                "weights were trained with, unless they are another network's."
            )
    backbone.load_state_dict(fitting, strict=False)
    counters = "num_batches_tracked"  # older files lack it, and nothing but an unset momentum needs it
    missing = tuple(name for name in own if name not in fitting and not name.endswith(counters))
    return LoadReport(source, len(fitting), missing, tuple(left_over))


def read_state(path: Path) -> State:
    """Reads the tensors of a checkpoint file, of a run of ours those of its backbone; see :func:`read_checkpoint`.

    Raises:
        WeightsError: the file is absent, unsafe or no checkpoint.
    """
    state = tensors_of(read_checkpoint(path), path)
    # the first two hold a head as well, which is nothing for a backbone
    for prefix in PREFIXES:
        inside = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if inside:
            return inside
    return state


def read_checkpoint(path: Path) -> object:
    """Reads all that a checkpoint file holds without running any code that it may hold.

    Raises:
        WeightsError: the file is absent, unsafe or no checkpoint.
    """
    if path.is_dir():
        raise WeightsError(f"There is no weights file {path}, which is a folder: name a file in it.")
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as error:  # the library's own exception type is not public
            raise WeightsError(f"{path} is no safetensors file: {error}.") from error
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # training scripts store their options so
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} was refused: it is no plain checkpoint of tensors, and reading it could run code that it holds; "
            "save its state_dict alone, or as safetensors."
        ) from error
    except Exception as error:  # what is no checkpoint fails in the unpickler in every way there is
        raise WeightsError(f"{path} is no checkpoint that PyTorch can read ({type(error).__name__}).") from error


def tensors_of(content: object, path: Path) -> State:
    """The tensors among the ``content`` of the checkpoint ``path``, wherever its writer keeps them.

    Raises:
        WeightsError: there is no dictionary.
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
        WeightsError: there is no such name, or the download fails.
    """
    return _online(name, _fetch_torchvision if "_Weights." in name else _fetch_timm)


def _online(name: str, download: Callable[[str], State]) -> State:
    try:
        return download(name)
    except (URLError, OSError, RuntimeError) as error:  # RuntimeError: what arrived is damaged
        raise WeightsError(
            f"The weights {name} could not be downloaded ({type(error).__name__}: {first_line(error)}); where there "
            "is no network, pass a file that holds them instead of their name."
        ) from error


def _fetch_torchvision(name: str) -> State:
    from torchvision.models import get_weight

    try:
        url = get_weight(name).url
    except (ValueError, KeyError) as error:
        raise WeightsError(f"torchvision publishes no weights {name!r}: {first_line(error)}.") from error
    return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)


def _fetch_timm(name: str) -> State:
    import timm

    if not timm.is_model(name.partition(".")[0]):
        raise WeightsError(f"There is neither a file nor a published set of weights called {name!r}.")
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except RuntimeError as error:  # timm's way of saying that a tag is unknown or has no weights
        raise WeightsError(f"timm publishes no weights {name!r}: {first_line(error)}.") from error


def describe(part: nn.Module) -> str:
    """What messages call a part: its class with the arguments that were given."""
    arguments = ", ".join(f"{k}={v!r}" for k, v in getattr(part, "init_args", {}).items())
    return f"{type(part).__name__}({arguments})"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")
