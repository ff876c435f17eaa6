"""`Network.predict` takes images of every kind, alone, in lists and in folders, and refuses the rest in a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray

from litmobile.errors import UserError
from litmobile.tasks.images import read_image
from litmobile.tasks.images.inputs import InputImage
from litmobile.tasks.network import Network
from support.custom_heads import Depth, DepthHead

Pixels = NDArray[np.uint8]
OneSentence = Callable[..., None]


def encode(image: PIL.Image.Image, kind: str, orientation: int = 1) -> bytes:
    """Encode an image as a file with an EXIF orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    image.save(content, kind, exif=exif, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    return content.getvalue()


def make_grey(noise: Pixels) -> Pixels:
    return np.repeat(noise[:, :, :1], 3, axis=2)


SAME: dict[str, Callable[[Pixels], Any]] = {
    "array": lambda x: x,
    "view": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "RGBA": lambda x: np.dstack((x, np.full(x.shape[:2], 7, np.uint8))),
    "16 bits": lambda x: x.astype(np.uint16) * 256 + 9,
    "16 bits, other byte order": lambda x: (x.astype(np.uint16) * 256).astype(">u2"),
    "floats": lambda x: (x / 255).astype(np.float32),
    "doubles": lambda x: x / 255,
    "tensor": lambda x: torch.from_numpy(x).permute(2, 0, 1),
    "tensor of floats": lambda x: torch.from_numpy(x).permute(2, 0, 1) / 255,
    "tensor RGBA": lambda x: torch.cat((torch.from_numpy(x).permute(2, 0, 1), torch.zeros(1, *x.shape[:2])), 0).byte(),
    "PIL": PIL.Image.fromarray,
    "PIL RGBA": lambda x: PIL.Image.fromarray(x).convert("RGBA"),
    "bytes": lambda x: encode(PIL.Image.fromarray(x), "PNG"),
    "memoryview": lambda x: memoryview(encode(PIL.Image.fromarray(x), "PNG")),
    "bytearray": lambda x: bytearray(encode(PIL.Image.fromarray(x), "BMP")),
}
SAME_GREY: dict[str, Callable[[Pixels], Any]] = {
    "array [h, w]": lambda x: x[:, :, 0],
    "array [h, w, 1]": lambda x: x[:, :, :1],
    "16 bits": lambda x: x[:, :, 0].astype(np.uint16) << 8,
    "tensor [h, w]": lambda x: torch.from_numpy(x[:, :, 0].copy()),
    "tensor [1, h, w]": lambda x: torch.from_numpy(x[:, :, 0].copy())[None],
    "PIL L": lambda x: PIL.Image.fromarray(x[:, :, 0]),
    "PIL LA": lambda x: PIL.Image.fromarray(x[:, :, 0]).convert("LA"),
    "PIL I;16": lambda x: PIL.Image.fromarray(x[:, :, 0].astype(np.uint16) << 8),
}


@pytest.mark.parametrize("convert", SAME.values(), ids=SAME)
def test_every_kind_of_colour_image_is_read_alike(convert: Callable[[Pixels], Any], noise: Pixels) -> None:
    assert np.array_equal(InputImage(convert(noise)).read(), noise)


@pytest.mark.parametrize("convert", SAME_GREY.values(), ids=SAME_GREY)
def test_every_kind_of_grey_image_is_read_alike(convert: Callable[[Pixels], Any], noise: Pixels) -> None:
    grey = make_grey(noise)
    assert np.array_equal(InputImage(convert(grey)).read(), grey)


@pytest.mark.parametrize("mode", ["1", "P", "PA", "CMYK", "YCbCr", "HSV", "RGBX", "RGBa"])
def test_odd_modes_of_pil_are_converted(mode: str, noise: Pixels) -> None:
    image = PIL.Image.fromarray(noise)
    image = image.convert("RGBA").convert(mode) if mode == "RGBa" else image
    image = image.convert("LA").convert(mode) if mode == "PA" else image.convert(mode)
    read = InputImage(image).read()
    assert read.shape == noise.shape and read.dtype == np.uint8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6])
def test_orientation_is_applied_as_in_files(kind: str, orientation: int, noise: Pixels, tmp_path: Path) -> None:
    data = encode(PIL.Image.fromarray(noise), kind, orientation)
    path = tmp_path / "image.file"
    path.write_bytes(data)
    expected = read_image(path)
    assert expected.shape[:2] == ((120, 90) if orientation > 4 else (90, 120))
    for source in (data, PIL.Image.open(io.BytesIO(data))):
        read = InputImage(source).read()
        assert read.shape == expected.shape
        assert np.abs(read.astype(int) - expected).max() <= 3  # decoders of JPEG round differently


REFUSED: dict[str, tuple[Callable[[Pixels], Any], tuple[str, ...]]] = {
    "empty list": (lambda x: [], ("empty",)),
    "empty array": (lambda x: x[:0], ("[0, 120, 3]",)),
    "dictionary": (lambda x: {"image": x}, ("dictionary",)),
    "URL": (lambda x: "https://example.org/street.jpg", ("URL", "download")),
    "video": (lambda x: "street.mp4", ("video", "litmobile predict")),
    "None": (lambda x: None, ("NoneType", "imread")),
    "number": (lambda x: 3, ("int", "PIL")),
    "missing file": (lambda x: "nowhere.jpg", ("nowhere.jpg does not exist",)),
    "damaged bytes": (lambda x: b"no image", ("8 bytes", "cannot be read")),
    "channels first": (lambda x: x.transpose(2, 0, 1), ("uint8", "[3, 90, 120]", "transpose(1, 2, 0)")),
    "batch": (lambda x: x[None], ("[1, 90, 120, 3]", "list(source)")),
    "two channels": (lambda x: x[:, :, :2], ("[90, 120, 2]",)),
    "integers": (lambda x: x.astype(int), ("int64", "uint8")),
    "floats of 0 … 255": (lambda x: x.astype(np.float32), ("0 … 1", "uint8")),
    "normalised": (lambda x: (torch.from_numpy(x).permute(2, 0, 1) / 255 - 0.5) / 0.25, ("normalised",)),
    "NaN": (lambda x: np.full((40, 40, 3), np.nan), ("nan", "0 … 1")),
    "channels last": (lambda x: torch.from_numpy(x), ("uint8", "permute(2, 0, 1)")),
    "ambiguous tensor": (lambda x: torch.zeros(3, 40, 3), ("[3, 40, 3]", "as well")),
    "batch of tensors": (lambda x: torch.zeros(2, 3, 40, 40), ("list(source)",)),
    "PIL I": (lambda x: PIL.Image.new("I", (40, 40)), ("mode I", "32-bit")),
    "PIL La": (lambda x: PIL.Image.new("LA", (40, 40)).convert("La"), ("mode La", "not supported")),
    "PIL F": (lambda x: PIL.Image.new("F", (40, 40)), ("mode F", "32-bit")),
    "one of a list": (lambda x: [x, x, x.astype(int)], ("source[2]", "int64")),
}


@pytest.mark.parametrize(("make", "mentioned"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_an_image_is_one_sentence(
    make: Callable[[Pixels], Any],
    mentioned: tuple[str, ...],
    classifier: Network,
    noise: Pixels,
    assert_one_sentence: OneSentence,
) -> None:
    with pytest.raises(UserError) as caught:
        classifier.predict(make(noise))
    assert_one_sentence(caught.value, *mentioned)


def test_folder_without_images_is_one_sentence(
    classifier: Network, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(UserError) as caught:
        classifier.predict(tmp_path)
    assert_one_sentence(caught.value, tmp_path, "no images")
    (tmp_path / "phone.heic").touch()
    with pytest.raises(UserError) as caught:
        classifier.predict(str(tmp_path))
    assert_one_sentence(caught.value, "phone.heic", "convert")


def test_lists_and_folders_are_predicted_in_order(classifier: Network, noise: Pixels, tmp_path: Path) -> None:
    images = [np.roll(noise, 9 * k, axis=1) for k in range(5)]
    for k, image in enumerate(images):
        (tmp_path / f"{k % 2}").mkdir(exist_ok=True)
        PIL.Image.fromarray(image).save(tmp_path / f"{k % 2}" / f"{k}.png")
    (tmp_path / "notes.txt").touch()
    expected = [classifier.predict(image).scores for image in images]
    for batch_size in (2, 5):
        found = classifier.predict(tmp_path, batch_size=batch_size)
        assert [result.path.relative_to(tmp_path).as_posix() for result in found] == [
            *("0/0.png", "0/2.png", "0/4.png", "1/1.png", "1/3.png")
        ]
        for result in found:
            torch.testing.assert_close(result.scores, expected[int(result.path.stem)])
    mixed = classifier.predict((images[3], tmp_path / "0", PIL.Image.fromarray(images[1])), batch_size=3)
    for result, k in zip(mixed, (3, 0, 2, 4, 1), strict=True):
        torch.testing.assert_close(result.scores, expected[k])
    assert isinstance(classifier.predict([images[0]]), list)


def test_stream_reads_two_batches_in_advance(classifier: Network, noise: Pixels) -> None:
    taken = 0

    def frames() -> Any:
        nonlocal taken
        for _ in range(20):
            taken += 1
            yield noise

    stream = classifier.stream(frames(), batch_size=3)
    first = next(stream)
    assert first.scores.shape == (3,)
    assert taken <= 2 * 3
    assert len(list(stream)) == 19


def test_prediction_of_an_own_kind_is_returned_unchanged(noise: Pixels) -> None:
    from litmobile.backbones import MobileNetV2
    from litmobile.tasks.preprocessing import Preprocessing

    network = Network(MobileNetV2(0.35), DepthHead, ["near"], Preprocessing((64, 64)), feature_maps=["c5"])
    assert isinstance(network.predict(noise), Depth)
    with pytest.raises(UserError, match="score"):
        network.predict(noise, score=0.5)
