"""Which training images a run uses: a nested share of them, and a part that it sets aside for validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from ...errors import check_range
from .split import S, TrainValSplit
from .stratified import order_stratified


class TrainingShare(Generic[S]):
    """Selects the images of "train" and "val" that a run uses; the selections depend on nothing but data and options.

    Args:
        train_share: share of the training images to train on, above 0 and at most 1. A smaller share is a part of a
            larger one with the same seed.
        val_from_train: fraction of the training images that replaces the validation images, between 0 and 1. These
            are set aside before ``train_share`` is taken. Default: the data set's own validation images.
        seed: seed of both selections.
        groups_duplicates: whether near-duplicates are kept on one side of ``val_from_train``.

    Raises:
        UserError: an option is out of range.
    """

    def __init__(
        self, train_share: float, val_from_train: float | None, seed: int, groups_duplicates: bool = True
    ) -> None:
        check_range("train_share", train_share, gt=0, le=1)
        check_range("share_seed", seed, ge=0)
        self.train_share = train_share
        self.seed = seed
        self._holdout: TrainValSplit[S] | None = None
        if val_from_train is not None:
            check_range("val_from_train", val_from_train, gt=0, lt=1)
            self._holdout = TrainValSplit(val_from_train, seed, groups_duplicates)

    def read(self, name: str, read_all: Callable[[str], S]) -> S:
        """Returns the images of the split ``name`` that a run uses; ``read_all`` returns all images of a split.

        Raises:
            DataError: the training images are too few for validation images among them.
        """
        if self._holdout is None or name == "test":
            split = read_all(name)
        else:
            split = self._holdout.part(name, lambda: read_all("train"))
            if name == "val":
                rank_zero_info(" ".join(split.notes))
                return split.in_evaluation_order()
        return take_share(split, self.train_share, self.seed) if name == "train" and self.train_share < 1 else split


def take_share(split: S, share: float, seed: int) -> S:
    """Returns a share of the images, in their order, stratified by class; a smaller share is a part of a larger one.

    Every class that has images keeps one of them, also if the share is smaller than that.
    """
    images = order_stratified(split.strata(), len(split), np.random.default_rng(seed)).take(share)
    note = f"{split.source}: {len(images)} of {len(split)} images, drawn with share_seed {seed}, are trained on."
    rank_zero_info(note)
    return replace(split.take(images), notes=(note,))
