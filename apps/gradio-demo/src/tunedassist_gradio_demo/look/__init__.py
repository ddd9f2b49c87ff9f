"""How it looks: theme, style sheet, the pieces of HTML."""
