"""`litmobile convert`: reads a detection data set in any format and writes it as COCO, Pascal VOC or YOLO."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from ...errors import DataError, UserError, format_count
from ...tasks.data.files import format_list
from ...tasks.data.module import log_notes
from ...tasks.data.split import drop_invalid_images, note_shared_images
from ...tasks.detection import DetectionSplit, FolderDetection
from ...tasks.detection.formats.listing import find_split
from ..options.parser import Parser
from .content import Content, SplitContent, check_class_names, collect_objects
from .images import ImageNames, check_output, copy_images, find_turned_images, write_turned_images
from .writers import WRITERS, Writer
from .writers.base import describe

DESCRIPTION = (
    "Writes a detection data set in another format: all images, boxes and classes of the splits train, val and test. "
    "ROOT is a folder in any format that litmobile fit reads; it is never changed. What the new format cannot hold is "
    "counted and printed."
)
UNFINISHED = ".unfinished"  # folder in that of the new data set until it is complete
#: options of FolderDetection that are about training
TRAINING_OPTIONS: set[str | int] = {
    *("difficult", "val_fraction", "augmentation", "filter_empty", "evaluator"),
    *("batch_size", "num_workers", "start_method", "seed", "train_sizes"),
}


def convert(words: Sequence[str]) -> None:
    """Runs ``litmobile convert WORDS``.

    Raises:
        UserError: an option is wrong, ``--out`` is not a new or empty folder outside the data set, or it cannot be
            written.
        DataError: the data set cannot be read.
    """
    parser = Parser(prog="litmobile convert", description=DESCRIPTION)
    parser.add_class_arguments(FolderDetection, as_positional=True, skip=TRAINING_OPTIONS)
    parser.add_argument("--to", type=Literal["coco", "voc", "yolo"], required=True, help="format to write")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, new or empty, e.g. cells_coco")
    help_fraction = "fraction of the training images to write as val, e.g. 0.1, if there is no validation split"
    parser.add_argument("--val_fraction", type=float | None, help=help_fraction)
    help_links = "create hard links instead of copies: no space is used, but changing an image changes both folders"
    parser.add_argument("--hard_links", type=bool, default=False, help=help_links)
    # messages about data name the options as litmobile fit has them
    options = parser.parse_words([word.replace("--data.", "--", 1) for word in words]).as_dict()
    write_dataset(options.pop("to"), options.pop("out").expanduser(), options.pop("hard_links"), options)


def write_dataset(to: str, out: Path, has_links: bool, options: dict[str, Any]) -> None:
    """Reads a data set and writes it.

    Args:
        to: format to write, one of ``WRITERS``.
        out: folder to write.
        has_links: whether images become hard links where possible.
        options: arguments of :class:`FolderDetection`; a ``val_fraction`` of None sets nothing aside.
    """
    divides = options["val_fraction"] is not None
    data = FolderDetection(**{name: value for name, value in options.items() if value is not None})
    check_output(out, data.root)
    splits = read_splits(data, divides)
    writer_class = WRITERS[to]
    with complete_or_nothing(out) as folder:
        content, written = write_images(splits, writer_class, folder, has_links)
        writer = writer_class(folder, content)
        writer.write()
    parts = content.splits.items()
    texts = [
        f"{name} ({format_count(len(part.split), 'images')}, {format_count(len(part.objects.labels), 'objects')})"
        for name, part in parts
    ]
    print(f"{out} is in the format of {writer.title}: {', '.join(texts)}.")
    for sentence in (*written, *writer.describe_losses()):
        print(sentence)


def read_splits(data: FolderDetection, divides: bool) -> dict[str, DetectionSplit]:
    """Reads the splits that the folder has, or that ``data`` names.

    Args:
        data: the data set.
        divides: whether part of the training images becomes "val" if there is no validation split.

    Raises:
        DataError: there is no split, or one cannot be read.
    """
    stored = data.format.splits
    names = {role: given or find_split(stored, role) for role, given in data.names.items()}
    found = [role for role, name in names.items() if name is not None]
    if not found:
        raise DataError(f"{data.root} has no split named like train; name one with --train: {format_list([*stored])}.")
    if divides and names["train"] is not None and names["val"] is None:
        splits = {role: data.read(role) for role in ("train", "val", *found[1:])}
    else:
        splits = {role: data.read_stored(role) for role in found}
    for role, split in splits.items():
        log_notes(split.notes)
        if data.verify_images or data.on_invalid == "skip":
            splits[role], notes = drop_invalid_images(split, data.on_invalid)
            log_notes(notes)
    log_notes(note_shared_images(splits))
    others = [name for name in stored if name not in names.values()]
    if others:
        print(f"Not written: {format_list(others)}; --train, --val and --test name other splits.")
    return splits


def write_images(
    splits: dict[str, DetectionSplit], writer: type[Writer], out: Path, has_links: bool
) -> tuple[Content, list[str]]:
    """Writes all images, and returns the content of the annotations and sentences about the images.

    Args:
        splits: the data set.
        writer: class of the format.
        out: folder of the written data set.
        has_links: whether images become hard links where possible.
    """
    first = next(iter(splits.values()))
    check_class_names(first.classes, writer.reserved_names)
    names: defaultdict[Path, ImageNames] = defaultdict(ImageNames)
    parts: dict[str, SplitContent] = {}
    links = turned_count = 0
    for role, split in splits.items():
        turned = set() if writer.stores_sizes else find_turned_images(split)
        folder = out / writer.image_folder(role)
        suffixes = [".png" if index in turned else "" for index in range(len(split))]
        chosen = [names[folder].choose(*pair) for pair in zip(split.names.tolist(), suffixes, strict=True)]
        folder.mkdir(parents=True, exist_ok=True)
        kept = [index for index in range(len(split)) if index not in turned]
        pairs = ((split.path(index), folder / chosen[index]) for index in kept)
        links += copy_images(tqdm(pairs, role, len(kept), unit=" images", dynamic_ncols=True), has_links)
        write_turned_images(split, {index: folder / chosen[index] for index in turned})
        turned_count += len(turned)
        parts[role] = SplitContent(split, chosen, collect_objects(split))
    copies = sum(map(len, splits.values())) - links - turned_count
    changed = {old: new for of_folder in names.values() for old, new in of_folder.changed.items()}
    example = "".join(f"{new} was {old}." for old, new in [*changed.items()][:1])
    sentences = [
        *describe("Images linked", links, "Changing one changes both folders."),
        *describe("Images copied", copies, "No change of theirs can reach the original ones."),
        *describe("Images written anew as PNG", turned_count, "They are turned as their boxes are."),
        *describe("Images with new names, which must differ without folders", len(changed), example),
    ]
    return Content(parts, first.classes, first.category_ids), sentences


@contextmanager
def complete_or_nothing(folder: Path) -> Iterator[Path]:
    """Yields a hidden folder in ``folder``, which may exist if it is empty; what it contains is moved up at the end.

    If the block fails, nothing is left. A killed process leaves the hidden folder only, which no reader enters, so that
    half a data set is never taken for a whole one.

    Raises:
        UserError: the system refuses to read or write a file, e.g. because the disk is full.
    """
    existed = folder.exists()
    part = folder / UNFINISHED
    try:
        part.mkdir(parents=True)
        yield part
        for entry in part.iterdir():
            entry.rename(folder / entry.name)
        part.rmdir()
    except BaseException as error:
        for entry in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        if not existed and folder.is_dir():
            folder.rmdir()
        if isinstance(error, OSError):
            file = str(error.filename2 or error.filename or folder).replace(f"/{UNFINISHED}", "")
            reason = error.strerror or str(error)
            raise UserError(f"{file} cannot be read or written ({reason}), so nothing was written.") from error
        raise
