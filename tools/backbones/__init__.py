"""`litmobile backbones`: what the networks on offer cost and give."""
