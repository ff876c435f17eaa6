"""Makes an environment that writes LiteRT files: `python -m litmobile.tools.export.litert_environment FOLDER`.

The converter needs an older PyTorch than ExecuTorch does, so it has an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from ...errors import UserError

EXTRA = "litert-export"
SOURCE = Path(__file__).parents[2]


def make_environment(folder: Path, requirement: str) -> Path:
    """Creates a virtual environment and installs ``requirement`` in it.

    Returns:
        Its ``litmobile`` command.

    Raises:
        UserError: the folder exists, or the installation fails; the folder is then incomplete.
    """
    if folder.exists():
        raise UserError(f"{folder} exists; name a folder that does not.")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    status = subprocess.run([programs / "python", "-m", "pip", "install", requirement], check=False).returncode
    if status:
        raise UserError(f"pip could not install {requirement} in {folder}; see its messages above.")
    return programs / "litmobile"


def find_requirement() -> str:
    """Returns what pip installs: this checkout if litmobile is used from one, or else the released package."""
    is_checkout = (SOURCE / "pyproject.toml").is_file()
    return f"{SOURCE}[{EXTRA}]" if is_checkout else f"litmobile[{EXTRA}]"


def main() -> None:
    """Runs the command."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("Usage: python -m litmobile.tools.export.litert_environment FOLDER")
    try:
        command = make_environment(Path(sys.argv[1]), find_requirement())
    except (UserError, OSError) as error:
        sys.exit(f"litmobile: {error}")
    print(f"Write LiteRT files with: {command} export --run RUN --to FILE.tflite")


if __name__ == "__main__":
    main()
