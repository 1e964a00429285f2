"""People label, disagree, and are listened to: tasks, raters, votes, agreement, adjudication."""
