"""The contract of backbones, and modules that can be rebuilt from plain values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from litmobile.backbones import Backbone, Feature, MobileNetV2, MobileNetV3, load_weights
from litmobile.backbones.contract import Configurable, from_config
from litmobile.errors import ClassPathError, WeightsError
from litmobile.tools.profile.counts import without_values

# ---------------------------------------------------------------------------------------------------- a user's backbone


class TwoStage(Backbone):
    """A user's backbone with the minimum that the contract requires: two strided convolutions, a map after each."""

    shape_arguments: ClassVar[tuple[str, ...]] = ("channels",)

    def __init__(self, channels: int = 4, *, in_channels: int = 3, roles: Sequence[str] = ("detection",)) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        self.c2 = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.features = {"c1": Feature(channels, 2), "c2": Feature(2 * channels, 4)}
        self.default_features = dict.fromkeys(roles, ("c1", "c2"))
        self._selected: tuple[str, ...] = tuple(self.features)

    def select(self, names: Sequence[str]) -> None:
        self.check_feature_names(names)
        if "c2" not in names:
            del self.c2
            del self.features["c2"]
            self.default_features = {}
        self._selected = tuple(names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = {"c1": self.c1(images)}
        if "c2" in self._selected:
            maps["c2"] = self.c2(maps["c1"])
        return {name: maps[name] for name in self._selected}


class Renamed(TwoStage):
    """A user's subclass that inherits its constructor."""


def test_users_backbone_names_missing_maps_in_one_sentence(assert_one_sentence) -> None:
    backbone = TwoStage()
    with pytest.raises(ValueError, match="no maps for segmentation") as caught:
        backbone.feature_names("segmentation")
    assert_one_sentence(caught.value, ["TwoStage", "c1 (stride 2)", "c2 (stride 4)", "feature_maps=[…]"])
    with pytest.raises(ValueError, match="no map 'c5'") as caught:
        backbone.select(["c5"])
    assert_one_sentence(caught.value, ["TwoStage", "c1, c2"])


def test_users_backbone_loads_its_own_files(tmp_path: Path) -> None:
    source, backbone = TwoStage(), TwoStage()
    path = tmp_path / "two_stage.pth"
    torch.save(source.state_dict() | {"head.weight": torch.zeros(1)}, path)
    report = load_weights(backbone, path)
    assert report.missing == ()
    assert report.unexpected == ("head.weight",)
    assert all(torch.equal(x, backbone.state_dict()[name]) for name, x in source.state_dict().items())
    with pytest.raises(WeightsError, match="set channels to their values in training"):
        load_weights(TwoStage(channels=8), path)


def test_users_backbone_has_no_published_weights(assert_one_sentence) -> None:
    with pytest.raises(WeightsError, match="No ImageNet weights are published") as caught:
        load_weights(TwoStage(channels=7), "imagenet")
    assert_one_sentence(caught.value, ["TwoStage(channels=7)"])


def test_incomplete_backbone_cannot_be_built() -> None:
    class Half(Backbone):
        def select(self, names: Sequence[str]) -> None:
            raise NotImplementedError

    with pytest.raises(TypeError, match="forward"):
        Half()  # type: ignore[abstract]


# ----------------------------------------------------------------------------------------------- config and from_config


def test_config_holds_only_passed_arguments_by_name() -> None:
    with without_values():
        assert MobileNetV3().config()["init_args"] == {}
        by_position, by_name = MobileNetV3("small", 0.75), MobileNetV3(width=0.75, variant="small")
    assert by_position.config() == by_name.config()
    assert by_position.config()["init_args"] == {"variant": "small", "width": 0.75}
    assert by_position.config(leave_out=["width"])["init_args"] == {"variant": "small"}
    assert by_position.arguments["tail"] == "full"  # defaults are separate


def test_from_config_adds_extra_arguments() -> None:
    with without_values():
        config = MobileNetV3("small", 0.75).config(leave_out=["width"])
        assert from_config(config, Backbone, width=0.5).width == 0.5


def test_from_config_takes_a_users_class() -> None:
    rebuilt = from_config({"class_path": f"{__name__}.TwoStage", "init_args": {"channels": 9}}, Backbone)
    assert type(rebuilt) is TwoStage
    assert rebuilt.features["c2"] == (18, 4)


REFUSED = (
    "os.system",
    "subprocess.run",
    "builtins.eval",
    "builtins.dict",
    "torch.nn.Linear",
    "torch.load",
    "litmobile.backbones.blocks.ConvNormAct",
    "litmobile.backbones.contract.from_config",
    "litmobile.backbones.contract.Configurable",
    "litmobile.backbones.weights.WeightsError",
)


@pytest.mark.parametrize("class_path", REFUSED)
def test_from_config_calls_only_backbones(class_path: str, tmp_path: Path, assert_one_sentence) -> None:
    marker = tmp_path / "marker"
    config = {"class_path": class_path, "init_args": {"command": f"touch '{marker}'"}}
    with pytest.raises(ClassPathError, match="it is not a class derived from Backbone") as caught:
        from_config(config, Backbone)
    assert_one_sentence(caught.value, [class_path, "Backbone"])
    assert not marker.exists()


def test_from_config_refuses_the_abstract_backbone() -> None:
    with pytest.raises(ClassPathError, match="abstract"):
        from_config({"class_path": "litmobile.backbones.Backbone", "init_args": {}}, Backbone)


@pytest.mark.parametrize("kind", [MobileNetV2, TwoStage])
def test_from_config_refuses_another_backbone(kind: type[Backbone]) -> None:
    with without_values():
        config = MobileNetV3("small").config()
    with pytest.raises(ClassPathError, match=f"not a class derived from {kind.__name__}"):
        from_config(config, kind)


def test_from_config_refuses_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="widht"):
        from_config({"class_path": "litmobile.backbones.MobileNetV3", "init_args": {"widht": 1.0}}, Backbone)


@pytest.mark.parametrize("class_path", ["nosuchmodule.Backbone", "litmobile.backbones.MobileNetV9", "MobileNetV3"])
def test_unknown_class_is_refused_by_its_path(class_path: str, assert_one_sentence) -> None:
    with pytest.raises(ClassPathError, match="cannot use") as caught:
        from_config({"class_path": class_path, "init_args": {}}, Backbone)
    assert_one_sentence(caught.value, [class_path])


class Options(TwoStage):
    """A user's backbone that takes options by ``**``."""

    def __init__(self, channels: int = 4, **rest: Any) -> None:
        super().__init__(channels, **rest)


def test_config_includes_keyword_arguments() -> None:
    """A backbone with ``**kwargs`` is rebuilt from its config."""
    assert from_config(Options(5, in_channels=1).config(), Backbone).config() == Options(5, in_channels=1).config()


# ---------------------------------------------------------------------------------------------------------------- parts


class Scaled(Configurable):
    """A minimal module with a required, an optional and a keyword-only argument."""

    def __init__(self, size: int, factor: float = 2.0, *, name: str = "x") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((size,), factor))
        self.name = name


def test_init_args_are_the_passed_arguments() -> None:
    assert Scaled(3).init_args == {"size": 3}
    assert Scaled(3, 4.0).init_args == {"size": 3, "factor": 4.0}
    assert Scaled(size=3, name="y").init_args == {"size": 3, "name": "y"}
    assert Scaled(3, name="y").arguments == {"size": 3, "factor": 2.0, "name": "y"}


class ScaledTwice(Scaled):
    """Forwards the options that it does not declare, and has another default for one."""

    def __init__(self, size: int, *, name: str = "z", other: int = 0, **options: Any) -> None:
        super().__init__(size, name=name, **options)


def test_forwarded_options_are_arguments_of_the_class() -> None:
    assert ScaledTwice(3).arguments == {"size": 3, "factor": 2.0, "name": "z", "other": 0}
    assert ScaledTwice(3, factor=4.0).init_args == {"size": 3, "factor": 4.0}
    assert ScaledTwice(3, factor=4.0).arguments["factor"] == 4.0
    with pytest.raises(TypeError, match=r"ScaledTwice .*'nmae'; its arguments are size, name, other, factor"):
        ScaledTwice(3, nmae="y")


def test_init_args_are_not_in_the_state_dict() -> None:
    assert list(Scaled(3).state_dict()) == ["weight"]


@pytest.mark.parametrize(("positional", "named", "said"), [((), {}, "size"), ((3,), {"nmae": "y"}, "nmae")])
def test_missing_and_misspelt_arguments_are_named(
    positional: tuple[Any, ...], named: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        Scaled(*positional, **named)


def test_modules_do_not_share_their_init_args() -> None:
    first = Scaled(3)
    second = copy.deepcopy(first)
    second.init_args["size"] = 4
    assert first.init_args == {"size": 3}
    config = first.config()
    config["init_args"]["size"] = 5
    assert first.init_args == {"size": 3}


def test_config_rebuilds_only_the_requested_kind() -> None:
    assert from_config(Scaled(3, name="y").config(), Configurable).config() == Scaled(3, name="y").config()
    with pytest.raises(ClassPathError, match="not a class derived from Backbone"):
        from_config(Scaled(3).config(), Backbone)
