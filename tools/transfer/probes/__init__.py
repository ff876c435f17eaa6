"""Probes: how well k-NN and ridge regression tell classes apart by the features of a frozen backbone."""
