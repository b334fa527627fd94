"""How many requests Railway still allows in this hour, and how often it is asked."""
