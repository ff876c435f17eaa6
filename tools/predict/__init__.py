"""`litmobile predict`: applies a run to images and videos."""
