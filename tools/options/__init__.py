"""Options of the commands: configurations, their parser, and what they may name."""
