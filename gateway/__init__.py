"""Hearthlog: a home's own memory."""

__version__ = "0.1.0"
