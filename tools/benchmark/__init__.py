"""Benchmarks against other libraries; both sides take turns in one session."""
