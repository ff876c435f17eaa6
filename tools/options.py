"""The option parser of the commands that do not train."""

from __future__ import annotations

import argparse
from typing import NoReturn


class CommandParser(argparse.ArgumentParser):
    """Takes written-out options only, and refuses others in one sentence.

    Args:
        command: name of the command, e.g. "litmobile predict".
        description: what it does.
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(command, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        if message.startswith("argument "):
            message = message.removeprefix("argument ").replace(": ", " ", 1)
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options.\n")
