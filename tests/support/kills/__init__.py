"""Kills trainings at random moments and at each write of a file, resumes them, and compares their ends bit by bit."""
