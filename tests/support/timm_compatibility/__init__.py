"""Tries timm's networks under the three heads and writes the document about them."""
