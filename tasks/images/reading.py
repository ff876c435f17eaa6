"""Reads image files, in the same way for training, evaluation and prediction; crops decode only what they need."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from ...errors import ImageError
from .decoding import REDUCED_FLAGS, Image, can_use_opencv, decode_image, decode_with_opencv, rotate_image
from .files import check_is_readable_kind, check_pixels, explain_failure, read_file
from .headers import ImageHeader, read_header

CMYK_CHANNELS = 4


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
            ImageError: the file does not exist, cannot be read, or is of a kind or size that cannot be decoded.
        """
        check_is_readable_kind(path)
        return cls(path, read_file(path), annotated_size)

    @cached_property
    def header(self) -> ImageHeader:
        """Size and orientation as stored in the file.

        Raises:
            ImageError: the header is damaged, or the image has too many pixels.
        """
        try:
            header = read_header(self.data)
        except Exception as error:  # a damaged header can raise any exception
            raise ImageError(explain_failure(self.path, error, self.data[:16])) from error
        check_pixels(self.path, header.size)
        return header

    @property
    def orientation(self) -> int:
        """How the stored image must be turned or mirrored, 1 … 8 as in EXIF; 1 leaves it as it is.

        Raises:
            ImageError: see :attr:`header`.
        """
        return self.header.orientation

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, from its annotations or else from its header.

        Raises:
            ImageError: see :attr:`header`.
        """
        return self.annotated_size or self.header.rotated_size

    @property
    def is_rotated(self) -> bool:
        """Whether ``pixels`` are turned or mirrored as the orientation says: unless only the stored size fits.

        Raises:
            ImageError: neither size fits the annotations; see also :attr:`header`.
        """
        header, annotated = self.header, self.annotated_size
        if annotated in (None, header.rotated_size):
            return header.orientation > 1
        if annotated != header.size:
            (height, width), (rows, columns) = header.size, annotated
            raise ImageError(f"{self.path} is {width}×{height} pixels, but its annotations say {columns}×{rows}.")
        return False

    @cached_property
    def pixels(self) -> Image:
        """The whole image, ``[H, W, 3]`` uint8 RGB.

        Raises:
            ImageError: see :func:`read_image`.
        """
        is_rotated = self.is_rotated  # before decoding: it refuses images that are too large
        image = decode_image(self.path, self.data)
        return rotate_image(image, self.orientation) if is_rotated else image

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
        header, is_rotated = self.header, self.is_rotated
        if header.channels in (0, CMYK_CHANNELS) or not can_use_opencv(self.data):
            return None  # not a JPEG, or one whose colours change if it is decoded at a reduced scale
        height, width = header.size
        if is_rotated and (height % factor or width % factor):
            return None  # a mirrored image would start with the incomplete pixels of its last column or row
        image = decode_with_opencv(self.data, REDUCED_FLAGS[factor])
        if image is None or image.shape[:2] != (-(-height // factor), -(-width // factor)):
            return None
        return rotate_image(image, header.orientation) if is_rotated else image


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


def is_orientation_ambiguous(image: EncodedImage, annotated_size: tuple[int, int]) -> bool:
    """Whether annotations of this (height, width) fit the ``image`` as stored as well as rotated, and these differ.

    This is the case for half turns and mirrored images, and for all rotations of square images.

    Raises:
        ImageError: see :attr:`EncodedImage.header`.
    """
    header = image.header
    return header.orientation > 1 and header.size == header.rotated_size == annotated_size


def read_image(path: str | Path, annotated_size: tuple[int, int] | None = None) -> Image:
    """Reads an image file of any kind as RGB.

    Grey images get three equal channels, 16-bit values are scaled to 8 bits, and alpha channels are dropped. Damage
    that a decoder notices raises an error; no image is partly grey. A gap in the middle of a JPEG is not noticed.

    Args:
        path: the file.
        annotated_size: (height, width) that annotations of this image refer to. Annotation tools differ in whether they
            apply the orientation in the metadata, so the image is not rotated if only its stored size is this size.
            None always rotates it.

    Returns:
        ``[H, W, 3]`` uint8.

    Raises:
        ImageError: the file does not exist, is not an image, is damaged, has more than
            :data:`.files.MAX_PIXELS`, or has another size than ``annotated_size``.
    """
    return EncodedImage.read(path, annotated_size).pixels
