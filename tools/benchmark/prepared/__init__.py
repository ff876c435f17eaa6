"""Prepared scripts that measure or try something large in one go, with their own limits of time."""
