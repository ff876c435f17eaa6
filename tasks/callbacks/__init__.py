"""Lightning callbacks for training; a task returns its own from ``configure_callbacks``."""

from .checkpoints import BestAndLastCheckpoints, Stopped
from .ema import ExponentialMovingAverage
from .evaluation import EvaluationWriter, LastEpochValidation
from .non_finite_loss import NonFiniteLossGuard
from .progress import ProgressBar
from .resume import ExactResume
from .threads import CpuThreads
from .unfreezing import StagedUnfreezing

__all__ = [
    "BestAndLastCheckpoints",
    "CpuThreads",
    "EvaluationWriter",
    "ExactResume",
    "ExponentialMovingAverage",
    "LastEpochValidation",
    "NonFiniteLossGuard",
    "ProgressBar",
    "StagedUnfreezing",
    "Stopped",
]
