"""The demo: an invented world in the middle of real outages, its processes, and an inbox to read its mail in.

Used only by `manage.py demo`; nothing else in the product imports it.
"""
