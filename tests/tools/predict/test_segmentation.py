"""`litmobile predict` with a segmentation network: label maps of images and frames, and drawings of them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from litmobile.tasks.drawing import draw_label_map, make_palette
from litmobile.tasks.images import read_image
from litmobile.tasks.segmentation.data_sets.folders import FolderSegmentation
from litmobile.tasks.segmentation.data_sets.known_classes import LABEL_IDS
from litmobile.tasks.segmentation.masks import read_values
from litmobile.tools.predict.options import PredictOptions
from litmobile.tools.predict.results import PredictionJob, SegmentationWriter
from support.cli import get_refusal
from support.predicting import (
    CLASSES,
    Segment,
    list_images,
    list_media,
    make_noise,
    predict_labels,
    read_image_size,
    save_segmenter,
    write_video,
)


@pytest.fixture(scope="module")
def of_cityscapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a network with Cityscapes' classes in another order."""
    return save_segmenter(tuple(sorted(LABEL_IDS)), tmp_path_factory.mktemp("runs") / "cityscapes.ckpt")


def list_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def read_classes(folder: Path) -> list[list[str]]:
    with (folder / "classes.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file))


# label maps


def test_label_maps_equal_the_predictions_of_python(segmenter: Path, shapes: Path, segment: Segment) -> None:
    out = segment(shapes / "val")
    maps = [read_values(out / "labels" / f"{path.stem}.png") for path in list_images(shapes)]
    for path, labels in zip(list_images(shapes), maps, strict=True):
        assert np.array_equal(labels, predict_labels(segmenter, path))
    assert {value for labels in maps for value in np.unique(labels)} == {0, 1, 2}, "every class is predicted"
    assert list_files(out / "labels") == [f"{path.stem}.png" for path in list_images(shapes)]
    assert list_media(out) == sorted(
        [*(path.name for path in list_images(shapes)), *(f"labels/{f}" for f in list_files(out / "labels"))]
    )


@pytest.mark.parametrize("count", [1, 2, 3, 200])
def test_label_maps_have_eight_bits_and_a_palette(count: int, shapes: Path, tmp_path: Path, segment: Segment) -> None:
    run = save_segmenter(tuple(f"c{k}" for k in range(count)), tmp_path / "run.ckpt")
    source = list_images(shapes)[0]
    file = segment(source, run=run) / "labels" / f"{source.stem}.png"
    header = file.read_bytes()[:33]
    assert header[12:16] == b"IHDR" and header[24:26] == bytes([8, 3]), "eight bits, a palette"
    with PIL.Image.open(file) as stored:
        assert stored.mode == "P"
        values, colours = np.asarray(stored), np.asarray(stored.convert("RGB"))
    assert np.array_equal(values, predict_labels(run, source))
    assert np.array_equal(colours, np.array(make_palette(count))[values])


def test_a_table_lists_values_names_and_colours(shapes: Path, segment: Segment) -> None:
    out = segment(list_images(shapes)[0])
    assert read_classes(out) == [
        ["value", "name", "red", "green", "blue"],
        *([str(k), name, *map(str, make_palette(3)[k])] for k, name in enumerate(CLASSES)),
    ]


def test_label_maps_are_masks_for_training(segmenter: Path, shapes: Path, tmp_path: Path, segment: Segment) -> None:
    for k, path in enumerate(list_images(shapes)):
        (tmp_path / "data" / "images" / str(k % 2)).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "data" / "images" / str(k % 2))
    out = segment(tmp_path / "data" / "images")
    shutil.copytree(out / "labels", tmp_path / "data" / "masks")
    images = FolderSegmentation(str(tmp_path / "data"), classes=list(CLASSES)).read_stored("train")
    assert len(images) == len(list_images(shapes))
    for k in range(len(images)):
        image, labels, _ = images.sample(k)
        assert np.array_equal(labels, predict_labels(segmenter, image))


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("grey.png", PIL.Image.fromarray(make_noise(50, 70)[:, :, 0])),
        ("deep.png", PIL.Image.fromarray(make_noise(50, 70)[:, :, 0].astype(np.uint16) * 257)),
        ("clear.png", PIL.Image.fromarray(np.dstack((make_noise(50, 70), make_noise(50, 70)[:, :, 0])))),
        ("palette.gif", PIL.Image.fromarray(make_noise(50, 70)).quantize(8)),
        ("black and white.png", PIL.Image.fromarray(make_noise(50, 70)).convert("1")),
        ("cmyk.jpg", PIL.Image.fromarray(make_noise(50, 70)).convert("CMYK")),
        ("wide.png", PIL.Image.fromarray(make_noise(3, 300))),
        ("dot.png", PIL.Image.fromarray(make_noise(1, 1))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_label_maps_have_the_size_of_the_image(
    name: str, stored: PIL.Image.Image, segmenter: Path, tmp_path: Path, segment: Segment
) -> None:
    stored.save(tmp_path / name)
    labels = read_values(segment(tmp_path / name) / "labels" / f"{Path(name).stem}.png")
    assert labels.shape == (stored.height, stored.width)
    assert np.array_equal(labels, predict_labels(segmenter, tmp_path / name))


def test_exif_orientation_is_applied(segmenter: Path, tmp_path: Path, segment: Segment) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(make_noise(40, 70)).save(tmp_path / "turned.jpg", exif=exif)
    out = segment(tmp_path / "turned.jpg")
    labels = read_values(out / "labels" / "turned.png")
    assert labels.shape == (70, 40)
    assert np.array_equal(labels, predict_labels(segmenter, tmp_path / "turned.jpg"))
    assert read_image_size(out / "turned.jpg")[0] > 70, "a legend is below"


@pytest.mark.parametrize("size", [(96, 64), (47, 41), (200, 30)])
def test_videos_have_a_label_map_for_every_frame(
    size: tuple[int, int], segmenter: Path, tmp_path: Path, segment: Segment
) -> None:
    path = write_video(tmp_path / "film.avi", size=size)
    out = segment(path)
    assert list_files(out / "labels") == [f"film.avi/{k:06}.png" for k in range(6)]
    video = cv2.VideoCapture(str(path))
    for k in range(6):
        image = np.ascontiguousarray(video.read()[1][:, :, ::-1])
        assert np.array_equal(
            read_values(out / "labels" / "film.avi" / f"{k:06}.png"), predict_labels(segmenter, image)
        )
    result = cv2.VideoCapture(str(out / "film.avi.mp4"))
    assert [result.read()[0] for _ in range(7)] == [True] * 6 + [False]
    assert result.get(cv2.CAP_PROP_FRAME_HEIGHT) > size[1]


# names


def test_no_label_map_overwrites_another(segmenter: Path, tmp_path: Path, segment: Segment) -> None:
    names = ["x.jpg", "x.png", "X.bmp", "deep/x.jpg", "film.avi/000000.png", "y.png/z.jpg", "y.jpg"]
    for k, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / name), np.roll(make_noise(40 + k, 50), 9 * k, axis=1))
    (tmp_path / "other").mkdir()
    write_video(tmp_path / "other" / "film.avi", frames=2)
    out = segment(tmp_path / "in", tmp_path / "other")
    maps = {read_image_size(out / "labels" / name): name for name in list_files(out / "labels")}
    of = {name: maps.get((40 + k, 50)) for k, name in enumerate(names)}
    assert of == {
        "X.bmp": "X.png",
        "x.jpg": "x-2.png",
        "x.png": "x-3.png",
        "deep/x.jpg": "deep/x.png",
        "film.avi/000000.png": "film.avi/000000.png",
        "y.png/z.jpg": "y.png/z.png",
        "y.jpg": "y-2.png",
    }
    assert maps[(64, 96)].startswith("film-2.avi/")
    for name, where in of.items():
        assert np.array_equal(
            read_values(out / "labels" / str(where)), predict_labels(segmenter, tmp_path / "in" / name)
        )


def test_no_label_map_overwrites_a_drawing_or_an_image(tmp_path: Path, segment: Segment) -> None:
    out = tmp_path / "out"
    for name, height in (("in/x.png", 40), ("in/labels/x.png", 41), ("out/labels/y.png", 42), ("in/y.png", 43)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), make_noise(height, 180))
    before = (out / "labels" / "y.png").read_bytes()
    segment(tmp_path / "in", out / "labels" / "y.png")
    assert (out / "labels" / "y.png").read_bytes() == before
    assert read_image_size(out / "labels" / "x.png")[0] > 41, "the drawing of labels/x.png"
    assert read_image_size(out / "labels" / "x-2.png") == (40, 180)
    assert read_image_size(out / "labels" / "labels" / "x.png") == (41, 180)


@pytest.mark.parametrize(
    "name", ["a, b.jpg", "two\nlines.jpg", "Käfer.jpg", "v1.2.jpg", ".jpg", "no suffix", "a..jpg", " .jpg"]
)
def test_odd_names_are_kept(name: str, segmenter: Path, shapes: Path, tmp_path: Path, segment: Segment) -> None:
    shutil.copy(list_images(shapes)[0], tmp_path / name)
    out = segment(tmp_path / name)
    (file,) = list_files(out / "labels")
    stem = Path(name).stem
    assert file == f"{stem}.png"
    assert np.array_equal(read_values(out / "labels" / file), predict_labels(segmenter, list_images(shapes)[0]))


# drawings


def test_drawings_blend_colours_and_add_a_legend(segmenter: Path, tmp_path: Path, segment: Segment) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), make_noise(90, 200))
    out = segment(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    labels = read_values(out / "labels" / "x.png").astype(np.uint8)
    result = read_image(out / "x.png")
    assert np.array_equal(result, draw_label_map(image, labels, CLASSES, make_palette(3)))
    assert result.shape[0] > 90 and result.shape[1] == 200


def test_without_images_label_maps_are_written(shapes: Path, tmp_path: Path, segment: Segment) -> None:
    out = segment(list_images(shapes)[0], write_video(tmp_path / "film.avi", frames=2), "--draw=false")
    stem = list_images(shapes)[0].stem
    assert list_files(out) == [
        "classes.csv",
        "classes.txt",
        *sorted([f"labels/{stem}.png", *(f"labels/film.avi/{k:06}.png" for k in (0, 1))]),
    ]


def test_label_maps_of_an_earlier_video_are_deleted(tmp_path: Path, segment: Segment) -> None:
    segment(write_video(tmp_path / "film.avi", frames=4), "--draw=false")
    out = segment(write_video(tmp_path / "film.avi", frames=2), "--draw=false")
    assert list_files(out / "labels") == ["film.avi/000000.png", "film.avi/000001.png"]


def test_results_are_a_data_set_with_class_names(
    segmenter: Path, shapes: Path, tmp_path: Path, segment: Segment
) -> None:
    out = segment(list_images(shapes)[0], "--draw=false")
    shutil.copytree(out, tmp_path / "set")
    (tmp_path / "set" / "images").mkdir()
    shutil.copy(list_images(shapes)[0], tmp_path / "set" / "images")
    split = FolderSegmentation(str(tmp_path / "set"), masks="labels").read_stored("train")
    assert split.classes == CLASSES
    assert np.array_equal(split.labels(0), predict_labels(segmenter, list_images(shapes)[0]))


# Cityscapes' server


def test_label_ids_equal_those_of_cityscapes(of_cityscapes: Path, tmp_path: Path, segment: Segment) -> None:
    city = tmp_path / "leftImg8bit" / "test" / "berlin"
    city.mkdir(parents=True)
    names = [f"berlin_{k:06}_000019_leftImg8bit" for k in range(3)]
    for k, name in enumerate(names):
        cv2.imwrite(str(city / f"{name}.png"), np.roll(make_noise(64, 128), 20 * k, axis=1))
    out = segment(tmp_path / "leftImg8bit" / "test", "--label_ids", "cityscapes", run=of_cityscapes)
    assert list_files(out / "labels") == [f"berlin/{name}.png" for name in names]
    ids = np.array([LABEL_IDS[name] for name in sorted(LABEL_IDS)])
    for name in names:
        with PIL.Image.open(out / "labels" / "berlin" / f"{name}.png") as stored:
            assert stored.mode == "L"
            assert np.array_equal(np.asarray(stored), ids[predict_labels(of_cityscapes, city / f"{name}.png")])
    assert {row[1]: int(row[0]) for row in read_classes(out)[1:]} == LABEL_IDS
    assert not (out / "classes.txt").exists(), "it would mean that 7 is the eighth class"


def test_drawings_do_not_depend_on_label_ids(of_cityscapes: Path, tmp_path: Path, segment: Segment) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), make_noise(64, 128))
    plain = read_image(segment(tmp_path / "x.png", run=of_cityscapes) / "x.png")
    rows = read_classes(tmp_path / "out")
    out = segment(tmp_path / "x.png", "--label_ids=cityscapes", run=of_cityscapes)
    assert np.array_equal(read_image(out / "x.png"), plain)
    assert [row[1:] for row in read_classes(out)] == [row[1:] for row in rows]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("sky, wet", "b"), "has 'sky, wet'."),
        ((*LABEL_IDS, "dog"), "has 'dog'."),
        (tuple(LABEL_IDS)[:-1], "lacks 'bicycle'."),
    ],
    ids=["others", "one more", "one less"],
)
def test_label_ids_need_the_classes_of_cityscapes(
    classes: tuple[str, ...], said: str, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = save_segmenter(classes, tmp_path / "run.ckpt")
    words = [list_images(shapes)[0], "--label_ids", "cityscapes", "--out", tmp_path / "out"]
    answer = get_refusal("predict", "--run", str(run), *map(str, words), capsys=capsys)
    assert f"--label_ids cityscapes needs its 19 classes, but the network {said}" in answer
    assert not (tmp_path / "out").exists()


# wrong input


def test_label_ids_need_a_segmentation_network(
    shapes: Path, tmp_path: Path, refuse: Callable[..., str], run: Path
) -> None:
    answer = refuse(list_images(shapes)[0], "--label_ids=cityscapes", "--out", tmp_path / "out")
    assert f"--label_ids can only be used with a segmentation network, but {run} is a detector." in answer
    assert not (tmp_path / "out").exists()


def test_unknown_label_ids_are_refused(shapes: Path, refuse: Callable[..., str]) -> None:
    assert "--label_ids takes cityscapes, not camvid." in refuse(list_images(shapes)[0], "--label_ids=camvid")


def test_annotations_need_a_detector(
    segmenter: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shapes / "annotations" / "instances_val.json"
    words = [shapes / "val", "--annotations", file, "--out", tmp_path / "out"]
    said = get_refusal("predict", "--run", str(segmenter), *map(str, words), capsys=capsys)
    assert f"--annotations can only be used with a detector, but {segmenter} is a segmentation network." in said
    assert not (tmp_path / "out").exists()


def test_unreadable_images_are_named_and_skipped(
    shapes: Path, tmp_path: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = list_images(shapes)[1].read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    out = segment(tmp_path / "a.jpg", list_images(shapes)[1])
    assert list_files(out / "labels") == [f"{list_images(shapes)[1].stem}.png"]
    said = capsys.readouterr()
    assert f"{tmp_path / 'a.jpg'} cannot be read as an image" in said.err
    assert f"1 file ({tmp_path / 'a.jpg'})." in said.out


def test_unreadable_input_writes_nothing(segmenter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    words = ("predict", "--run", segmenter, tmp_path / "a.jpg", "--out", tmp_path / "out")
    assert "None of the 1 files could be read." in get_refusal(*map(str, words), capsys=capsys)
    assert not (tmp_path / "out").exists()


def test_more_than_254_classes_are_refused(tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="label maps") as refused:
        SegmentationWriter(PredictionJob([str(k) for k in range(255)], tmp_path / "out", PredictOptions(Path("run"))))
    assert_one_sentence(refused.value, "254 classes, not 255")
    assert not (tmp_path / "out").exists()
