"""fastforward and dot-forward: mail sent on as sendmail's alias and .forward files, or tables of one's own, say."""
