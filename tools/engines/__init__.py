"""Runs exported networks: the engines that execute files, and a network that predicts with them."""
