"""The mail programs: one module a program, named after it without its qmail- prefix."""
