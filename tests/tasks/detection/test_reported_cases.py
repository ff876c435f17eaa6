"""Small data sets that users reported: each is read with the stated note, or refused with the stated reason."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection import FolderDetection

OneSentence = Callable[..., None]
#: what a note says, by folder; "" for no note beyond the line on the format
READ = {
    "bug-area-values/areaneg": "4 areas below 0 or without a number",
    "bug-area-values/areastr": "4 areas below 0 or without a number",
    "bug-area-values/stat": "4 areas below 0 or without a number",
    "bug-categories-differ/valfewer": "lacks the classes b",
    "bug-categories-differ/valids": "",
    "bug-categories-differ/valorder": "",
    "bug-category-names/intnames": "",
    "bug-category-names/noname": "",
    "bug-coco-derivable/backslash": "",
    "bug-coco-derivable/floatid": "",
    "bug-coco-derivable/floatsize": "",
    "bug-coco-derivable/nosize": "4 sizes read from the images",
    "bug-coco-derivable/segonly": "4 boxes derived from polygons",
    "bug-coco-derivable/strbox": "4 boxes written as text",
    "bug-coco-derivable/strid": "",
    "bug-coco-layouts/cvat": "1 of 4 images, drawn with seed 0",
    "bug-coco-layouts/rf": "",
    "bug-exif-180/exif3_48": "4 images with an orientation that annotations cannot tell",
    "bug-exif-180/exif6_48": "",
    "bug-exif-180/exif6_64": "4 images with an orientation that annotations cannot tell",
    "bug-flags-as-text/crowdstr": "",
    "bug-flags-as-text/voc_diff": "",
    "bug-flags-as-text/voc_difffalse": "",
    "bug-left-out-but-counted/clean": "",
    "bug-left-out-but-counted/nan": "without area left out, in training and evaluation",
    "bug-left-out-but-counted/negw": "without area left out, in training and evaluation",
    "bug-left-out-but-counted/outside": "without area left out, in training and evaluation",
    "bug-left-out-but-counted/partly": "clipped to their image, in training and evaluation",
    "bug-left-out-but-counted/zerow": "without area left out, in training and evaluation",
    "bug-no-objects/noobjval": "no figures and no best checkpoint",
    "bug-two-categories-of-one-name/dupname": "1 placeholder category left out (fish)",
    "bug-two-categories-of-one-name/placeholder": "placeholder category",
    "bug-voc/voc_gif": "",
    "bug-voc/voc_nosize": "4 sizes read from the images",
    "bug-voc/voc_space": "",
    "bug-voc/voc_zero": "2 sizes read from the images",
    "heldout-coco-images-folder": "placeholder category left out (things)",
    "heldout-roboflow-coco": "placeholder category left out (things)",
    "heldout-voc-beside-pictures": "1 of 4 images, drawn with seed 0",
    "heldout-voc-no-imagesets": "1 of 5 images, drawn with seed 0",
}
#: words of the message, by folder
REFUSED = {
    "bug-category-names/n_newline": ["category 1", "one printable line"],
    "bug-category-names/n_surrogate": ["category 1", "one printable line"],
    "bug-coco-derivable/emptybbox": ["annotation 1", "bbox"],
    "bug-no-objects/noobjtrain": ["instances_train.json", "no objects"],
    "bug-no-objects/voc_swap": ["no objects"],
    "bug-voc/voc_entity": ["train0.xml", "line 1", "4 such"],
    "bug-voc/voc_latin": ["train0.xml", "line 1", "4 such"],
    "heldout-broken-late": ["4.jpg", "truncated"],
}


def read(root: Path) -> FolderDetection:
    data = FolderDetection(str(root), num_workers=0)
    data.setup("fit")
    return data


@pytest.mark.parametrize("case", READ)
def test_reported_data_is_read_with_a_note(case: str, reported: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(reported / case)
    assert READ[case] in " ".join(caplog.messages)
    assert READ[case] or len(caplog.messages) == 1


@pytest.mark.parametrize("case", sorted(READ.keys() - {"bug-no-objects/noobjval"}))
def test_objects_of_reported_data_as_detections_score_1(case: str, reported: Path) -> None:
    data = read(reported / case)
    split, evaluator = data.splits["val"], data.build_evaluator("val")
    for k in range(len(split)):
        boxes, labels = split.objects(k)
        evaluator.add(int(split.image_ids[k]), boxes, np.ones(len(boxes)), split.category_ids[labels])
    assert evaluator.compute().figures["AP"] == pytest.approx(1)


@pytest.mark.parametrize("case", ["exif3_48", "exif6_48", "exif6_64"])
def test_boxes_are_on_the_objects_of_rotated_images(case: str, reported: Path) -> None:
    split = read(reported / "bug-exif-180" / case).splits["train"]
    for k in range(len(split)):
        x1, y1, x2, y2 = split.objects(k)[0][0].astype(int)
        assert split.image(k)[y1:y2, x1:x2].mean() == pytest.approx(220, abs=3)


@pytest.mark.parametrize("case", REFUSED)
def test_reported_data_is_refused_with_the_reason(case: str, reported: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as refused:
        read(reported / case)
    assert_one_sentence(refused.value, *REFUSED[case])
