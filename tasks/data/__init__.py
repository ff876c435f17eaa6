"""Data of all tasks: finds and reads files, samples them, and builds resumable loaders."""
