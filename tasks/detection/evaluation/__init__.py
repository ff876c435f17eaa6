"""Evaluation of detections: COCO's and Pascal VOC's figures, matching, and what an evaluation keeps of each image."""
