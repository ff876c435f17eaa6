"""`litmobile inspect`: counts and measures the data of a training, with the options of `litmobile fit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.cli import LightningArgumentParser

from ...errors import DataError, TaskError, UserError
from ...tasks.atomic import write_text
from ..library_messages import silence_libraries
from ..options.sizes import add_size_option, parse_size
from ..parts import PartsCLI
from ..task_tools import TASK_TOOLS, import_tool
from ..training import merged_arguments, split_options, stored_config
from .splits import Inspection

DESCRIPTION = (
    "Counts and measures a data set before training: objects or pixels of each class, image sizes, duplicates, leaks "
    "between splits, invalid images and masks, and anchors that fit. The options are those of litmobile fit; --run "
    "FOLDER takes a run's configuration, and --data alone is enough. The exit status is 1 if training would stop "
    "because of its data."
)


class InspectCLI(PartsCLI):
    """Parses the options of a training and those of this command."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds this command's own options."""
        super().add_arguments_to_parser(parser)
        add_size_option(parser, "that of the model")
        parser.add_argument("--json", type=str, metavar="FILE", help="write all figures to this JSON file")
        parser.add_argument(
            "--no-images",
            action="store_true",
            help="do not read images: faster, but finds no invalid images, sizes or duplicates; masks are still read",
        )


def inspect(words: Sequence[str]) -> None:
    """Runs ``litmobile inspect WORDS``.

    Raises:
        TaskError: the data belong to no task that can be inspected, or ``--size`` contradicts the model.
        DataError: no split can be read, or training would stop because of its data.
        UserError: ``--json`` names a folder, or the preprocessing crops images and the task needs whole images.
    """
    silence_libraries()
    given = split_options("inspect", words)
    configs = given.configs if given.folder is None else [stored_config(given.folder), *given.configs]
    texts = {"prog": "litmobile inspect", "description": DESCRIPTION}
    asked = InspectCLI(
        "inspect", args=merged_arguments(configs, given.flags), save_config_callback=None, parser_kwargs=texts
    )
    data, task, options = asked.datamodule, asked.model, asked.config
    size = options.size and parse_size(options.size)
    target = None if options.json is None else Path(options.json)
    if target is not None and target.is_dir():
        raise UserError(f"--json must name a file, but {target} is a folder.")
    tools = TASK_TOOLS.get(getattr(data, "role", ""))
    if tools is None:
        roles = ", ".join(TASK_TOOLS)
        raise TaskError(f"litmobile inspect supports data for {roles}; {type(data).__name__} is for another task.")
    inspection: Inspection = import_tool(tools.inspector)(data, task, size, not options.no_images)
    print(inspection.text)
    if target is not None:
        write_text(target, json.dumps(inspection.facts, indent=1, allow_nan=False) + "\n")
    issues = inspection.facts["blocking_issues"]
    if issues:
        count = f" for {len(issues)} reasons, the first being" if len(issues) > 1 else ""
        raise DataError(f"Training would stop{count}: {issues[0]}")
