"""`litmobile backbones`: lists the networks with their cost, feature maps, accuracy and weights."""
