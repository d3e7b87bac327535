"""The views of the page; `app.py` puts them together."""
