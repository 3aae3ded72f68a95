"""ucspi-tcp and the daemontools programs of run scripts: one module a program, named after it."""

__version__ = "0.1.0"
