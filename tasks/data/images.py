"""Reads image files, in the same way for training, evaluation and prediction; crops decode only what they need."""

from __future__ import annotations

import contextlib
import io
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from ...errors import ImageError

Image = NDArray[np.uint8]

#: suffixes of the image files that :func:`read_image` can read
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ras", ".sr"),
)
JPEG, PNG, BMP = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM"
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# metadata of PNG files that OpenCV ignores: animation, and orientations outside the EXIF chunk
PNG_METADATA = (b"acTL", b"XML:com.adobe.xmp", b"Raw profile type exif")
# WebP files without metadata and animation: lossy and lossless
PLAIN_WEBP = (b"WEBPVP8 ", b"WEBPVP8L")
# flags by the factor by which a JPEG decoder shrinks an image, largest first; "grey" sets the factor, not the colours
REDUCED_FLAGS = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}


class Region(NamedTuple):
    """Part of an image, in whole pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, as the index of an array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def snap(self, step: int, size: tuple[int, int]) -> Region:
        """Moves the borders to the nearest multiples of ``step`` inside an image of ``size`` (height, width)."""
        (top, left), limits = self[:2], (size[0] // step, size[1] // step)
        bottom, right = (min(limit, round(end / step)) for limit, end in zip(limits, self.ends, strict=True))
        top, left = round(top / step), round(left / step)
        return Region(step * top, step * left, step * (bottom - top), step * (right - left))

    @property
    def ends(self) -> tuple[int, int]:
        """First row and column after the region."""
        return self.top + self.height, self.left + self.width


class EncodedImage:
    """The content of an image file, decoded on demand: as a whole, or the part of it that a crop shows.

    Args:
        path: the file, named in errors.
        data: its content.
        annotated_size: (height, width) that annotations of this image refer to; see :func:`read_image`.
    """

    def __init__(self, path: str | Path, data: bytes, annotated_size: tuple[int, int] | None = None) -> None:
        self.path = path
        self.data = data
        self.annotated_size = annotated_size

    @classmethod
    def read(cls, path: str | Path, annotated_size: tuple[int, int] | None = None) -> EncodedImage:
        """Reads the file at ``path``.

        Raises:
            ImageError: the file does not exist or cannot be read.
        """
        try:
            with io.FileIO(path) as file:  # a buffer would cost more time than the read itself
                return cls(path, file.readall(), annotated_size)
        except FileNotFoundError as error:
            raise ImageError(f"{path} does not exist.") from error
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror}.") from error

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, from its annotations or its header if possible.

        Raises:
            ImageError: see :func:`read_image`.
        """
        if self.annotated_size is not None:
            return self.annotated_size
        if self.header is not None:
            return self.header.rotated_size
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def pixels(self) -> Image:
        """The whole image, ``[H, W, 3]`` uint8 RGB.

        Raises:
            ImageError: see :func:`read_image`.
        """
        image = decode_image(self.path, self.data, rotate=self.annotated_size is None)
        if self.annotated_size is not None and image.shape[:2] != self.annotated_size:
            (height, width), annotated = image.shape[:2], self.annotated_size
            image = decode_image(self.path, self.data, rotate=True)
            if image.shape[:2] != annotated:
                raise ImageError(
                    f"{self.path} is {width}×{height} pixels, but its annotations say {annotated[1]}×{annotated[0]}."
                )
        return image

    @cached_property
    def header(self) -> JpegHeader | None:
        """Header of a JPEG file that OpenCV can decode; None for other files."""
        return read_jpeg_header(self.data) if self.data.startswith(JPEG) and can_use_opencv(self.data) else None

    def crop(self, region: Region, rows: int, columns: int) -> tuple[Image, Region]:
        """Decodes ``region`` at the smallest scale that still has ``rows``×``columns`` pixels.

        Only JPEG files are decoded at ½, ¼ or ⅛ of their size. The borders of the region then move to the nearest
        whole pixels of the smaller image, by half of one of its pixels at most. Annotations must move with them.

        Returns:
            The pixels, and the region that they show.

        Raises:
            ImageError: see :func:`read_image`.
        """
        spare = min(region.height / rows, region.width / columns)
        for factor in (factor for factor in REDUCED_FLAGS if factor <= spare):
            snapped = region.snap(factor, self.size)
            shift = max(end - snapped_end for end, snapped_end in zip(region.ends, snapped.ends, strict=True))
            if snapped.height >= factor * rows and snapped.width >= factor * columns and 2 * shift <= factor:
                image = self._decode_reduced(factor)
                if image is not None:
                    return image[Region(*(side // factor for side in snapped)).slices], snapped
        return self.pixels[region.slices], region

    def _decode_reduced(self, factor: int) -> Image | None:
        """Decodes a JPEG file at 1 / ``factor`` of its size; None if its pixels would not be those of ``pixels``."""
        header = self.header
        if header is None:
            return None
        is_rotated = header.orientation > 1 if self.annotated_size is None else self.annotated_size != header.size
        size = header.rotated_size if is_rotated else header.size
        if size != self.size or (is_rotated and (size[0] % factor or size[1] % factor)):
            return None  # a mirrored image would start with the incomplete pixels of its last column or row
        flags = cv2.IMREAD_COLOR_RGB | REDUCED_FLAGS[factor] | (0 if is_rotated else cv2.IMREAD_IGNORE_ORIENTATION)
        image = decode_with_opencv(self.data, flags)
        expected = -(-size[0] // factor), -(-size[1] // factor)
        return image if image is not None and image.shape[:2] == expected else None


#: pixels ``[H, W, 3]`` uint8, or an image file that is decoded on demand
ImageSource = Image | EncodedImage
#: kind of image of a sample: decoded, encoded or either
I_co = TypeVar("I_co", bound=ImageSource, covariant=True)


def get_size(image: ImageSource) -> tuple[int, int]:
    """Returns (height, width) of ``image``."""
    return image.size if isinstance(image, EncodedImage) else (image.shape[0], image.shape[1])


def crop_image(image: ImageSource, region: Region, rows: int, columns: int) -> tuple[Image, Region]:
    """Returns at least ``rows``×``columns`` pixels of ``region``, or all; see :meth:`EncodedImage.crop`."""
    if isinstance(image, EncodedImage):
        return image.crop(region, rows, columns)
    return image[region.slices], region


class JpegHeader(NamedTuple):
    """Facts in the header of a JPEG file.

    Attributes:
        size: (height, width) as stored.
        orientation: EXIF orientation, 1 … 8.
    """

    size: tuple[int, int]
    orientation: int

    @property
    def rotated_size(self) -> tuple[int, int]:
        """(height, width) after the orientation is applied."""
        height, width = self.size
        return (width, height) if self.orientation > 4 else self.size


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Reads the header of a JPEG file without decoding it.

    None if Pillow does not understand it, and for CMYK, whose colours change if it is decoded at a reduced scale.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("JPEG",)) as file:
            if file.mode == "CMYK":
                return None
            exif = PIL.Image.Exif()  # file.getexif() would add the orientation in XMP, which OpenCV ignores
            if "exif" in file.info:
                exif.load(file.info["exif"])
            orientation = exif.get(PIL.ExifTags.Base.Orientation, 1)
            return JpegHeader((file.height, file.width), orientation if orientation in range(1, 9) else 1)
    except Exception:  # a damaged header can raise any exception; decoding the image then explains the reason
        return None


def read_image(path: str | Path, annotated_size: tuple[int, int] | None = None) -> Image:
    """Reads an image file of any kind as RGB.

    Grey images get three equal channels, 16-bit values are scaled to 8 bits, and alpha channels are dropped. Damage
    that a decoder notices raises an error; no image is partly grey. A gap in the middle of a JPEG is not noticed.

    Args:
        path: the file.
        annotated_size: (height, width) that annotations of this image refer to. Annotation tools differ in whether they
            apply the EXIF orientation, so the image is rotated only if that gives this size. None always rotates it.

    Returns:
        ``[H, W, 3]`` uint8.

    Raises:
        ImageError: the file does not exist, is not an image, is damaged, or has another size than ``annotated_size``.
    """
    return EncodedImage.read(path, annotated_size).pixels


def decode_image(path: str | Path, data: bytes, rotate: bool) -> Image:
    """Decodes ``data``, the content of ``path``, as ``[H, W, 3]`` uint8 RGB.

    Args:
        path: named in errors.
        data: the encoded image.
        rotate: apply the orientation in the metadata; otherwise the pixels are returned as stored.
    """
    if can_use_opencv(data):
        flags = cv2.IMREAD_COLOR_RGB if rotate else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        image = decode_with_opencv(data, flags)
        if image is not None:
            return image
    try:
        with PIL.Image.open(io.BytesIO(data)) as file:
            return decode_with_pillow(file, rotate)
    except PIL.UnidentifiedImageError:
        reason = "its format is unknown, or its beginning is damaged"
    except Exception as error:  # a damaged file can raise any exception
        reason = str(error).rstrip(".") or type(error).__name__
    raise ImageError(f"{path} cannot be read as an image: {reason}.")


def decode_with_opencv(data: bytes, flags: int) -> Image | None:
    """Decodes ``data`` with OpenCV's reading ``flags``; None if it cannot."""
    with contextlib.suppress(cv2.error):  # raised for images beyond OpenCV's limits
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
        return None if image is None else np.asarray(image, dtype=np.uint8)


def can_use_opencv(data: bytes) -> bool:
    """Whether OpenCV, which is twice as fast as Pillow, decodes ``data`` correctly or reports that it cannot.

    OpenCV pads truncated JPEG and PNG files and decodes some animated PNG files as black. It multiplies the colours of
    a TIFF by its alpha. It ignores the orientation of AVIF and, before version 4.13, of WebP.
    """
    if data.startswith(JPEG):
        # in a truncated file, the last end marker is that of the thumbnail, and the image's scan follows it
        end = data.rfind(END_OF_IMAGE)
        return end >= 0 and data.find(START_OF_SCAN, end) < 0
    if data.startswith(PNG):
        header = data[: data.find(b"IDAT")]
        return data[-8:-4] == b"IEND" and not any(name in header for name in PNG_METADATA)
    return data.startswith(BMP) or (data.startswith(b"RIFF") and data[8:16] in PLAIN_WEBP)


def decode_with_pillow(file: PIL.Image.Image, rotate: bool) -> Image:
    """Decodes an opened ``file`` as :func:`decode_image` does; slower, but reads more formats, explains failures."""
    has_16_bits = file.mode.startswith("I;16") or (file.mode == "I" and file.format == "PPM")
    if file.mode in ("I", "F") and not has_16_bits:
        raise ValueError(f"its values are 32-bit {'integers' if file.mode == 'I' else 'floats'}, not 8 or 16 bits")
    if rotate:
        file = PIL.ImageOps.exif_transpose(file)
    elif file.format == "TIFF":  # Pillow rotates TIFF files while loading them, unless the orientation is removed
        file.getexif().pop(PIL.ExifTags.Base.Orientation, None)
    if has_16_bits:  # Pillow would clip at 255
        return np.repeat((np.asarray(file) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(file.convert("RGB"))


def resize_image(image: Image, rows: int, columns: int) -> Image:
    """Resizes ``image`` ``[h, w, 3]``: bilinearly, or by averaging areas if a side shrinks to less than half.

    Bilinear interpolation uses 2×2 pixels, so it would skip some pixels in that case.
    """
    height, width = image.shape[:2]
    if (height, width) == (rows, columns):
        return image
    if height > 2 * rows or width > 2 * columns:
        # shrinks first: INTER_AREA picks single pixels if the other side grows, which shifts the image
        smaller = min(columns, width), min(rows, height)
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if smaller == (columns, rows):
            return image
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
