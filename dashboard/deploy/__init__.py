"""The page Deploy: what goes to the line, taken away, tried out, and watched."""
