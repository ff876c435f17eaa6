"""A segmentation's labels are the argmax of its resized scores for any geometry."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from litmobile.heads.predictions import ResizeGeometry, Segmentation

GEOMETRIES = {
    "enlarged": ResizeGeometry(90, 130, 0, 0, 40, 56),
    "shrunk": ResizeGeometry(17, 23, 0, 0, 40, 56),
    "enlarged one way": ResizeGeometry(90, 23, 0, 0, 40, 56),
    "the middle": ResizeGeometry(71, 33, 5, 9, 30, 20),
    "as it is": ResizeGeometry(40, 56, 0, 0, 40, 56),
    "a part as it is": ResizeGeometry(20, 30, 3, 4, 20, 30),
    "a pixel": ResizeGeometry(1, 1, 0, 0, 40, 56),
    "of a pixel": ResizeGeometry(12, 9, 7, 7, 1, 1),
}
LAYOUTS = {
    "a class after another": lambda scores: scores,
    "a pixel after another": lambda scores: scores.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "half of a batch": lambda scores: torch.stack((scores, scores))[1],
}


def scores_of(classes: int) -> Tensor:
    return torch.randn(classes, 40, 56, generator=torch.Generator().manual_seed(classes))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("classes", [1, 2, 21])
def test_labels_equal_the_argmax_of_resized_scores(classes: int, geometry: ResizeGeometry, layout: str) -> None:
    found = Segmentation(LAYOUTS[layout](scores_of(classes))).to_image(geometry)
    assert found.scores.shape == (classes, geometry.height, geometry.width)
    assert found.labels.dtype == torch.int64
    assert torch.equal(found.labels, found.scores.argmax(0))


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_scores_are_resized_bilinearly(geometry: ResizeGeometry) -> None:
    scores = scores_of(5).double()
    shown = scores[:, geometry.top : geometry.top + geometry.rows, geometry.left : geometry.left + geometry.columns]
    size = (geometry.height, geometry.width)
    expected = F.interpolate(shown[None], size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(Segmentation(scores).to_image(geometry).scores, expected, rtol=0, atol=1e-12)


def test_scores_without_geometry_are_unchanged() -> None:
    scores = scores_of(3)
    assert Segmentation(scores).scores is scores
    assert torch.equal(Segmentation(scores).labels, scores.argmax(0))


def test_first_class_wins_equal_scores() -> None:
    scores = torch.tensor([0.0, 1.0, 1.0, 1.0])[:, None, None].expand(4, 6, 8)
    assert (Segmentation(scores).labels == 1).all()
    assert (Segmentation(scores).to_image(ResizeGeometry(13, 5, 0, 0, 6, 8)).labels == 1).all()


def test_labels_work_after_inference_mode() -> None:
    with torch.inference_mode():
        found = Segmentation(scores_of(3)).to_image(GEOMETRIES["as it is"])
    assert torch.equal(found.labels, found.scores.argmax(0))


def test_labels_resize_one_class_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = F.interpolate

    def counted(plane: Tensor, size: tuple[int, int], mode: str, align_corners: bool) -> Tensor:
        asked.append(plane.shape[0] * plane.shape[1])
        return whole(plane, size=size, mode=mode, align_corners=align_corners)

    monkeypatch.setattr(F, "interpolate", counted)
    found = Segmentation(scores_of(21)).to_image(GEOMETRIES["enlarged"])
    assert not asked, "resizing waits"
    assert found.labels is found.labels
    assert asked == [1] * 21, "class by class, and once"
