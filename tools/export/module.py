"""The form of a network that is exported: uint8 images in, named plain tensors out, normalisation inside."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import torch
from timm.utils.model import reparameterize_model
from torch import Tensor, nn

from ...backbones.timm_backbone import TimmBackbone
from ...errors import UserError, first_line
from ...heads.contract import Head
from ...heads.ssdlite.decode import PostprocessConfig
from ...tasks.network import Network, name_parts
from ...versions import list_versions
from ..engines.description import Description, find_role

Trained = TypeVar("Trained", bound=nn.Module)
SegmentationOutput = Literal["labels", "logits"]


class ExportModule(nn.Module):
    """A network as exported files contain it.

    Args:
        network: is copied, and its timm parts are reparameterised to their form for deployment.
        segmentation: what a segmentation network outputs: "labels" ``[N, H, W]`` uint8, or "logits".
        relative_boxes: whether boxes are relative to the size of the input, 0 … 1, instead of in pixels.

    Attributes:
        role: "detection", "segmentation" or "classification".
        outputs: names of the outputs.
        size: (height, width) of the input.
        postprocess: of a detector, what turns its outputs into detections; empty for others.

    Raises:
        UserError: the head cannot be exported, or the network cannot take images of its input's size.
    """

    scale: Tensor
    shift: Tensor
    box_unit: Tensor

    def __init__(
        self, network: Network, segmentation: SegmentationOutput = "labels", relative_boxes: bool = False
    ) -> None:
        super().__init__()
        network = reparameterize(network)
        self.backbone, self.head = network.backbone, network.head
        self.size = network.preprocessing.size
        self.returns_labels = segmentation == "labels"
        # (x / 255 − mean) / std, as one product and one sum
        self.register_buffer("scale", 1 / (255 * network.std.double()).float())
        self.register_buffer("shift", (-network.mean.double() / network.std.double()).float())
        height, width = self.size
        self.register_buffer("box_unit", torch.tensor([width, height, width, height], dtype=torch.float32))
        self.relative_boxes = relative_boxes
        self.eval()
        self.outputs = self._list_outputs()
        self.role = find_role(self.outputs)  # an own head may not declare its role
        if not self.role:
            raise UserError(
                f"{type(self.head).__name__} cannot be exported: its exported_outputs must be probabilities, "
                f"logits, or boxes and scores, not {', '.join(self.outputs)}."
            )
        self.postprocess = read_postprocess(self.head) if self.role == "detection" else {}

    def _list_outputs(self) -> tuple[str, ...]:
        """Returns the names of the outputs; raises UserError if the network cannot take images of this size."""
        try:
            return tuple(self.named_outputs(torch.zeros(1, 3, *self.size, dtype=torch.uint8)))
        except UserError:
            raise
        except Exception as error:  # networks fail in any way
            network, (height, width) = name_parts(self.backbone, self.head), self.size
            raise UserError(
                f"{network} does not take images of {height}×{width} pixels: {first_line(error)}."
            ) from error

    @torch.inference_mode()
    def count_anchors(self) -> int:
        """Returns the number of boxes of a detector before suppression."""
        boxes = self.named_outputs(torch.zeros(1, 3, *self.size, dtype=torch.uint8))["boxes"]
        return boxes.shape[1]

    def named_outputs(self, images: Tensor) -> dict[str, Tensor]:
        """Images ``[N, 3, H, W]`` uint8 → outputs by name."""
        maps = self.backbone(images.float() * self.scale + self.shift)
        outputs = self.head.exported_outputs(self.head(maps, self.size), self.size)
        if self.returns_labels and "logits" in outputs:
            outputs = {"labels": outputs["logits"].argmax(1).to(torch.uint8)}
        if self.relative_boxes and "boxes" in outputs:
            outputs["boxes"] = outputs["boxes"] / self.box_unit
        return outputs

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images ``[N, 3, H, W]`` uint8 → the tensors that ``outputs`` names."""
        return tuple(self.named_outputs(images).values())


def read_postprocess(head: Head) -> dict[str, Any]:
    """Returns the thresholds and limits of a detector.

    Raises:
        UserError: a detector has none.
    """
    config = getattr(head, "postprocess", None)
    if not isinstance(config, PostprocessConfig):
        raise UserError(
            f"{type(head).__name__} cannot be exported: define its attribute postprocess, a PostprocessConfig."
        )
    return config._asdict()


def describe_module(network: Network, module: ExportModule, run: Mapping[str, Any] | None = None) -> Description:
    """Describes the file of ``module``, which was made from ``network``; a detector's stops before suppression.

    Args:
        network: what is exported.
        module: its exported form.
        run: the run that it comes from; None without one.
    """
    return Description(
        role=module.role,
        classes=network.classes,
        preprocessing=network.preprocessing,
        outputs=module.outputs,
        postprocess={**module.postprocess, "is_inside": False} if module.postprocess else {},
        run=run or {},
        versions=list_versions(),
    )


def reparameterize(network: Trained) -> Trained:
    """Returns a copy for inference on the CPU, with timm's RepVGG, MobileOne and the like in their deployment form."""
    network = copy.deepcopy(network).cpu().eval()
    for part in network.modules():
        if isinstance(part, TimmBackbone):  # in other parts, timm would call whatever is named "fuse"
            part.net = reparameterize_model(part.net, inplace=True)
    return network
