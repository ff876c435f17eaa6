"""Tasks: a network from images to predictions, and what teaches and measures it."""

from .network import Network, load
from .preprocessing import Preprocessing

__all__ = ["Network", "Preprocessing", "load"]
