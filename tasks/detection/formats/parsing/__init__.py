"""What readers of several formats need: fields, files, shapes, class lists, and notes of repairs."""
