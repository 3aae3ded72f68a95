"""Reproducible benchmarks: `python -m bench [SECTION]...`, side by side with the originals and with Postfix."""
