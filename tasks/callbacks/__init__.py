"""Lightning callbacks for training; a task returns its own from ``configure_callbacks``."""

from .checkpoints import BestAndLastCheckpoints as BestAndLastCheckpoints
from .checkpoints import Stopped as Stopped
from .ema import ExponentialMovingAverage as ExponentialMovingAverage
from .evaluation import EvaluationWriter as EvaluationWriter
from .evaluation import LastEpochValidation as LastEpochValidation
from .examples import ExampleWriter as ExampleWriter
from .non_finite_loss import NonFiniteLossGuard as NonFiniteLossGuard
from .progress import ProgressBar as ProgressBar
from .resume import ExactResume as ExactResume
from .threads import CpuThreads as CpuThreads
from .unfreezing import StagedUnfreezing as StagedUnfreezing
