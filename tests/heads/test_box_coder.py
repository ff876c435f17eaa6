"""The box coder has SSD's weights, and decoding undoes encoding."""

from __future__ import annotations

import math

import pytest
import torch

from litmobile.heads.ssdlite.box_coder import decode_boxes, encode_boxes
from support.data.boxes import boxes_in


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-3)], ids=str)
def test_decoding_undoes_encoding(dtype: torch.dtype, tolerance: float) -> None:
    boxes, anchors = boxes_in((240, 320), 500).to(dtype), boxes_in((240, 320), 500, seed=1).to(dtype)
    offsets = encode_boxes(boxes, anchors)
    kept = offsets[:, 2:].amax(1) < 5 * math.log(1000 / 16)  # larger ratios are clipped
    decoded = decode_boxes(offsets, anchors)
    assert kept.sum() > 400
    torch.testing.assert_close(decoded[kept], boxes[kept], rtol=0, atol=tolerance)


def test_offsets_have_the_papers_weights() -> None:
    anchor, box = torch.tensor([10.0, 20.0, 30.0, 60.0]), torch.tensor([14.0, 30.0, 54.0, 50.0])
    expected = torch.tensor([10 * 14 / 20, 0, 5 * math.log(2), 5 * math.log(0.5)])
    torch.testing.assert_close(encode_boxes(box, anchor), expected)


def test_untrained_offsets_cannot_overflow() -> None:
    decoded = decode_boxes(torch.full((1, 4), 1e4), torch.tensor([[0.0, 0.0, 16.0, 16.0]]))
    assert decoded.isfinite().all()
