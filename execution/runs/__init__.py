"""One run: checked before it starts, played, judged, kept in a folder."""
