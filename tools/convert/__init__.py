"""`litmobile convert`: writes a detection data set in another format."""
