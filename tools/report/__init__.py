"""`litmobile report`: one page about an evaluation of a run."""
