"""Writes a few images and objects in every layout of a detection data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

CLASSES = ("fish", "cat", "sea horse")  # not in alphabetical order
CODES = {"fish": "/m/0ch_cf", "cat": "/m/01yrx", "sea horse": "/m/0nybt"}


class Image(NamedTuple):
    """An image: its split, stem, (height, width), and the classes and boxes x1, y1, x2, y2 of its objects."""

    split: str
    stem: str
    size: tuple[int, int]
    objects: Sequence[tuple[str, tuple[int, int, int, int]]]


IMAGES = (
    Image("train", "a b", (40, 80), [("fish", (8, 4, 40, 20)), ("cat", (40, 10, 80, 40))]),
    Image("train", "a b.v2", (50, 50), []),
    Image("train", "c", (64, 32), [("sea horse", (1, 2, 3, 4)), ("sea horse", (0, 0, 32, 64)), ("cat", (5, 5, 9, 9))]),
    Image("val", "d", (30, 60), [("cat", (6, 3, 12, 30)), ("fish", (30, 15, 60, 30))]),
    Image("val", "e", (20, 20), [("sea horse", (4, 4, 16, 10))]),
)
Write = Callable[[Path], None]


def write_text(path: Path, text: str) -> None:
    """Write a file, and create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_image(path: Path, size: tuple[int, int]) -> None:
    """Write an image of (height, width), and create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, np.full((*size, 3), 90, dtype=np.uint8))[1].tobytes())


def write_images(root: Path, pattern: str = "images/{split}") -> None:
    """Write all images to the folders that ``pattern`` names."""
    for image in IMAGES:
        write_image(root / pattern.format(split=image.split) / f"{image.stem}.png", image.size)


def of_split(split: str) -> list[Image]:
    """Return the images of a split; of all with ""."""
    return [image for image in IMAGES if split in ("", image.split)]


# COCO


def make_coco(split: str = "", prefix: str = "", placeholder: bool = False) -> str:
    """Return a COCO file of a split, whose file names begin with ``prefix``."""
    images = [
        {"id": k, "file_name": f"{prefix.format(split=i.split)}{i.stem}.png", "height": i.size[0], "width": i.size[1]}
        for k, i in enumerate(of_split(split))
    ]
    objects = [(k, *thing) for k, image in enumerate(of_split(split)) for thing in image.objects]
    annotations = [
        {"id": n, "image_id": k, "category_id": 1 + CLASSES.index(name), "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for n, (k, name, (x1, y1, x2, y2)) in enumerate(objects)
    ]
    categories = [{"id": 1 + k, "name": name, "supercategory": "animals"} for k, name in enumerate(CLASSES)]
    if placeholder:
        categories.insert(0, {"id": 0, "name": "animals", "supercategory": "none"})
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def write_coco(root: Path) -> None:
    for split in ("train", "val"):
        write_text(root / f"annotations/instances_{split}2017.json", make_coco(split))
        write_text(root / f"annotations/captions_{split}2017.json", '{"images": [], "annotations": []}')
        write_text(root / f"annotations/person_keypoints_{split}2017.json", make_coco(split))
    write_images(root, "{split}2017")


def write_coco_images_folder(root: Path) -> None:
    for split in ("train", "val"):
        write_text(root / f"annotations/instances_{split}.json", make_coco(split))
    write_images(root)


def write_coco_one_file(root: Path) -> None:
    write_text(root / "export-7.json", make_coco(prefix="{split}/"))
    write_images(root, "pictures/{split}")


def write_roboflow_coco(root: Path) -> None:
    for split, folder in (("train", "train"), ("val", "valid")):
        write_text(root / folder / "_annotations.coco.json", make_coco(split, placeholder=True))
        for image in of_split(split):
            write_image(root / folder / f"{image.stem}.png", image.size)
    write_text(root / "README.roboflow.txt", "Exported.\n")


# Pascal VOC


def make_voc(image: Image) -> str:
    """Return Pascal VOC's file of an image, as labelImg writes it."""
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in image.objects
    )
    size = f"<size><width>{image.size[1]}</width><height>{image.size[0]}</height></size>"
    return f'<annotation verified="yes"><filename>{image.stem}.png</filename>{size}{objects}</annotation>'


def write_voc(root: Path) -> None:
    folder = root / "VOCdevkit/VOC2012"
    for image in IMAGES:
        write_text(folder / f"Annotations/{image.stem}.xml", make_voc(image))
        write_image(folder / f"SegmentationClass/{image.stem}.png", image.size)
    for split in ("train", "val"):
        write_text(folder / f"ImageSets/Main/{split}.txt", "".join(f"{image.stem}\n" for image in of_split(split)))
        write_text(folder / f"ImageSets/Main/cat_{split}.txt", "".join(f"{i.stem} -1\n" for i in of_split(split)))
    write_images(folder, "JPEGImages")


def write_voc_folders(root: Path) -> None:
    for image in IMAGES:
        write_text(root / f"xmls/{image.split}/{image.stem}.xml", make_voc(image))
    write_images(root)


def write_voc_beside(root: Path) -> None:
    for image in IMAGES:
        write_text(root / f"{image.split}/{image.stem}.xml", make_voc(image))
    write_images(root, "{split}")


# YOLO


def make_yolo(image: Image) -> str:
    """Return YOLO's file of an image."""
    height, width = image.size
    rows = [
        (CLASSES.index(name), (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        for name, (x1, y1, x2, y2) in image.objects
    ]
    return "".join("{} {:.6f} {:.6f} {:.6f} {:.6f}\n".format(*row) for row in rows)


def write_yolo_labels(root: Path, pattern: str) -> None:
    """Write label files to the folders that ``pattern`` names, none for an image without objects."""
    for image in IMAGES:
        if image.objects:
            write_text(root / pattern.format(split=image.split) / f"{image.stem}.txt", make_yolo(image))


def write_yolo(root: Path) -> None:
    write_images(root)
    write_yolo_labels(root, "labels/{split}")
    names = "".join(f"  {k}: {name}\n" for k, name in enumerate(CLASSES))
    write_text(root / "data.yaml", f"path: ../datasets/x\ntrain: images/train\nval: images/val\ntest:\nnames:\n{names}")
    write_text(root / "labels/train.cache", "not a label file")


def write_roboflow_yolo(root: Path) -> None:
    write_images(root, "{split}/images")
    write_yolo_labels(root, "{split}/labels")
    splits = "train: ../train/images\nval: ../val/images\ntest: ../test/images\n"
    write_text(root / "data.yaml", f"{splits}nc: 3\nnames: {json.dumps(CLASSES)}\n")
    write_text(root / "README.dataset.txt", "2 0.5 0.5 1 1\n")


def write_yolo_beside(root: Path) -> None:
    write_images(root, "{split}")
    write_yolo_labels(root, "{split}")
    for split in ("train", "val"):
        write_text(root / split / "classes.txt", "\n".join(CLASSES))


def write_darknet(root: Path) -> None:
    write_images(root, "obj_data")
    write_yolo_labels(root, "obj_data")
    write_text(root / "obj.names", "\n".join(CLASSES))
    write_text(
        root / "obj.data", "classes = 3\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    )
    for split, file in (("train", "train.txt"), ("val", "valid.txt")):
        write_text(root / file, "".join(f"data/obj_data/{image.stem}.png\n" for image in of_split(split)))


# others


def write_cvat(root: Path) -> None:
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    images = "".join(
        f'<image id="{k}" name="{i.split}/{i.stem}.png" width="{i.size[1]}" height="{i.size[0]}">'
        + "".join(
            f'<box label="{name}" occluded="1" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>'
            for name, (x1, y1, x2, y2) in i.objects
        )
        + "</image>"
        for k, i in enumerate(IMAGES)
    )
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    write_text(root / "annotations.xml", f"<annotations><version>1.1</version>{meta}{images}</annotations>")
    write_images(root)


def make_labelme(image: Image) -> str:
    """Return LabelMe's file of an image; rectangles begin at any corner."""
    shapes = [
        {"label": name, "points": [[x2, y1], [x1, y2]], "shape_type": "rectangle", "group_id": 1}
        for name, (x1, y1, x2, y2) in image.objects
    ]
    path = f"..\\images\\{image.split}\\{image.stem}.png"
    sides = {"imageHeight": image.size[0], "imageWidth": image.size[1]}
    return json.dumps({"version": "5.5.0", "shapes": shapes, "imagePath": path, "imageData": None} | sides)


def write_labelme(root: Path) -> None:
    for image in IMAGES:
        write_text(root / image.split / f"{image.stem}.json", make_labelme(image))
    write_images(root, "{split}")


def make_open_images(split: str) -> str:
    """Return Open Images' boxes of a split."""
    rows = [
        f"{i.stem},xclick,{CODES[name]},1,{x1 / i.size[1]},{x2 / i.size[1]},{y1 / i.size[0]},{y2 / i.size[0]},0\n"
        for i in of_split(split)
        for name, (x1, y1, x2, y2) in i.objects
    ]
    return "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n" + "".join(rows)


def write_open_images(root: Path) -> None:
    write_text(root / "oidv6-train-annotations-bbox.csv", make_open_images("train"))
    write_text(root / "validation-annotations-bbox.csv", make_open_images("val"))
    write_text(root / "class-descriptions-boxable.csv", "".join(f"{code},{name}\n" for name, code in CODES.items()))
    for split, folder in (("train", "train"), ("val", "validation")):
        for image in of_split(split):
            write_image(root / folder / f"{image.stem}.png", image.size)


def write_fiftyone(root: Path) -> None:
    for split, folder in (("train", "train"), ("val", "validation")):
        write_text(root / folder / "labels/detections.csv", make_open_images(split))
        write_text(root / folder / "metadata/classes.csv", "".join(f"{code},{name}\n" for name, code in CODES.items()))
        for image in of_split(split):
            write_image(root / folder / f"data/{image.stem}.png", image.size)


#: writes the images in a layout, by a name of it
LAYOUTS: dict[str, Write] = {
    "COCO": write_coco,
    "COCO with images/SPLIT": write_coco_images_folder,
    "COCO in one file of any name": write_coco_one_file,
    "Roboflow's COCO": write_roboflow_coco,
    "VOC with ImageSets": write_voc,
    "VOC without ImageSets": write_voc_folders,
    "VOC beside images": write_voc_beside,
    "YOLO": write_yolo,
    "Roboflow's YOLO": write_roboflow_yolo,
    "YOLO beside images": write_yolo_beside,
    "Darknet": write_darknet,
    "CVAT": write_cvat,
    "LabelMe": write_labelme,
    "Open Images": write_open_images,
    "FiftyOne's Open Images": write_fiftyone,
}
#: their classes are sorted, as no file lists them
UNLISTED = ("VOC", "LabelMe", "Open Images", "FiftyOne")
#: images without objects are left out, as the file does not mention them
NO_EMPTY_IMAGES = ("Open Images", "FiftyOne's Open Images")
