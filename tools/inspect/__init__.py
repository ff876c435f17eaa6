"""`litmobile inspect`: a training's data, counted and measured."""
