"""`litmobile demo`: serves a page that shows the predictions of a run or an exported file."""
