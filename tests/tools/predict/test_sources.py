"""The search of `litmobile predict` follows the rules of training, and nothing that it finds can stop it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.errors import UserError
from litmobile.tasks.classification import FolderClassification
from litmobile.tools.predict.sources import UnreadableSource, count_frames, find_sources, read_frames
from support.data.images import write_empty_files, write_grey_image
from support.predicting import Segment, write_video

OneSentence = Callable[..., None]


def find(*paths: Path) -> list[str]:
    return [source.name for source in find_sources(paths, leave_out=Path("nowhere")).sources]


def test_the_search_finds_the_images_of_training(tmp_path: Path) -> None:
    for name in ("cat/0.png", "cat/inner/1.JPG", "dog/0.jpeg", "dog/.ipynb_checkpoints/1.png", "dog/__MACOSX/2.png"):
        write_grey_image(tmp_path / name)
    write_empty_files(*(tmp_path / "cat" / name for name in ("._0.png", "._a.mp4", ".hidden.jpg", "notes.txt", "png")))
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    trained = FolderClassification(str(tmp_path), val_fraction=0.5).read_stored("train").names.tolist()
    assert find(tmp_path) == trained == ["cat/0.png", "cat/inner/1.JPG", "dog/0.jpeg"]


def test_a_hidden_file_that_is_named_is_read(tmp_path: Path) -> None:
    assert find(write_grey_image(tmp_path / ".a.png")) == [".a.png"]


def test_a_folder_named_like_an_image_is_searched(tmp_path: Path) -> None:
    write_grey_image(tmp_path / "scan.jpg" / "0.png")
    assert find(tmp_path) == ["scan.jpg/0.png"] and find(tmp_path / "scan.jpg") == ["0.png"]


@pytest.mark.parametrize("names", [["IMG_1.HEIC"], ["a.cr2", "inner/b.NEF", "c.pdf", "d.psd", "e.svg", "f.dng"]])
def test_a_folder_of_unreadable_kinds_says_so(
    names: list[str], tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    write_empty_files(*(tmp_path / name for name in names))
    with pytest.raises(UserError) as caught:
        find(tmp_path)
    assert_one_sentence(caught.value, tmp_path, str(len(names)), names[0], "cannot be read", "to JPEG or PNG")


def test_unreadable_kinds_beside_images_are_counted(
    tmp_path: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    write_grey_image(tmp_path / "in" / "0.png")
    write_empty_files(tmp_path / "in" / "1.heic", tmp_path / "in" / "2.HEIC", tmp_path / "in" / "._3.heic")
    segment(tmp_path / "in")
    printed = capsys.readouterr()
    assert "contains 2 images of kinds that cannot be read (1.heic, 2.HEIC): convert them" in printed.err
    assert "Predicted 1 image." in printed.out


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_odd_files_never_block_the_search(name: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    for folder in ("fifo", "loop", "broken", "device"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "fifo" / name)
    (tmp_path / "loop" / name).symlink_to(name)
    (tmp_path / "broken" / name).symlink_to("nowhere")
    (tmp_path / "device" / name).symlink_to("/dev/zero")
    sources = find_sources([tmp_path], leave_out=tmp_path / "out").sources
    assert len(sources) == 4 and count_frames(sources) <= 4
    for found in read_frames(sources):
        assert isinstance(found, UnreadableSource)
        assert_one_sentence(ValueError(found.reason), found.source.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="this user may read every folder")
def test_a_folder_without_permission_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(UserError) as caught:
        find(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "closed", "Permission denied")


def test_videos_are_found_beside_images(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi")
    write_grey_image(tmp_path / "b.png")
    sources = find_sources([tmp_path], leave_out=tmp_path / "out").sources
    assert [source.name for source in sources] == ["a.avi", "b.png"] and count_frames(sources) == 7
