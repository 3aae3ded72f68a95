"""Putting the programs onto a machine, and taking them off again: what qmail-setup and qmail-services are made of."""
