"""Batches of a DataLoader that a user has written, for tasks without litmobile's data modules."""
