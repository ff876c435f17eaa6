"""What tests share beside fixtures; on the path of pytest as `support`."""
