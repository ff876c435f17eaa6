"""`litmobile profile`: what networks cost: parameters, multiply-adds, memory, and latency on several engines."""

import os

# PyTorch's profiler prints when it starts and stops; it reads this once, when torch is imported
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
