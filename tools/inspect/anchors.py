"""Measures how well a network's anchors fit the objects of a data set, and suggests anchors that fit better."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import torch
import yaml
from torch import Tensor

from ...backbones.contract import Feature, Features, public_path
from ...heads.ssdlite import SSDLite
from ...heads.ssdlite.anchor_recall import measure_anchor_recall
from ...heads.ssdlite.anchor_search import AnchorOptions, search_anchors
from ...tasks.detection import DetectionSplit, DetectionTask
from ...tasks.detection.anchors import measure_grids, read_options, select_objects
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from .figures import Column, Facts, format_table


def measure_anchors(task: Task | None, name: str, split: DetectionSplit, preprocessing: Preprocessing) -> Facts | str:
    """Measures how well anchors fit a split's objects without augmentation, or returns why this cannot be measured.

    Args:
        task: its network's anchors are measured. Default: the published SSDLite.
        name: name of the split.
        split: its objects are measured.
        preprocessing: how images become the input.
    """
    boxes, labels, owners, step = select_objects(split, preprocessing)
    if not len(boxes):
        return f"{split.source} has no objects to measure anchors on."
    head, maps = published_head(preprocessing) if task is None else build_head(task, split.classes)
    if not isinstance(head, SSDLite):
        return f"{type(head).__name__} has no anchors."
    grids, own = measure_grids(head, maps), read_options(head)
    better = search_anchors(boxes, labels, grids, preprocessing.size, own, head.iou_thresh)

    def measure(options: AnchorOptions) -> Facts:
        anchors = options.build_generator()(grids, preprocessing.size, boxes)
        iou, positives = measure_anchor_recall(boxes, owners, anchors, head.iou_thresh)
        values = {"recall": iou >= head.iou_thresh, "iou": iou, "positives": positives}
        rows: list[Facts] = []
        for label, chosen in (("all", labels >= 0), *((label, labels == k) for k, label in enumerate(split.classes))):
            means = {key: x[chosen].double().mean().item() if chosen.any() else None for key, x in values.items()}
            rows.append({"name": label, "objects": int(chosen.sum()), **means})
        return {
            "options": {key: x if isinstance(x, str) else list(x) for key, x in options._asdict().items()},
            "anchors": len(anchors),
            "overall": rows[0],
            "classes": rows[1:],
        }

    return {
        "split": name,
        "image_step": step,  # every image_step-th image is measured
        "is_published": task is None,
        "task": public_path(DetectionTask if task is None else type(task)),
        "head": public_path(type(head)),
        "iou_thresh": head.iou_thresh,
        "grids": grids,  # (rows, columns) of each feature map, finest first
        "present": measure(own),
        "suggested": None if better is own else measure(better),
    }


def build_head(task: Task, classes: Sequence[str]) -> tuple[Any, dict[str, Tensor]]:
    """Builds the head that ``task`` trains, and feature maps of its backbone."""
    network = task.build_network(classes).eval()
    with torch.inference_mode():
        return network.head, network.backbone(torch.zeros(1, 3, *task.preprocessing.size))


def published_head(preprocessing: Preprocessing) -> tuple[SSDLite, dict[str, Tensor]]:
    """Builds SSDLite with the published strides and anchors but few channels, and feature maps for it."""
    features = {"c4": Feature(1, 16), "final": Feature(1, 32)}
    maps = {name: torch.zeros(1, 1, *(-(-n // f.stride) for n in preprocessing.size)) for name, f in features.items()}
    return SSDLite(Features(features, width=0.01), num_classes=1).eval(), maps


def format_anchors(found: Facts) -> str:
    """Formats the anchors and their fit to the objects; better anchors also as flags and YAML to copy."""
    present, suggested = found["present"], found["suggested"]
    whose = "the published SSDLite (no model is given)" if found["is_published"] else "the model"
    images = "" if found["image_step"] == 1 else f"one image in {found['image_step']} of "
    rows = [{**row, "present": row} for row in (*present["classes"], present["overall"])]
    columns = [Column("class", "name"), Column("objects"), *recall_columns("present")]
    if suggested is not None:
        columns += [Column("suggested:", ""), *recall_columns("suggested")]
        for row, better in zip(rows, (*suggested["classes"], suggested["overall"]), strict=True):
            row["suggested"] = better
    lines = [
        f"Anchors of {whose} on the objects of {images}{found['split']}, without augmentation",
        f"feature maps: {', '.join(f'{columns}×{rows}' for rows, columns in found['grids'])} cells",
        f"present:   {format_options(present)}",
        f"suggested: {'no better anchors were found' if suggested is None else format_options(suggested)}",
        "",
        format_table(columns, rows),
        f"recall: share of objects with an IoU of at least {found['iou_thresh']:g} with an anchor",
        "IoU: mean over objects of the best anchor's; anchors: mean number of anchors matched to an object",
    ]
    if suggested is not None:
        options = suggested["options"]
        flags = [f"--model.head.{name}={value}".replace(", ", ",") for name, value in options.items()]
        head = {"class_path": found["head"], "init_args": options}
        model = {"model": {"class_path": found["task"], "init_args": {"head": head}}}
        text = yaml.safe_dump(model, default_flow_style=None, sort_keys=False, width=1000).rstrip()
        lines += ["", "suggested as flags:", f"  {shlex.join(flags)}"]  # quoted: shells interpret brackets
        lines.append("suggested as YAML, for a second --config file after the training's own:")
        lines += [f"  {line}" for line in text.splitlines()]
    return "\n".join(lines)


def recall_columns(anchors: str) -> list[Column]:
    """Columns for the fit of "present" or "suggested" anchors."""
    measures = (("recall", "recall", ".1%"), ("IoU", "iou", ".3f"), ("anchors", "positives", ".1f"))
    return [Column(header, f"{anchors}.{key}", spec) for header, key, spec in measures]


def format_options(anchors: Facts) -> str:
    """Formats SSDLite's arguments and the number of anchors that they give."""
    scales = ", ".join(f"{scale:.3g}" for scale in anchors["options"]["anchor_scales"])
    ratios = ", ".join(map(str, anchors["options"]["aspect_ratios"]))
    return f"scales {scales}; ratios {ratios}; layout {anchors['options']['layout']}; {anchors['anchors']} anchors"
