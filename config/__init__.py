"""The project: settings, start-up, the admin site and the audit trail that every other app stands on."""

__version__ = "0.1.0"
