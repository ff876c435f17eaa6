"""`litmobile predict` with a detector: the detections of `Network.predict`, drawn and in a JSON file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.cli import main
from support.cli import get_refusal
from support.custom_heads import DepthHead
from support.predicting import (
    Rows,
    convert_to_rows,
    drop_keys,
    enlarge_size,
    list_images,
    list_media,
    read_image_size,
    save_network,
    write_video,
)

# detections


def test_rows_equal_the_predictions_of_python(run: Path, shapes: Path, predict: Callable[..., Rows]) -> None:
    rows = predict(shapes / "val")
    network = litmobile.load(run)
    for number, path in enumerate(list_images(shapes), start=1):
        own = [row for row in rows if row["image_id"] == number]
        assert {row["file_name"] for row in own} == {path.as_posix()}
        assert drop_keys(own, "image_id", "file_name") == convert_to_rows(network.predict(path))


def test_exif_orientation_is_applied(run: Path, shapes: Path, tmp_path: Path, predict: Callable[..., Rows]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(list_images(shapes)[0]) as image:
        image.save(tmp_path / "turned.jpg", exif=exif)
        height, width = image.width, image.height
    rows = predict(tmp_path / "turned.jpg")
    assert drop_keys(rows, "image_id", "file_name") == convert_to_rows(
        litmobile.load(run).predict(tmp_path / "turned.jpg")
    )
    assert read_image_size(tmp_path / "out" / "turned.jpg") == enlarge_size((height, width))


@pytest.mark.parametrize("name", ["film.avi", "film.mp4", "film.MOV", "film.mkv"])
def test_videos_are_predicted_frame_by_frame(
    name: str, run: Path, tmp_path: Path, predict: Callable[..., Rows]
) -> None:
    path = write_video(tmp_path / name)
    rows = predict(path)
    network, video = litmobile.load(run), cv2.VideoCapture(str(path))
    for frame in range(6):
        own = [row for row in rows if row["frame"] == frame]
        assert {(row["image_id"], row["timestamp"]) for row in own} == {(frame + 1, frame / 12.5)}
        image = np.ascontiguousarray(video.read()[1][:, :, ::-1])
        assert drop_keys(own, "image_id", "file_name", "frame", "timestamp") == convert_to_rows(network.predict(image))
    (target,) = list_media(tmp_path / "out")
    result = cv2.VideoCapture(str(tmp_path / "out" / target))
    assert target.endswith(".mp4")
    assert [result.read()[0] for _ in range(7)] == [True] * 6 + [False]
    assert result.get(cv2.CAP_PROP_FPS) == 12.5
    assert result.get(cv2.CAP_PROP_FRAME_WIDTH) == 6 * 96, "small frames are enlarged"
    assert result.get(cv2.CAP_PROP_FRAME_HEIGHT) > 6 * 64, "a legend is below"


def test_the_score_affects_drawings_only(shapes: Path, tmp_path: Path, predict: Callable[..., Rows]) -> None:
    path = list_images(shapes)[0]
    everything = predict(path, "--score", "0")
    first = (tmp_path / "out" / path.name).read_bytes()
    assert predict(path, "--score=1") == everything
    assert (tmp_path / "out" / path.name).read_bytes() != first


def test_without_images_only_json_is_written(shapes: Path, tmp_path: Path, predict: Callable[..., Rows]) -> None:
    assert predict(shapes / "val", write_video(tmp_path / "film.avi"), "--draw=false")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.json"]


# input and output files


def test_folders_are_searched_and_no_image_is_overwritten(
    shapes: Path, tmp_path: Path, predict: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    source = list_images(shapes)[0]
    for name in ("b/x.jpg", "b/deep/x.jpg", "a/x.jpg", "a/Y.JPG", "a/y.txt", "other/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / name)
    cv2.imwrite(str(tmp_path / "a" / "x.png"), np.zeros((40, 50, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "a" / "x.bmp"), np.zeros((40, 50, 3), np.uint8))
    rows = predict(tmp_path / "b", tmp_path / "a", tmp_path / "other" / "x.jpg", tmp_path / "a" / "x.jpg")
    order = list(dict.fromkeys(Path(row["file_name"]).relative_to(tmp_path).as_posix() for row in rows))
    assert order == ["b/deep/x.jpg", "b/x.jpg", "a/Y.JPG", "a/x.bmp", "a/x.jpg", "a/x.png", "other/x.jpg"]
    assert list_media(tmp_path / "out") == ["Y.JPG", "deep/x.jpg", "x-2.jpg", "x-3.jpg", "x.bmp.jpg", "x.jpg", "x.png"]
    sizes = [read_image_size(tmp_path / "out" / name) for name in ("x.png", "x.bmp.jpg", "Y.JPG")]
    assert sizes == [enlarge_size((40, 50)), enlarge_size((40, 50)), enlarge_size(read_image_size(source))]
    printed = capsys.readouterr().out
    assert f"Predicted 7 images. The results are in {tmp_path / 'out'}." in printed


def test_earlier_results_in_the_run_are_not_input(run: Path, shapes: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("images"))
    shutil.copy(list_images(shapes)[0], copy / "mine.jpg")
    for _ in range(2):
        main(["predict", "--run", str(copy), str(copy)])
        rows = json.loads((copy / "predictions" / "predictions.json").read_text())
        assert {row["image_id"] for row in rows} == {1}
        assert list_media(copy / "predictions") == ["mine.jpg"]


def test_an_input_image_is_never_overwritten(run: Path, shapes: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    shutil.copy(list_images(shapes)[0], path)
    before = path.read_bytes()
    main(["predict", "--run", str(run), str(path), "--out", str(tmp_path)])
    assert path.read_bytes() == before
    assert read_image_size(tmp_path / "mine-2.jpg") == enlarge_size(read_image_size(path))


def test_results_among_the_input_images_are_refused(
    run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(list_images(shapes)[0], tmp_path / "mine.jpg")
    with pytest.raises(SystemExit, match="pass another"):
        main(["predict", "--run", str(run), str(tmp_path), "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jpg"]


def test_a_checkpoint_file_replaces_a_run(run: Path, shapes: Path, tmp_path: Path) -> None:
    checkpoint, path = run / "checkpoints" / "best.ckpt", list_images(shapes)[0]
    main(["predict", "--run", str(checkpoint), str(path), "--out", str(tmp_path / "out")])
    assert list_media(tmp_path / "out") == [path.name]


# damaged files


def test_damaged_files_are_named_and_skipped(
    shapes: Path, tmp_path: Path, predict: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    whole = list_images(shapes)[0].read_bytes()
    (folder / "a.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "b.jpg").write_bytes(whole)
    (folder / "c.mp4").write_text("no video")
    cut = write_video(folder / "d.mkv", frames=20)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    rows = predict(folder)
    assert {Path(row["file_name"]).name for row in rows} == {"b.jpg", "d.mkv"}
    assert rows[0]["image_id"] == 1
    said = capsys.readouterr()
    assert f"{folder / 'a.jpg'} cannot be read as an image: image file is truncated" in said.err
    assert f"{folder / 'c.mp4'} cannot be read as a video." in said.err
    assert f"{cut} ends after " in said.err
    assert f"3 files ({folder / 'a.jpg'}, {folder / 'c.mp4'}, {cut})." in said.out
    assert "Predicted 1 image and" in said.out


def test_unreadable_input_writes_nothing(tmp_path: Path, refuse: Callable[..., str]) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    answer = refuse(tmp_path, "--out", tmp_path / "out")
    assert answer.startswith("litmobile: None of the 1 files could be read.")
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_complete_rows(
    run: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, calls = Network.predict, []

    def interrupted(self: Network, image: Any, *views: Any) -> Any:
        calls.append(image)
        if len(calls) > 3:  # the first call is on a blank image
            raise KeyboardInterrupt
        return whole(self, image, *views)

    monkeypatch.setattr(Network, "predict", interrupted)
    words = ("predict", "--run", str(run), str(shapes / "val"), "--out", str(tmp_path))
    with pytest.raises(SystemExit, match="130"):
        main(list(words))
    assert "Predicted 2 images." in capsys.readouterr().out
    rows = json.loads((tmp_path / "predictions.json").read_text())
    assert {row["image_id"] for row in rows} == {1, 2}


# wrong input


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["/nowhere.jpg"], "litmobile: /nowhere.jpg does not exist; pass an image, a video or a folder of them."),
        (["empty"], "litmobile: empty contains no images or videos."),
        (["--score", "1.5", "empty"], "litmobile: --score must be between 0 and 1, not 1.5."),
        (["--score=.nan", "empty"], "litmobile: --score must be between 0 and 1, not nan."),
        (
            ["--run", "/nowhere", "empty"],
            "litmobile: /nowhere does not exist; pass the folder of a run, ",
        ),
        (
            ["--run", "empty", "empty"],
            "litmobile: empty is not the folder of a run: it has no checkpoint; ",
        ),
        (["--out", "text.txt", "empty"], "litmobile: text.txt is a file, but the results need a folder."),
        (["--run", "text.txt", "empty"], "litmobile: text.txt is not a checkpoint of litmobile"),
        (["--annotations", "/nowhere", "one.jpg"], "litmobile: The annotation file /nowhere does not exist."),
        (["--socre=0.3", "empty"], "litmobile: --socre is not an option; did you mean --score?"),
        ([], "litmobile: litmobile predict needs images, videos or folders of them."),
    ],
)
def test_wrong_input_gives_a_one_sentence_error(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("text")
    cv2.imwrite("one.jpg", np.zeros((40, 50, 3), np.uint8))
    answer = refuse(*words)
    assert sentence in answer
    assert "Traceback" not in answer


def test_a_checkpoint_file_needs_a_folder_for_the_results(run: Path, refuse: Callable[..., str]) -> None:
    answer = refuse("--run", run / "checkpoints" / "best.ckpt", "x.jpg")
    assert "--out must name a folder for the results, because " in answer


def test_a_network_with_other_predictions_is_refused(shapes: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    network = Network(MobileNetV2(0.35), DepthHead, ["a", "b"], Preprocessing((64, 64)), role="segmentation")
    save_network(network, tmp_path / "other.ckpt")
    answer = refuse("--run", tmp_path / "other.ckpt", "--out", tmp_path / "out", shapes / "val")
    assert "writes detections, classes and label maps, not the Depth of this network." in answer
    assert not (tmp_path / "out").exists()


def test_help_does_not_import_torch() -> None:
    script = "import sys\nfrom litmobile.tools.cli import main\ntry:\n    main(['predict', '--help'])\n"
    script += "finally:\n    assert 'torch' not in sys.modules"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "1 + the class index" in " ".join(answer.stdout.split())


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_an_absent_device_is_named_in_the_error(
    device: str, run: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = get_refusal("predict", "--run", str(run), str(shapes / "val"), "--device", device, capsys=capsys)
    assert f"--device {device} cannot be used here" in said
