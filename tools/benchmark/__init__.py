"""Benchmarks against other libraries, measured in turn in one run."""
