from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("config", "0017_texts_reduced"),
    ]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.CharField(
                choices=[
                    ("signed_in", "Signed in"),
                    ("signed_out", "Signed out"),
                    ("sign_in_failed", "Sign-in failed"),
                    ("locked_out", "Locked out"),
                    ("action_refused", "Action refused"),
                    ("link_opened", "Link opened"),
                    ("link_used", "Link used"),
                    ("link_refused", "Link refused"),
                    ("verify_failed", "Trail does not verify"),
                    ("texts_reduced", "Texts reduced"),
                    ("text_checked", "Text compared"),
                    ("pseudonymised", "Contact pseudonymised"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
    ]
