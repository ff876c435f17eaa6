"""The plan of a study, and the cells that it consists of."""
