"""Statistics of what qmail-send logs: qmailanalog, and a report to look at."""
