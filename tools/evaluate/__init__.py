"""`litmobile evaluate`: COCO's figures of detections that any program wrote."""
