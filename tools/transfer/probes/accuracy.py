"""The figure of probes: accuracy of each class, averaged over the classes that have samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....tasks.evidence import divide, mean_defined


def mean_recall(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> float:
    """Returns the mean accuracy over the classes with samples; NaN without samples.

    Args:
        labels: class of each sample, ``[S]``.
        predicted: its predicted class, ``[S]``.
        classes: number of classes.
    """
    samples = np.bincount(labels, minlength=classes)
    return float(mean_defined(divide(np.bincount(labels[labels == predicted], minlength=classes), samples)))
