"""Files that are no images, too large, or no ordinary files are refused in one sentence, without waiting or memory."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from litmobile.errors import ImageError
from litmobile.tasks.images import EncodedImage, read_image
from litmobile.tasks.images.files import LARGE_FILE, MAX_PIXELS, UNREADABLE_SUFFIXES
from support.data.encoding import encode, make_png, make_png_chunk, make_scene

OneSentence = Callable[..., None]
MEGABYTE = 1 << 20
MEASURE = """
import resource, sys
from litmobile.errors import ImageError
from litmobile.tasks.images import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read_image(path)
        print("read")
    except ImageError as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def compress_zeros(number: int) -> bytes:
    """Make what zlib writes for ``number`` zero bytes, but for the checksum, without compressing all of them."""
    compressor = zlib.compressobj(1)
    first, again = (compressor.compress(bytes(MEGABYTE)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (number // MEGABYTE - 1) + compressor.flush()


def measure_reading(*paths: Path) -> tuple[list[str], int]:
    """Read ``paths`` in a new process; returns a line about each, and by how many bytes its memory grew."""
    command = [sys.executable, "-c", MEASURE, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    *lines, grown = result.stdout.splitlines()
    return lines, int(grown) * (1 if sys.platform == "darwin" else 1024)


def make_bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def make_tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: width * height}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def make_jpeg(width: int, height: int) -> bytes:
    data = encode(make_scene(), "JPEG")
    return data.replace(struct.pack(">HH", 40, 60), struct.pack(">HH", height, width), 1)


def make_gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + encode(make_scene().convert("P"), "GIF")[10:]


def make_webp(width: int, height: int) -> bytes:
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return encode(make_scene(), "WEBP").replace(struct.pack("<I", 59 | 39 << 14), bits, 1)


def make_wide_webp(width: int, height: int) -> bytes:
    """Make a WebP with metadata and a large canvas."""
    data = encode(make_scene(), "WEBP", xmp=b"x")
    return data[:24] + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little") + data[30:]


BOMBS: dict[str, bytes] = {
    "png": make_png(32_000, 32_000),
    "jpeg": make_jpeg(32_000, 32_000),
    "bmp": make_bmp(32_000, -32_000),
    "tiff": make_tiff(32_000, 32_000),
    "gif": make_gif(32_000, 32_000),
    "ppm": b"P6 32000 32000 255\n",
    "webp": make_webp(16_000, 16_000),
    "webp with metadata": make_wide_webp(16_000, 16_000),
}


#: types of compressed chunks of a PNG, and how their content begins
COMPRESSED_CHUNKS = (
    (b"iCCP", b"x\0\0"),
    (b"zTXt", b"x\0\0"),
    (b"iTXt", b"x\0\1\0\0\0"),
    (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
    (b"zTXt", b"Raw profile type exif\0\0"),
)


@pytest.mark.parametrize("kind", BOMBS)
def test_an_image_with_too_many_pixels_is_refused(kind: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    path = tmp_path / "image"
    path.write_bytes(BOMBS[kind])
    for action in (lambda image: image.size, lambda image: image.pixels):
        with pytest.raises(ImageError) as caught:
            action(EncodedImage.read(path))
        assert_one_sentence(caught.value, path, "178,956,970")
    with pytest.raises(ImageError, match="178,956,970"):
        read_image(path, annotated_size=(32_000, 32_000))


def test_no_memory_is_spent_on_bombs(tmp_path: Path) -> None:
    """A bomb of 13 MB, files of 3 GB that take no space on the disk, and chunks that expand to 400 MB."""
    rows = compress_zeros(32_000 * (3 * 32_000 + 1) // MEGABYTE * MEGABYTE)
    (tmp_path / "bomb.png").write_bytes(make_png(32_000, 32_000, rows=rows))
    for kind in ("bmp", "ppm", "tiff", "png", "film"):
        with (tmp_path / f"large {kind}").open("wb") as file:
            file.write(BOMBS.get(kind, b""))
            file.truncate(3_000 * MEGABYTE)
    zeros, pixels = compress_zeros(400 * MEGABYTE), zlib.compress(bytes(40 * 181))
    for number, (kind, start) in enumerate(COMPRESSED_CHUNKS):
        chunk = make_png_chunk(kind, start + zeros)
        (tmp_path / f"chunk {number}").write_bytes(make_png(60, 40, chunk, rows=pixels))
    (tmp_path / "chunk of pixels").write_bytes(make_png(60, 40, rows=zeros))
    paths = sorted(tmp_path.iterdir())
    lines, grown = measure_reading(*paths)
    for path, line in zip(paths, lines, strict=True):
        expected = "178,956,970" if "chunk" not in path.name and "film" not in path.name else ""
        assert expected in line and "Error" not in line
    assert grown < 100 * MEGABYTE


def test_a_large_file_within_the_limit_is_read(tmp_path: Path) -> None:
    data = encode(make_scene(), "PNG")
    with (tmp_path / "image.png").open("wb") as file:
        file.write(data)
        file.truncate(LARGE_FILE + 1)
    assert read_image(tmp_path / "image.png").shape == (40, 60, 3)


def test_the_limit_is_that_of_pillow() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None and MAX_PIXELS == 2 * Image.MAX_IMAGE_PIXELS


# files that are no ordinary files


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has about 100 characters at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


ODD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (make_fifo, "it is a FIFO"),
    "socket": (make_socket, "it is a FIFO, a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "or a device"),
    "folder": (Path.mkdir, "it is a folder"),
    "broken link": (lambda path: path.symlink_to("nowhere.jpg"), "links to a file that does not exist"),
    "link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
    "empty file": (Path.touch, "it is empty"),
}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_what_is_no_file_of_an_image_is_refused(kind: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    path = tmp_path / "image.jpg"
    make, reason = ODD_FILES[kind]
    make(path)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert_one_sentence(caught.value, path, reason)


def test_a_missing_file_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "nowhere.jpg")
    assert_one_sentence(caught.value, tmp_path / "nowhere.jpg", "does not exist")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may read every file")
def test_a_file_without_permission_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    (tmp_path / "image.jpg").write_bytes(encode(make_scene(), "JPEG"))
    (tmp_path / "image.jpg").chmod(0)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "image.jpg")
    assert_one_sentence(caught.value, "Permission denied")


# kinds of images that cannot be read


@pytest.mark.parametrize("suffix", UNREADABLE_SUFFIXES)
def test_kinds_that_cannot_be_read_are_named(suffix: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    """Pillow would read the thumbnails of some cameras' files as if they were the image."""
    path = tmp_path / f"image{suffix.upper()}"
    path.write_bytes(encode(make_scene(), "TIFF"))
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert_one_sentence(caught.value, path, "convert it to JPEG or PNG")


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\0\0\0\x18ftypheic", "an HEIC image"), (b"%PDF-1.7", "a PDF document"), (b"8BPS\0", "a Photoshop document")],
)
def test_renamed_kinds_are_recognised(
    start: bytes, kind: str, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    (tmp_path / "image.jpg").write_bytes(start + bytes(100))
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "image.jpg")
    assert_one_sentence(caught.value, f"it is {kind}; convert it to JPEG or PNG")


def test_postscript_is_never_run(tmp_path: Path) -> None:
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(%pipe%touch " + bytes(tmp_path / "run")
    (tmp_path / "image.jpg").write_bytes(content + b") (w) file\n%%EOF\n")
    with pytest.raises(ImageError, match="PostScript"):
        read_image(tmp_path / "image.jpg")
    assert not (tmp_path / "run").exists()


def test_large_images_cause_no_warning(tmp_path: Path) -> None:
    """Pillow warns from half of the limit on."""
    Image.new("1", (10_000, 9_000)).save(tmp_path / "large.tif", compression="group4")
    code = "import sys; from litmobile.tasks.images import EncodedImage; print(EncodedImage.read(sys.argv[1]).size)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "large.tif")], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(9000, 10000)\n", "")
