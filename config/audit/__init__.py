"""The audit trail: what happened in all of the product, told, kept, and shown to be what was written.

    sources.py      which tables it consists of, and what is a part of what
    events.py       what happened that changed no row: signing in, being refused, a link that was opened
    refusals.py     that somebody was refused what their role does not allow
    append_only.py  the triggers that refuse to change or delete it
    differences.py  what a row changed, as people read it (names.py: what rows are called; words.py: long texts)

What writes the rows is config/history.py.
"""
