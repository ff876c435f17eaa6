"""Reads image files, in the same way for training, evaluation and prediction."""

from .decoding import Image as Image
from .decoding import can_use_opencv as can_use_opencv
from .decoding import resize_image as resize_image
from .decoding import rotate_image as rotate_image
from .files import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .files import UNREADABLE_SUFFIXES as UNREADABLE_SUFFIXES
from .files import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from .files import check_regular_file as check_regular_file
from .files import read_file as read_file
from .headers import PILLOW_FORMATS as PILLOW_FORMATS
from .headers import ImageHeader as ImageHeader
from .headers import check_orientation as check_orientation
from .reading import EncodedImage as EncodedImage
from .reading import I_co as I_co
from .reading import ImageSource as ImageSource
from .reading import Region as Region
from .reading import crop_image as crop_image
from .reading import get_size as get_size
from .reading import is_orientation_ambiguous as is_orientation_ambiguous
from .reading import read_image as read_image
