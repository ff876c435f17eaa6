"""Resolves all cells of a plan in one process: configurations, hashes, and the reasons why some cannot work."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from ...class_paths import allow_class, allow_code
from ...errors import UserError, first_line
from ...heads.contract import default_class_names
from ...tasks.data.module import DataModule
from ...tasks.pretrained import load_starting_weights
from ...tasks.task import Task
from ..options.yaml_text import load_yaml
from ..run_config import STORED
from ..training import CLASS_PATH, BaseCLI, merged_arguments, split_options
from .hashing import hash_cell, identify_splits
from .plan.cells import Cell, Group
from .plan.contents import Plan
from .plan.protocols import PROTOCOLS

#: options of every cell, which follow those of the plan
CELL_OPTIONS = ("--trainer.devices=1", "--trainer.num_nodes=1", "--trainer.enable_progress_bar=false")
UNLIMITED = (None, -1)  # values of max_epochs and max_steps
ALLOW_CODE = "--allow-code"


@dataclass(frozen=True)
class Template:
    """What the cells of a group share.

    Attributes:
        config: the resolved configuration, without seed, share and learning rate.
        data: what identifies the data, see :func:`.hashing.identify_splits`.
        main_figure: name of the task's main figure, e.g. "AP".
        code: options that allow the plan's own classes, which each process needs.
    """

    config: dict[str, Any]
    data: dict[str, Any]
    main_figure: str
    code: tuple[str, ...]


@dataclass(frozen=True)
class ResolvedCell:
    """A cell with everything that running it needs.

    Attributes:
        cell: the cell.
        config: its resolved configuration.
        hash: its name.
        split: split that is evaluated at the end, "val" or "test".
        main_figure: name of the task's main figure, e.g. "AP".
        code: see :class:`Template`.
        data: what identifies the data.
    """

    cell: Cell
    config: dict[str, Any]
    hash: str
    split: str
    main_figure: str
    code: tuple[str, ...]
    data: dict[str, Any]


class PlanCLI(BaseCLI):
    """Parses the options of a cell without building anything."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the option that configurations of runs may have."""
        parser.add_argument("--ckpt_path", type=str | None)

    def _set_seed(self) -> None:
        """Sets no seed, because nothing is trained."""

    def instantiate_classes(self) -> None:
        """Builds nothing; see :meth:`build`."""

    def build(self) -> tuple[Task, DataModule[Any]]:
        """Builds task and data module, which checks their options."""
        with self.constructor_errors():
            built = self.parser.instantiate_classes(self.config)
        return built["model"], built["data"]


class Resolver:
    """Resolves the cells of a plan. Options are parsed, and data and weights read, once for each group of cells.

    Attributes:
        refusals: for each group that cannot work, the reason.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.refusals: dict[Group, str] = {}
        self._templates: dict[Group, Template] = {}
        self._data: dict[str, tuple[dict[str, Any], tuple[str, ...]] | UserError] = {}

    def prepare(self, group: Group) -> None:
        """Parses, builds and checks what the cells of ``group`` share; a refusal is kept in :attr:`refusals`."""
        if group in self._templates or group in self.refusals:
            return
        try:
            self._templates[group] = self._make_template(group)
        except (UserError, OSError) as error:
            self.refusals[group] = first_line(error)

    def template(self, group: Group) -> Template:
        """Returns what the cells of ``group`` share.

        Raises:
            UserError: the group cannot work.
        """
        self.prepare(group)
        if group in self.refusals:
            raise UserError(f"{group}: {self.refusals[group]}.")
        return self._templates[group]

    def resolve(self, cell: Cell) -> ResolvedCell:
        """Resolves ``cell``.

        Raises:
            UserError: it cannot work.
        """
        template = self.template(cell.group)
        task = self.plan.tasks[cell.task]
        config = copy.deepcopy(template.config)
        config["seed_everything"] = cell.seed
        split = "test" if task.split == "test" else "val"
        if cell.share < 1:
            set_option(config, "data.train_share", cell.share)
            set_option(config, "data.share_seed", cell.seed)
        if cell.learning_rate is not None:
            set_option(config, "model.optimizer.lr", cell.learning_rate)
        if cell.role == "learning rate":
            assert self.plan.learning_rates is not None
            set_option(config, "data.val_from_train", self.plan.learning_rates.val_from_train)
            shorten(config, self.plan.learning_rates.length)
            split = "val"
        digest = hash_cell(config, template.data, split, cell.protocol, cell.is_probe)
        return ResolvedCell(cell, config, digest, split, template.main_figure, template.code, template.data)

    def words(self, group: Group) -> list[str]:
        """Returns the options of ``litmobile fit`` for a group."""
        task, backbone = self.plan.tasks[group.task], self.plan.backbones[group.backbone]
        protocol = PROTOCOLS[group.protocol].words(backbone.weights)
        return ["--config", task.recipe, *backbone.options, *task.options, *protocol, *CELL_OPTIONS]

    def parse(self, group: Group) -> PlanCLI:
        """Parses the options of a group.

        Raises:
            UserError: an option is wrong.
        """
        options = split_options("fit", self.words(group))
        if options.folder is not None:
            raise UserError("--run is not an option of a plan, because each cell has its own folder")
        arguments = merged_arguments(options.configs, options.flags)
        return PlanCLI("transfer", args=arguments, save_config_callback=None)

    def _make_template(self, group: Group) -> Template:
        protocol = PROTOCOLS[group.protocol]
        backbone = self.plan.backbones[group.backbone]
        if protocol.needs_weights and backbone.weights is None:
            raise UserError(f"{group.backbone} has no weights in the plan, which the protocol {group.protocol} needs")
        parser = self.parse(group)
        config = resolved_config(parser)
        task, data = parser.build()
        if not isinstance(data, task.data_class):
            raise UserError(f"{type(task).__name__} needs data of type {task.data_class.__name__}")
        identity, classes = self._read_data(config, data, self.plan.tasks[group.task].split)
        network = task.build_network(classes or default_class_names(1))
        load_starting_weights(network, *(config["model"]["init_args"][key] for key in ("weights", "backbone_weights")))
        return Template(config, identity, task.monitor.partition("/")[2], find_code(self.words(group)))

    def _read_data(
        self, config: dict[str, Any], data: DataModule[Any], split: str
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Reads the splits of a data module, once for equal options; returns what identifies them, and the classes."""
        options = config["data"]["init_args"]
        others = ("num_workers", "batch_size", "augmentation")  # do not change what is read
        relevant = {key: value for key, value in options.items() if key not in others}
        key = json.dumps([split, config["data"]["class_path"], relevant], default=str)
        if key not in self._data:
            try:
                data.setup("fit")
                if split == "test":
                    data.setup("test")
                self._data[key] = identify_splits(data.splits), tuple(data.classes)
            except UserError as error:
                self._data[key] = error
        found = self._data[key]
        if isinstance(found, UserError):
            raise found
        return found


def resolved_config(parser: PlanCLI) -> dict[str, Any]:
    """Returns the options that ``parser`` has read, as a run's config.yaml has them."""
    text = parser.parser.dump(parser.config, skip_none=False, skip_validation=True)
    return {key: value for key, value in load_yaml(text).items() if key in STORED}


def set_option(config: dict[str, Any], option: str, value: Any) -> None:
    """Sets an option, e.g. "model.optimizer.lr", in a resolved configuration; changed in place.

    Raises:
        UserError: the configuration does not have it.
    """
    *parents, name = option.split(".")
    place = config
    for parent in parents:
        place = place.get(parent)
        place = place.get("init_args", place) if isinstance(place, dict) else {}
    if name not in place:
        raise UserError(f"--{option} does not exist for this recipe, so {option} cannot be set to {value}.")
    place[name] = value


def shorten(config: dict[str, Any], length: float) -> None:
    """Multiplies the length of a training by ``length``, a share; changed in place.

    Raises:
        UserError: the training has no limit of epochs or steps.
    """
    trainer = config["trainer"]
    limits = [name for name in ("max_epochs", "max_steps") if trainer[name] not in UNLIMITED]
    for name in limits:
        trainer[name] = math.ceil(length * trainer[name])
    chosen = config["model"]["init_args"].get("length")
    if limits:
        return
    if chosen is None:
        raise UserError("A plan with learning_rates needs --trainer.max_epochs, of which the trials take a part.")
    for name in chosen:
        chosen[name] = math.ceil(length * chosen[name])


def find_code(words: Sequence[str]) -> tuple[str, ...]:
    """Returns folders of the user's modules, as ``--allow-code=FOLDER``, and import paths of classes in ``words``."""
    folders = [value for word, value in zip(words, [*words[1:], ""], strict=True) if word == ALLOW_CODE]
    folders += [word.partition("=")[2] for word in words if word.startswith(f"{ALLOW_CODE}=")]
    return (*(f"{ALLOW_CODE}={folder}" for folder in folders), *CLASS_PATH.findall(" ".join(words)))


def permit(code: Sequence[str]) -> None:
    """Allows the user's own modules and classes, see :func:`find_code`."""
    for word in code:
        if word.startswith(f"{ALLOW_CODE}="):
            allow_code(Path(word.partition("=")[2]).expanduser())
        else:
            allow_class(word)
