"""Figures with alternative texts, and widgets that show a picture where they cannot run."""
