"""`litmobile report`: writes one page about an evaluation of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from ...errors import EvaluationError
from ...tasks.atomic import write_text
from ...tasks.evidence import evidence_path
from ..options.parser import Parser
from ..pages import Section, render_page
from ..task_tools import TASK_TOOLS, import_tool
from .contents import Contents, read_contents
from .intervals import Estimates, estimate_evaluation
from .sections import describe_answer, describe_identity, show_figures, show_learning_curves

DESCRIPTION = (
    "Writes report.html into a run's folder: figures with intervals, learning curves, figures of each class, errors, "
    "images, configuration and versions. Everything is read from the folder; litmobile validate or test comes first."
)
PAGES = {"val": "report.html", "test": "report-test.html"}


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile report WORDS``.

    Raises:
        UserError: an option is wrong, or the run was not evaluated.
    """
    parser = Parser(prog="litmobile report", description=DESCRIPTION)
    parser.add_argument("--run", type=Path | None, help="folder of the run")
    parser.add_argument("--split", type=Literal["val", "test"] | None, help="default: val if it was evaluated, or test")
    parser.add_argument("--to", type=Path | None, metavar="FILE", help="default: report.html in the run's folder")
    options = parser.parse_words(list(words))
    if options.run is None:
        raise EvaluationError("litmobile report needs --run FOLDER, the folder of a run that was evaluated.")
    folder = options.run.expanduser()
    is_test = not evidence_path(folder, "val").is_file() and evidence_path(folder, "test").is_file()
    file = write_report(folder, options.split or ("test" if is_test else "val"), options.to and options.to.expanduser())
    print(f"The page is {file}")


def write_report(folder: Path, split: str, file: Path | None = None) -> Path:
    """Writes the page about an evaluation.

    Args:
        folder: of the run.
        split: "val" or "test".
        file: where to write it. Default: ``report.html`` in the run's folder, or ``report-test.html``.

    Returns:
        The file.

    Raises:
        EvaluationError: the run has no evidence of this split.
    """
    file = file or folder / PAGES[split]
    write_text(file, build_report(read_contents(folder, split)))
    return file


def build_report(contents: Contents) -> str:
    """Builds the page as the text of an HTML file."""
    evidence = contents.evidence
    if evidence.role not in TASK_TOOLS:
        raise EvaluationError(f"{contents.folder} has the result of a probe, which has no page.")
    estimates = estimate_evaluation(evidence)
    describe: Callable[[Contents, Estimates], list[Section]] = import_tool(TASK_TOOLS[evidence.role].report)
    sections = [
        show_figures(contents, estimates),
        show_learning_curves(contents),
        *describe(contents, estimates),
        *describe_identity(contents),
    ]
    answer, note = describe_answer(contents, estimates)
    return render_page(contents.folder.resolve().name, answer, sections, note)
