"""The admin of reviews, by page; the incident's page and the board get what they show of reviews from here."""

from reviews.admin import action, board, factor, policy, questions, review

__all__ = ["action", "board", "factor", "policy", "questions", "review"]
