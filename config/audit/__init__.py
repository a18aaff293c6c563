"""The audit trail: what happened in all of the product, told, kept, and shown to be what was written.

    sources.py  which tables it consists of, and what is a part of what

What writes the rows is config/history.py.
"""
