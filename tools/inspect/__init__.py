"""`litmobile inspect`: counts and measures a data set before training."""
