"""Draws the most confident errors of a classifier."""

from __future__ import annotations

from ..drawing import WRONG_COLOUR, add_caption
from ..examples import MAX_EXAMPLES, Example, Examples, ImageReader, draw_readable, fit_example
from .evidence import ClassificationEvidence


def draw_examples(evidence: ClassificationEvidence, read: ImageReader) -> Examples:
    """Draws the wrong images whose wrong class has the highest scores, above truth and prediction.

    Args:
        evidence: what the evaluation kept.
        read: reads an image by its file name.
    """
    predicted, confidence, probability = evidence.ranking[:, 0], evidence.confidence(), evidence.image_scores()

    def draw(image: int) -> Example:
        name, truth = evidence.names[image], evidence.classes[evidence.labels[image]]
        prediction = evidence.classes[predicted[image]]
        scores = f"{confidence[image]:.2f}", f"{probability[image]:.2f}"
        lines = [f"truth: {truth} {scores[1]}", f"prediction: {prediction} {scores[0]}"]
        drawn = add_caption(fit_example(read(name)), lines, WRONG_COLOUR)
        caption = f"{truth} classified as {prediction} with a score of {scores[0]}; {truth} has {scores[1]}"
        return Example("worst", name, caption, drawn)

    return Examples(draw_readable(evidence.rank_errors()[:MAX_EXAMPLES].tolist(), draw))
