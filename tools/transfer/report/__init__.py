"""The report of a study: what it says about backbones, tasks and protocols."""
