"""Trials of timm's networks under the three heads, and the document about them."""
