"""A detector's postprocessing as an ONNX graph: boxes and scores of all anchors → detections."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx.compose
import onnx.parser

from ....heads.ssdlite.decode import PostprocessConfig

#: outputs of the graph
DETECTIONS = ("boxes", "scores", "labels", "count")
PREFIX = "postprocess/"  # of all names, which the network's names must differ from


def append_postprocess(network: onnx.ModelProto, anchors: int, classes: int, config: PostprocessConfig) -> None:
    """Replaces the outputs "boxes" and "scores" of ``network`` with ``DETECTIONS``.

    The steps are those of :func:`litmobile.heads.ssdlite.decode.select_detections`, for any batch size: scores below
    the limit of candidates of their class become 0, each class is suppressed, and the best of all classes are taken.
    Rows without a detection have score 0, label −1 and a box of zeros.

    Args:
        network: is changed; its outputs are boxes ``[N, A, 4]`` and scores ``[N, A, C]``.
        anchors: A.
        classes: C.
        config: thresholds and limits.
    """
    most = min(config.detections_per_img, anchors * classes)
    opset = next(entry.version for entry in network.opset_import if entry.domain in ("", "ai.onnx"))
    text = "\n".join(list_nodes(anchors, config, most))
    model = onnx.parser.parse_model(f"""
        <ir_version: {network.ir_version}, opset_import: ["": {opset}]>
        postprocess (float[N, {anchors}, 4] boxes, float[N, {anchors}, {classes}] scores)
        => (float[N, {most}, 4] best_boxes, float[N, {most}] best_scores, int64[N, {most}] labels, int64[N] count)
        {{ {text} }}""")
    model = onnx.compose.add_prefix(model, PREFIX)
    merged = onnx.compose.merge_models(
        network, model, [(name, PREFIX + name) for name in ("boxes", "scores")], name=network.graph.name
    )
    rename_values(merged.graph, {"boxes": "all_boxes", "scores": "all_scores"})
    names = ("best_boxes", "best_scores", "labels", "count")
    rename_values(merged.graph, {PREFIX + old: new for old, new in zip(names, DETECTIONS, strict=True)})
    del merged.opset_import[1:]  # merging lists the one opset twice
    network.CopyFrom(merged)


def list_nodes(anchors: int, config: PostprocessConfig, most: int) -> Iterator[str]:
    """Yields the lines of the graph, in ONNX's text format."""
    for name, kind, value in (
        ("first_axis", "int64[1]", 1),
        ("last_axis", "int64[1]", 2),
        ("most", "int64[1]", most),
        ("most_candidates", "int64[1]", min(config.topk_candidates, anchors)),
        ("anchors", "int64", anchors),
        ("per_class", "int64", most),
        ("iou", "float", config.nms_thresh),
        ("threshold", "float", config.score_thresh),
        ("zero", "float", 0.0),
        ("none", "int64", -1),
        ("rows", "int64[2]", None),
    ):
        braces = "{0, -1}" if value is None else f"{{{value}}}"
        yield f"{name} = Constant <value = {kind} {braces}> ()"
    yield "by_class = Transpose <perm = [0, 2, 1]> (scores)"
    limited = "by_class"
    if config.topk_candidates < anchors:
        yield "candidates, ignored = TopK <axis = 2, sorted = 0> (by_class, most_candidates)"
        yield "limit = ReduceMin (candidates, last_axis)"
        yield "is_candidate = GreaterOrEqual (by_class, limit)"
        yield "limited = Where (is_candidate, by_class, zero)"
        limited = "limited"
    yield f"kept = NonMaxSuppression (boxes, {limited}, per_class, iou, threshold)"  # rows of image, class, anchor
    yield f"kept_scores = GatherND ({limited}, kept)"
    yield "shape = Shape (by_class)"
    yield "zeros = ConstantOfShape (shape)"
    yield "remaining = ScatterND (zeros, kept, kept_scores)"
    yield "flat = Reshape (remaining, rows)"
    yield "best_scores, order = TopK <axis = 1> (flat, most)"
    yield "is_found = Greater (best_scores, zero)"
    yield "found = Cast <to = 7> (is_found)"
    yield "count = ReduceSum <keepdims = 0> (found, first_axis)"
    yield "class = Div (order, anchors)"
    yield "labels = Where (is_found, class, none)"
    yield "anchor = Mod (order, anchors)"
    yield "anchor_index = Unsqueeze (anchor, last_axis)"
    yield "chosen = GatherND <batch_dims = 1> (boxes, anchor_index)"
    yield "has_box = Unsqueeze (is_found, last_axis)"
    yield "best_boxes = Where (has_box, chosen, zero)"


def rename_values(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Renames values of ``graph`` wherever they occur."""
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
