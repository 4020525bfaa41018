"""How things look: pictures with words for those who cannot see them, and widgets that leave a picture behind."""
