"""The Qmail-Scanner queue filter: looks at mail before it goes into the queue."""
