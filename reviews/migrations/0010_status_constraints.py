from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0009_status_filled")]

    operations = [
        migrations.AddConstraint(
            model_name="postincidentreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("approved_by__isnull", True),
                    models.Q(
                        models.Q(("approved_by", models.F("facilitator")), _negated=True),
                        models.Q(("approved_by", models.F("submitted_by")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="review_approved_by_another",
                violation_error_message="A review is approved by somebody else than who wrote it.",
            ),
        ),
        migrations.AddConstraint(
            model_name="postincidentreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status__in", ("approved", "shared")), _negated=True),
                    models.Q(("approved_at__isnull", False), ("approved_by__isnull", False)),
                    _connector="OR",
                ),
                name="review_approved_has_its_approval",
            ),
        ),
        migrations.AddConstraint(
            model_name="postincidentreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "shared"), _negated=True), ("shared_at__isnull", False), _connector="OR"
                ),
                name="review_shared_has_its_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="postincidentreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("completed_at__isnull", False), ("status", "closed")),
                    models.Q(models.Q(("status", "closed"), _negated=True), ("completed_at__isnull", True)),
                    _connector="OR",
                ),
                name="review_closed_has_its_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="postincidentreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "waived"), ("waived_at__isnull", False)),
                    models.Q(models.Q(("status", "waived"), _negated=True), ("waived_at__isnull", True)),
                    _connector="OR",
                ),
                name="review_waived_has_its_time",
            ),
        ),
    ]
