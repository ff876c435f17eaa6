"""`litmobile export`: writes a run's network to a file that other programs can use."""
