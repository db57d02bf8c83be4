"""The test kit: what an app's own tests need, and nothing a running app imports."""
