"""`litmobile compare`: differences between networks with intervals."""
