"""The local web app. Its first part is the rating page."""
