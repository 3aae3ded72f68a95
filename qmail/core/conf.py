"""What an installation is built with, as djb's conf-qmail.  `make setup` writes it anew in what it installs."""

HOME = b"/var/qmail"
PREFIX = b"/usr/local"
