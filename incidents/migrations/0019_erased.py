from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agreements", "0015_erased"),
        ("incidents", "0018_reduce_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="notice",
            name="notice_once_per_moment",
        ),
        migrations.RemoveConstraint(
            model_name="notice",
            name="notice_once_without_deadline",
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("deadline__isnull", False), models.Q(("recipient_address", "[erased]"), _negated=True)
                ),
                fields=("deadline", "revision", "moment", "recipient_address"),
                name="notice_once_per_moment",
            ),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("deadline__isnull", True), models.Q(("recipient_address", "[erased]"), _negated=True)
                ),
                fields=("incident", "moment", "recipient_address"),
                name="notice_once_without_deadline",
            ),
        ),
    ]
