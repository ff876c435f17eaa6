"""Helpers that tests share, importable as `support`."""
