"""The audit trail: what happened in all of the product, told, kept, and shown to be what was written.

    sources.py       which tables it consists of, and what is a part of what
    events.py        what happened that changed no row: signing in, being refused, a link that was opened
    refusals.py      that somebody was refused what their role does not allow
    append_only.py   the triggers that refuse to change or delete it
    database_role.py what a PostgreSQL role may do that runs the product and owns none of it
    paging.py        pages over many tables, each going on at a place in the trail
    histories.py     the history of one thing and its parts, by act
    as_it_was.py     one thing and its parts as they were at an instant
    differences.py   what a row changed, as people read it (names.py: what rows are called; words.py: long texts)
    canonical.py     a row as bytes, the same on every database
    cuts.py          instants at which no writer is under way
    seals.py         each minute, what was added is closed by a seal
    giving_up.py     a value is given up, its digest kept, so that its seal still holds
    verification.py  whether all of it is what was sealed, and the live rows are what it says
    anchors.py       the head of the chain, to be kept elsewhere
    files.py         the trail, or one thing whole, as files to take away (file_check.py: are they as they were?)
    acts.py          one click, one pass, one command, told as one from all rows that bear its request id
    trail.py         the page over all tables, newest first
    concerns.py      what an auditor should look at, found by rules among what was sealed
    phrases.py       whether a reason explains anything
    keeping.py       what is done for the trail each minute

What writes the rows is config/history.py.
"""
