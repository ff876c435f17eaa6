"""Class lists: where they are found, what they may contain, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection.formats.listing import Listing
from litmobile.tasks.detection.formats.parsing.class_lists import find_class_list
from support.data.layouts import write_text

OneSentence = Callable[..., None]

CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nsea horse:128,0,0::\ncat:0,128,0:head,tail:run\n"


def find_names(root: Path) -> tuple[str, ...] | None:
    found = find_class_list(Listing(root))
    return found and found.without_background().names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "sea horse\ncat\n\n"),
        ("train/class_names.txt", "__ignore__\n_background_\nsea horse\ncat"),
        ("data/obj.names", "sea horse\r\ncat\r\n"),
        ("labelmap.txt", CVAT),
        ("labelmap.txt", "sea horse\ncat\n"),
        ("_darknet.labels", "\ufeffsea horse\ncat\n"),
        ("predefined_classes.txt", "sea horse\ncat\n"),
        ("data.yaml", "names: [sea horse, 'cat']\nnc: 2\n"),
        ("a.yml", "train: x\nnames:\n  1: cat\n  0: sea horse\n"),
    ],
)
def test_lists_are_found(name: str, text: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, text)
    assert find_names(tmp_path) == ("sea horse", "cat")


def test_words_of_yaml_stay_as_they_are_written(tmp_path: Path) -> None:
    write_text(tmp_path / "data.yaml", "names: [yes, no, on, null, 007, 1.10, 1e3, 2020-01-01]")
    assert find_names(tmp_path) == ("yes", "no", "on", "null", "007", "1.10", "1e3", "2020-01-01")


@pytest.mark.parametrize(
    ("name", "content", "mentioned"),
    [
        ("classes.txt", b"", "no classes"),
        ("classes.txt", b"cat\n\ndog\n", "line 2"),
        ("classes.txt", b"cat\ndog\ncat\n", "cat twice"),
        ("classes.txt", "Käfer".encode("latin-1"), "UTF-8"),
        ("classes.txt", "cat".encode("utf-16"), "UTF-8"),
        ("data.yaml", b"names: []", "no classes"),
        ("data.yaml", b"names: [cat, [dog]]", "class 1"),
        ("data.yaml", b"names: cat dog", "neither a list nor a dictionary"),
        ("data.yaml", b"names: {1: cat, 2: dog}", "instead of 0 to 1"),
        ("data.yaml", b"names: {a: cat}", "'a'"),
        ("data.yaml", b"nc: 3\nnames: [cat, dog]", "nc is 3"),
        ("data.yaml", b"names:\n\t- cat", "line 2"),
        ("data.yaml", b"names: [cat, dog", "not a YAML file"),
        ("data.yaml", b"names: !!python/object/apply:os.getcwd []", "no classes"),
        ("data.yaml", b"names: " + b"[" * 2000, "not a YAML file"),
        ("data.yaml", b"- a\nnames: b", "not a YAML file"),
        ("data.yaml", b"a: &a [x]\nnames: [*a, *a]", "aliases"),
    ],
)
def test_invalid_lists_are_named(
    name: str, content: bytes, mentioned: str, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        find_names(tmp_path)
    assert_one_sentence(caught.value, tmp_path / name, mentioned)


def test_lists_that_differ_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_text(tmp_path / "train/classes.txt", "cat\ndog\n")
    write_text(tmp_path / "val/classes.txt", "cat\ndog\n")
    assert find_names(tmp_path) == ("cat", "dog")
    write_text(tmp_path / "val/classes.txt", "dog\ncat\n")
    with pytest.raises(DataError) as caught:
        find_names(tmp_path)
    assert_one_sentence(caught.value, "train/classes.txt", "val/classes.txt")


def test_labelimgs_default_list_is_the_last_resort(tmp_path: Path) -> None:
    write_text(tmp_path / "predefined_classes.txt", "dog\nperson\n")
    write_text(tmp_path / "classes.txt", "cat\n")
    assert find_names(tmp_path) == ("cat",)


def test_a_folder_without_lists_has_none(tmp_path: Path) -> None:
    write_text(tmp_path / "config.yaml", "model:\n  names: [a]\n")
    write_text(tmp_path / "notes.txt", "cat\n")
    assert find_names(tmp_path) is None
