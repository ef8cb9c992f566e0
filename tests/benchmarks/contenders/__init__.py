"""Who is measured: one file per library. Each function prepares and returns a function that measures once."""
