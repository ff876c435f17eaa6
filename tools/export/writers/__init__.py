"""Writers of exported files, one module per format; `formats.py` lists them."""
