"""Recipes: YAML files that `litmobile fit --config detection/NAME` finds by name."""
