"""The engines that `litmobile profile` measures: PyTorch's modes, and programs that run exported files."""
