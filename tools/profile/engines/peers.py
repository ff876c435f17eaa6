"""Networks of other libraries, which `litmobile profile` takes as the reference."""

from __future__ import annotations

from functools import partial

import torch
from torchvision.models import detection, get_model, list_models, segmentation

from ....errors import UserError, suggest
from ..targets import place
from .prepared import Prepared, place_images, wait_for

TORCHVISION = "torchvision/"


def prepare_torchvision(text: str, device: torch.device) -> Prepared:
    """Prepares a torchvision network with random weights on PyTorch's eager mode, with its own postprocessing.

    Args:
        text: such as "torchvision/ssdlite320_mobilenet_v3_large".
        device: of the network.

    Raises:
        UserError: torchvision has no such network.
    """
    name = text.removeprefix(TORCHVISION)
    if name not in list_models():
        raise UserError(f"torchvision has no network {name!r}{suggest(name, list_models())}")
    torch.manual_seed(0)
    is_classifier = name not in (*list_models(detection), *list_models(segmentation))
    options = {} if is_classifier else {"weights_backbone": None}
    network = place(get_model(name, weights=None, **options).eval(), device)
    is_detector = name in list_models(detection)

    @torch.inference_mode()
    def run(images: torch.Tensor) -> object:
        values = images.float() / 255
        found = network(list(values) if is_detector else values)
        wait_for(device)
        return found

    return Prepared(partial(place_images, device=device), run)
