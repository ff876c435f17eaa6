"""`litmobile predict`: a run's network on pictures and videos."""
