"""A small video community: accounts, channels, videos, and pages to find them."""
