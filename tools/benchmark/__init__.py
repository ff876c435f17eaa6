"""Timings against other libraries, side by side in one run."""
