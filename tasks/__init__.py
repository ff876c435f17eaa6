"""Tasks: networks with their preprocessing, and how they are trained and evaluated."""

from .network import Network as Network
from .network import load as load
from .preprocessing import Preprocessing as Preprocessing
