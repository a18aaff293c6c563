import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agreements", "0014_history_by_person"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="contact",
            options={
                "ordering": ("client", "position", "pk"),
                "permissions": (("pseudonymise_contact", "Can pseudonymise contact"),),
                "verbose_name": "contact",
                "verbose_name_plural": "contacts",
            },
        ),
        migrations.RemoveConstraint(
            model_name="contact",
            name="contact_address_once_per_client",
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.UniqueConstraint(
                models.F("client"),
                django.db.models.functions.text.Lower("address"),
                condition=models.Q(("address", "[erased]"), _negated=True),
                name="contact_address_once_per_client",
                violation_error_message="This client already has a contact with that address.",
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("address", "[erased]"), _negated=True), ("is_active", False), _connector="OR"
                ),
                name="contact_erased_gets_no_mail",
            ),
        ),
    ]
