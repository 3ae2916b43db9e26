"""The twin's machinery: virtual time, servers, channels, callers' protection. It knows no system."""
