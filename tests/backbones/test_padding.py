"""The "same" padding equals TensorFlow's, and differs from "symmetric" padding."""

from __future__ import annotations

import pytest
import torch
from timm.layers import Conv2dSame

from litmobile.backbones import MobileNetV3
from litmobile.backbones.blocks import ConvConfig, ConvNormAct, SamePadConv2d


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (32, 47), (31, 8), (9, 5)], ids=str)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 4)])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_same_padding_is_tensorflows(kernel: int, stride: int, dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = SamePadConv2d(3, 4, kernel, stride, dilation=dilation)
    theirs = Conv2dSame(3, 4, kernel, stride, dilation=dilation)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, *size)
    found = ours(images)
    torch.testing.assert_close(found, theirs(images))
    assert found.shape[-2:] == tuple(-(-x // stride) for x in size)


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (32, 47)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_same_padded_layer_equals_tensorflows(kernel: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = ConvNormAct(3, 4, kernel, stride, act=None, config=ConvConfig(padding="same")).eval()
    theirs = Conv2dSame(3, 4, kernel, stride, bias=False)
    theirs.load_state_dict(ours.conv.state_dict())
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(ours(images), ours.norm(theirs(images)))


def test_same_and_symmetric_padding_differ_on_even_sizes() -> None:
    torch.manual_seed(0)
    symmetric, same = (MobileNetV3(variant="small", padding=padding).eval() for padding in ("symmetric", "same"))
    same.load_state_dict(symmetric.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(symmetric(images)["c1"], same(images)["c1"])
