"""Recipes: YAML files that `litmobile fit --config detection/NAME` finds by name, e.g. detection/ssdlite_coco."""
