"""Segmentation data sets in published layouts and in folders of your own."""
