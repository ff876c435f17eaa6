"""`litmobile transfer`: runs a study of backbones, tasks and protocols, cell by cell."""
