"""Tasks: networks with their preprocessing, and how they are trained and evaluated."""

from .network import Network, load
from .preprocessing import Preprocessing

__all__ = ["Network", "Preprocessing", "load"]
