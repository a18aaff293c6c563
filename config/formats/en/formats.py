"""Days in English as instants have them (config/times.py); the other languages' own are as they should be."""

DATE_FORMAT = "j M Y"
