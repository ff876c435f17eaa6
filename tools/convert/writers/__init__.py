"""Writers of detection data: one module for each format."""

from .base import Writer as Writer
from .coco import CocoWriter
from .voc import VocWriter
from .yolo import YoloWriter

#: by the name of the format
WRITERS: dict[str, type[Writer]] = {"coco": CocoWriter, "voc": VocWriter, "yolo": YoloWriter}
