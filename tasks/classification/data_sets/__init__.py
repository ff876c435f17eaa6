"""Classification data sets in published layouts, class folders and lists."""
