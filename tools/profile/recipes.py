"""Builds the network of a recipe without its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from ...errors import UserError
from ...heads.contract import default_class_names
from ...tasks.network import Network
from ...tasks.task import Task
from ..library_messages import silence_libraries
from ..options.configurations import find_configuration, merge_configurations
from ..options.typed_values import task_role
from ..options.yaml_text import dump_yaml
from ..training import BaseCLI, find_role

#: numbers of classes where neither the recipe nor its data section names them: COCO's, Cityscapes' and ImageNet's
DEFAULT_CLASSES = {"detection": 80, "segmentation": 19, "classification": 1000}


class ModelCLI(BaseCLI):
    """Parses the options of a model, and builds it alone."""

    model: Task

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of the model."""
        parser.add_lightning_class_args(Task, "model", subclass_mode=True)

    def instantiate_classes(self) -> None:
        """Builds the model."""
        with self.constructor_errors():
            self.model = self.parser.instantiate_classes(self.config)["model"]


def build_recipe(name: str, options: Sequence[str], classes: int | None) -> Network:
    """Builds the network of a recipe with random weights.

    Args:
        name: of a shipped recipe, or a configuration file.
        options: words that begin with ``--model``.
        classes: number of classes; None is that of the recipe, or a default for its task.

    Raises:
        UserError: the recipe does not exist, has no model, or an option is wrong.
    """
    merged = merge_configurations([find_configuration(name)], options)
    if "model" not in merged:
        raise UserError(f"{name} has no model to profile.")
    built = parse_model({"model": merged["model"]}, options)
    count = classes or find_classes(merged.get("data"), built)
    return built.model.build_network(default_class_names(count)).eval()


def parse_model(config: dict[str, Any], options: Sequence[str] = ()) -> ModelCLI:
    """Parses the section ``model`` of a configuration, and builds the task.

    Args:
        config: has the key "model" only.
        options: words that begin with ``--model``.

    Raises:
        UserError: an option is wrong.
    """
    task_role.set(find_role(config, options))
    silence_libraries()
    words = [f"--config={dump_yaml(config)}", *options]
    return ModelCLI("profile", args=words, save_config_callback=None, seed_everything_default=False)


def find_classes(data: Any, built: ModelCLI) -> int:
    """Returns the number of classes that the model or its data section names, or else the default of its task."""
    if count := built.config.model.init_args.num_classes:
        return count
    options = data.get("init_args", data) if isinstance(data, dict) else {}
    named = options.get("classes")
    return len(named) if isinstance(named, list | dict) else DEFAULT_CLASSES[built.model.role]
