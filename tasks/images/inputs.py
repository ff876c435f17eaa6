"""Images as users pass them in Python: files, bytes, PIL images, arrays and tensors, all read as RGB."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.ExifTags
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ArgumentError, ImageError, UserError, first_line
from .decoding import Image, decode_with_pillow, rotate_image
from .files import VIDEO_SUFFIXES
from .headers import check_orientation
from .reading import EncodedImage, read_image

PATHS = (str, PathLike)
BYTES = (bytes, bytearray, memoryview)
#: types of one image; a path can also be that of a folder
IMAGE_TYPES = (*PATHS, *BYTES, PIL.Image.Image, np.ndarray, Tensor)
CHANNELS = (1, 3, 4)
ACCEPTED = "a file, its bytes, a PIL image, an array [h, w, 3], a tensor [3, h, w], a folder, or a list of these"


class InputImage(NamedTuple):
    """An image as a user passes it; the pixels are read again at each :meth:`read`.

    Attributes:
        content: a path, the bytes of a file, a PIL image, an array or a tensor.
        name: name of the argument in messages, e.g. "source[3]".
    """

    content: Any
    name: str = "source"

    @property
    def path(self) -> Path | None:
        """The file; None for an image in memory."""
        return Path(self.content).expanduser() if isinstance(self.content, PATHS) else None

    def read(self) -> Image:
        """Returns the pixels ``[h, w, 3]`` uint8 RGB.

        The orientation in the metadata of files, bytes and PIL images is applied, alpha is dropped, 16-bit values are
        scaled to 8 bits, and floats of 0 … 1 to 0 … 255.

        Raises:
            ImageError: it cannot be read or decoded.
            ArgumentError: it is not of a kind that can be an image.
            UserError: the array or tensor has another shape, type or range than images have.
        """
        if (path := self.path) is not None:
            check_not_remote(str(self.content))
            return read_image(path)
        for kinds, convert in CONVERTERS.items():
            if isinstance(self.content, kinds):
                return convert(self.content, self.name)
        hint = "; cv2.imread returns None for files that it cannot read" if self.content is None else ""
        raise ArgumentError(f"{self.name} is of type {type(self.content).__name__}{hint}; pass {ACCEPTED}.")


def check_not_remote(path: str) -> None:
    """Raises UserError if ``path`` is a URL or a video."""
    if "://" in path:
        raise UserError(f"{path} is a URL, which is not downloaded; download the image, and pass its file or bytes.")
    if path.lower().endswith(VIDEO_SUFFIXES):
        raise UserError(f"{path} is a video; use litmobile predict, or pass its frames as arrays.")


def read_bytes(data: bytes | bytearray | memoryview, name: str) -> Image:
    """Decodes the content of an image file."""
    return EncodedImage(f"{name}, {len(bytes(data)):,} bytes,", bytes(data)).pixels


def convert_pil(image: PIL.Image.Image, name: str) -> Image:
    """Converts a PIL image of any mode whose values have a known range, and applies its orientation.

    Raises:
        ImageError: it cannot be converted, e.g. because its values are 32-bit numbers, or its file is damaged.
    """
    try:
        image.load()  # Pillow applies the orientation of a TIFF now, and removes it from the metadata
        orientation = check_orientation(image.getexif().get(PIL.ExifTags.Base.Orientation))
        return rotate_image(decode_with_pillow(image), orientation)
    except Exception as error:  # a damaged file can raise any exception
        reason = first_line(error)
        raise ImageError(f"{name} is a PIL image of mode {image.mode} that cannot be read: {reason}.") from error


def convert_array(array: NDArray[Any], name: str) -> Image:
    """Converts an array ``[h, w]``, ``[h, w, 1]``, ``[h, w, 3]`` (RGB) or ``[h, w, 4]`` (RGBA).

    Raises:
        UserError: it has another shape, or a type or values that are not those of images.
    """
    values = array[:, :, None] if array.ndim == 2 else array
    if values.ndim != 3 or values.shape[2] not in CHANNELS or not values.size:
        hint = ""
        if values.ndim == 3 and values.shape[0] in CHANNELS:
            hint = f"; pass {name}.transpose(1, 2, 0)"
        elif values.ndim == 4:
            hint = f"; pass list({name}) for several images"
        raise UserError(
            f"{name} is a {array.dtype} array {list(array.shape)}, but predict takes [h, w], [h, w, 1], [h, w, 3] or "
            f"[h, w, 4]{hint}."
        )
    values = scale_to_bytes(values, name)
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[:, :, :3]


def convert_tensor(tensor: Tensor, name: str) -> Image:
    """Converts a tensor ``[h, w]``, ``[1, h, w]``, ``[3, h, w]`` or ``[4, h, w]`` on any device.

    Raises:
        UserError: it has another shape, or one that could be ``[h, w, 3]`` as well, or its values are not those of
            images.
    """
    planes = tensor.unsqueeze(0) if tensor.dim() == 2 else tensor
    is_image = planes.dim() == 3 and planes.shape[0] in CHANNELS and planes.numel() > 0
    is_channels_last = planes.dim() == 3 and planes.shape[-1] in CHANNELS and tensor.dim() == 3
    if not is_image or is_channels_last:
        hint = ""
        if is_image:
            hint = ", and this could be [h, w, 3] as well; pass a NumPy array"
        elif is_channels_last:
            hint = f"; pass {name}.permute(2, 0, 1)"
        elif planes.dim() == 4:
            hint = f"; pass list({name}) for several images"
        raise UserError(
            f"{name} is a {tensor.dtype} tensor {list(tensor.shape)}, but predict takes [h, w], [1, h, w], [3, h, w] "
            f"or [4, h, w]{hint}."
        )
    values = planes.detach().cpu()
    if values.is_floating_point():
        values = values.float()  # NumPy has no bfloat16
    return convert_array(values.permute(1, 2, 0).numpy(), name)


def scale_to_bytes(values: NDArray[Any], name: str) -> Image:
    """Returns ``values`` as uint8: 16-bit values without their low byte, as in files, and floats of 0 … 1 times 255.

    Raises:
        UserError: the type is another, or floats are not in 0 … 1.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "u" and size == 1:
        return values
    if kind == "u" and size == 2:
        return (values >> 8).astype(np.uint8)
    if kind != "f":
        raise UserError(f"{name} has values of type {values.dtype}; predict takes uint8, uint16, or floats of 0 … 1.")
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):  # also if one is NaN
        raise UserError(
            f"{name} has floats from {low:g} to {high:g}, but they must be in 0 … 1 and not normalised; "
            "convert pixels of 0 … 255 to uint8."
        )
    return np.rint(values * 255).astype(np.uint8)


CONVERTERS: dict[Any, Callable[[Any, str], Image]] = {
    BYTES: read_bytes,
    PIL.Image.Image: convert_pil,
    np.ndarray: convert_array,
    torch.Tensor: convert_tensor,
}
