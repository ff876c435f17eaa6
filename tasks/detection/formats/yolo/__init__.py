"""Reads data sets in YOLO's format."""

from .format import YoloFormat as YoloFormat
