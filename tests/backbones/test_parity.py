"""Every family that torchvision or timm also has computes the same with the same weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from litmobile.backbones import Backbone, MobileViT
from litmobile.backbones.weights import load_state
from litmobile.heads import Classifier
from support.families import TOLERANCES, format_id
from support.twins import TWINS, Twin, compute_reference_maps

Perturb = Callable[[nn.Module], nn.Module]
Deviation = Callable[[Tensor, Tensor], float]

NORMS = nn.modules.batchnorm._BatchNorm
CLASSIFIERS = {"classifier", "fc", "head", "conv_head"}


def pair(twin: Twin, perturb: Perturb, dtype: torch.dtype) -> tuple[Backbone, nn.Module]:
    """Builds our network and theirs with the same weights, loaded with their names."""
    torch.manual_seed(0)
    theirs = perturb(twin.theirs())
    ours = twin.ours()
    report = load_state(ours, theirs.state_dict(), "the twin")
    assert report.missing == ()
    assert {name.partition(".")[0] for name in report.unexpected} <= CLASSIFIERS
    momentum = next(m.momentum for m in theirs.modules() if isinstance(m, NORMS))
    for module in ours.modules():
        if isinstance(module, NORMS):
            module.momentum = momentum  # a recipe's choice, which differs in timm
    return ours.to(dtype), theirs.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=format_id)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS)
def test_maps_and_gradients_equal_the_references(
    twin: Twin, training: bool, dtype: torch.dtype, as_if_trained: Perturb, deviation: Deviation
) -> None:
    ours, theirs = pair(twin, as_if_trained, dtype)
    for network in (ours, theirs):
        network.train(training)
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    images = torch.randn(2, 3, 49, 65, dtype=dtype)
    our_images, their_images = images.clone().requires_grad_(), images.clone().requires_grad_()
    found, expected = ours(our_images), compute_reference_maps(theirs, twin.paths, their_images)
    assert set(found) == set(expected) == set(ours.features)
    tolerance = TOLERANCES[dtype]
    for name, x in found.items():
        assert deviation(x, expected[name]) <= tolerance, name

    directions = {name: torch.randn_like(x) for name, x in found.items()}
    for maps in (found, expected):
        torch.stack([(maps[name] * direction).sum() for name, direction in directions.items()]).sum().backward()
    assert deviation(our_images.grad, their_images.grad) <= tolerance
    gradients = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    renamed, _ = ours.translate(gradients)
    assert set(renamed) == {name for name, _ in ours.named_parameters()}
    rounding = 100 * torch.finfo(dtype).eps * max(float(gradient.abs().max()) for gradient in renamed.values())
    for name, parameter in ours.named_parameters():
        if max(parameter.grad.abs().max(), renamed[name].abs().max()) > rounding:  # otherwise the next norm cancels it
            assert deviation(parameter.grad, renamed[name]) <= tolerance, name
    # in training the running statistics are updated equally
    buffers, _ = ours.translate(dict(theirs.named_buffers()))
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=tolerance, atol=tolerance, msg=name)


PUBLISHED_CLASSIFIERS = (
    "mobilenet_v2 at width 1.0",
    *(name for name in TWINS if "mobilenet_v3" in name and "dilated" not in name and "reduced" not in name),
    *(name for name in TWINS if "mobilenetv3" in name),
    "shufflenet_v2_x0_5",
    "mobilenetv1_100",
    "mobilevit_xxs",
)


@pytest.mark.parametrize("name", PUBLISHED_CLASSIFIERS)
def test_logits_of_published_classifiers_equal_the_references(
    name: str, as_if_trained: Perturb, deviation: Deviation
) -> None:
    ours, theirs = pair(TWINS[name], as_if_trained, torch.float64)
    shapes = {key: ours.arguments.get(key) for key in ours.shape_arguments}
    (variant,) = (
        v for v in ours.variants if ours.defaults() | dict(v.arguments) | shapes == ours.defaults() | v.arguments
    )
    maps = ours.feature_names("classification")
    head = Classifier(ours.head_features(maps), variant.classes, **variant.classifier).double().eval()
    _, classifier = ours.translate(theirs.state_dict())
    tensors = [theirs.state_dict()[key] for key in classifier]
    assert len(tensors) == len(head.state_dict())
    for own, tensor in zip(head.state_dict().values(), tensors, strict=True):
        own.copy_(tensor.reshape(own.shape))  # timm's hidden layer is a 1×1 convolution
    images = torch.randn(2, 3, 49, 65, dtype=torch.float64)
    with torch.no_grad():
        found, expected = head(ours.eval()(images), (49, 65)), theirs.eval()(images)
    assert deviation(found, expected) <= 1e-10


@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS)
def test_narrowed_network_loads_the_references_weights(
    twin: Twin,
) -> None:
    """No tensor is missing, and only the classifier's are unexpected."""
    ours = twin.ours()
    ours.select(["c2"])
    report = load_state(ours, twin.theirs().state_dict(), "the twin")
    assert report.missing == ()
    assert {name.partition(".")[0] for name in report.unexpected} <= CLASSIFIERS


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (33, 79)], ids=str)
@pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS)
def test_maps_equal_the_references_at_other_sizes(
    twin: Twin, size: tuple[int, int], as_if_trained: Perturb, deviation: Deviation
) -> None:
    ours, theirs = pair(twin, as_if_trained, torch.float64)
    images = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        found, expected = ours.eval()(images), compute_reference_maps(theirs.eval(), twin.paths, images)
    for name, x in found.items():
        assert deviation(x, expected[name]) <= 1e-10, name


def test_transformer_dropout_equals_the_references_in_training(as_if_trained: Perturb, deviation: Deviation) -> None:
    """The authors drop outputs of the attention and of the MLP, not attention weights or hidden values of the MLP."""
    twin = TWINS["mobilevit_xxs"]
    ours, theirs = pair(twin._replace(ours=lambda: MobileViT("xxs")), as_if_trained, torch.float64)
    for name, module in theirs.named_modules():
        if name.endswith(("attn.proj_drop", "mlp.drop2")):
            module.p = 0.1
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    torch.manual_seed(0)
    found = ours.train()(images)
    torch.manual_seed(0)
    expected = compute_reference_maps(theirs.train(), twin.paths, images)
    for name, x in found.items():
        assert deviation(x, expected[name]) <= 1e-10, name


def dilate(network: nn.Module, output_stride: int) -> None:
    """Replaces strides beyond ``output_stride`` by dilation in another library's network."""
    nominal = 1
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            # ShuffleNetV2's two branches share a stride; timm does not dilate MobileViT's fusion either
            nominal *= 1 if "branch2" in name and module.stride != (1, 1) else module.stride[0]
            factor = nominal // output_stride
            if factor > 1 and "conv_fusion" not in name:
                module.stride = (1, 1)
                module.dilation = (factor, factor)
                module.padding = tuple(k // 2 * factor for k in module.kernel_size)
        if isinstance(module, nn.MaxPool2d):
            nominal *= 2


DILATED = (
    "mobilenet_v2 at width 1.0",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "mobilenetv1_100",
    "mobilevit_xxs",
)


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", DILATED)
def test_output_stride_dilates_from_the_changed_layer_on(
    name: str, output_stride: int, as_if_trained: Perturb, deviation: Deviation
) -> None:
    twin = TWINS[name]
    ours, theirs = pair(
        twin._replace(ours=lambda: twin.ours(output_stride=output_stride)), as_if_trained, torch.float64
    )
    dilate(theirs, output_stride)
    images = torch.randn(1, 3, 65, 97, dtype=torch.float64)
    with torch.no_grad():
        found, expected = ours.eval()(images), compute_reference_maps(theirs.eval(), twin.paths, images)
    for key, x in found.items():
        assert deviation(x, expected[key]) <= 1e-10, key
