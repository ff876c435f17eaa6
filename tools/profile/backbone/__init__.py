"""What `litmobile profile` says about a backbone beside its costs: feature maps, weights, activations."""
