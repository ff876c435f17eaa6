"""Engines that run the cells of a study: processes on this machine, jobs of SLURM, tasks of Ray."""
