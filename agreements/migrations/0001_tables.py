"""All tables of this app as they were first released, with their constraints and indexes.

`replaces` names the steps in which they came to be before that, for databases that took those.
"""

import config.fields
import config.history
import config.search
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import simple_history.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("agreements", "0001_initial"),
        ("agreements", "0002_initial"),
        ("agreements", "0003_roles"),
        ("agreements", "0005_section_five"),
        ("agreements", "0006_severity_definitions"),
        ("agreements", "0007_definition_roles"),
        ("agreements", "0008_words"),
        ("agreements", "0009_words_filled"),
        ("agreements", "0011_changed_fields"),
        ("agreements", "0012_client_scope"),
        ("agreements", "0013_client_scope_roles"),
        ("agreements", "0014_history_by_person"),
        ("agreements", "0015_erased"),
    ]

    initial = True

    dependencies = [
        ("config", "0024_factor_events"),
    ]

    operations = [
        migrations.CreateModel(
            name="ServiceCalendar",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", config.fields.LineField(max_length=120, unique=True, verbose_name="name")),
                (
                    "time_zone",
                    config.fields.ZoneField(
                        help_text="The zone of the opening hours, for example Europe/Berlin.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
            ],
            options={
                "verbose_name": "service calendar",
                "verbose_name_plural": "service calendars",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalServiceCalendar",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                ("name", config.fields.LineField(db_index=True, max_length=120, verbose_name="name")),
                (
                    "time_zone",
                    config.fields.ZoneField(
                        help_text="The zone of the opening hours, for example Europe/Berlin.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical service calendar",
                "verbose_name_plural": "historical service calendars",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_63d152_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="OpeningHours",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "calendar",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hours",
                        to="agreements.servicecalendar",
                        verbose_name="service calendar",
                    ),
                ),
                (
                    "weekday",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        verbose_name="day",
                    ),
                ),
                ("opens", models.TimeField(verbose_name="opens")),
                (
                    "closes",
                    models.TimeField(help_text="00:00 is midnight at the end of the day.", verbose_name="closes"),
                ),
            ],
            options={
                "verbose_name": "opening hours",
                "verbose_name_plural": "opening hours",
                "ordering": ("weekday", "opens"),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("weekday__lte", 6)), name="opening_hours_weekday"),
                    models.UniqueConstraint(fields=("calendar", "weekday", "opens"), name="opening_hours_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalOpeningHours",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "weekday",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        verbose_name="day",
                    ),
                ),
                ("opens", models.TimeField(verbose_name="opens")),
                (
                    "closes",
                    models.TimeField(help_text="00:00 is midnight at the end of the day.", verbose_name="closes"),
                ),
                (
                    "calendar",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.servicecalendar",
                        verbose_name="service calendar",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical opening hours",
                "verbose_name_plural": "historical opening hours",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_31b276_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="SpecialDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "calendar",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="special_days",
                        to="agreements.servicecalendar",
                        verbose_name="service calendar",
                    ),
                ),
                ("on", models.DateField(verbose_name="date")),
                (
                    "name",
                    config.fields.LineField(
                        blank=True, help_text="For example: Christmas Day.", max_length=120, verbose_name="name"
                    ),
                ),
                (
                    "opens",
                    models.TimeField(
                        blank=True, help_text="Leave both empty: closed all day.", null=True, verbose_name="opens"
                    ),
                ),
                ("closes", models.TimeField(blank=True, null=True, verbose_name="closes")),
            ],
            options={
                "verbose_name": "closure or changed day",
                "verbose_name_plural": "closures and changed days",
                "ordering": ("on", "opens"),
                "constraints": [
                    models.UniqueConstraint(fields=("calendar", "on", "opens"), name="special_day_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("closes__isnull", True), ("opens__isnull", True)),
                            models.Q(("closes__isnull", False), ("opens__isnull", False)),
                            _connector="OR",
                        ),
                        name="special_day_both_times_or_none",
                        violation_error_message="Give both times, or leave both empty for a day that is closed.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalSpecialDay",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                ("on", models.DateField(verbose_name="date")),
                (
                    "name",
                    config.fields.LineField(
                        blank=True, help_text="For example: Christmas Day.", max_length=120, verbose_name="name"
                    ),
                ),
                (
                    "opens",
                    models.TimeField(
                        blank=True, help_text="Leave both empty: closed all day.", null=True, verbose_name="opens"
                    ),
                ),
                ("closes", models.TimeField(blank=True, null=True, verbose_name="closes")),
                (
                    "calendar",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.servicecalendar",
                        verbose_name="service calendar",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical closure or changed day",
                "verbose_name_plural": "historical closures and changed days",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_3071ae_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Client",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", config.fields.LineField(max_length=120, unique=True, verbose_name="name")),
                (
                    "time_zone",
                    config.fields.ZoneField(
                        help_text="Mails to this client show every time in this zone, for example America/New_York.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")],
                        default="en",
                        max_length=10,
                        verbose_name="language of mails",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("words", config.search.FoldedField(default="", of=("name",))),
            ],
            options={
                "verbose_name": "client",
                "verbose_name_plural": "clients",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalClient",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                ("name", config.fields.LineField(db_index=True, max_length=120, verbose_name="name")),
                (
                    "time_zone",
                    config.fields.ZoneField(
                        help_text="Mails to this client show every time in this zone, for example America/New_York.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")],
                        default="en",
                        max_length=10,
                        verbose_name="language of mails",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical client",
                "verbose_name_plural": "historical clients",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_ebabf6_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Contact",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="contacts",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                ("name", config.fields.LineField(max_length=120, verbose_name="name")),
                ("address", config.fields.AddressField(max_length=254, verbose_name="mail address")),
                (
                    "phone",
                    config.fields.LineField(
                        blank=True,
                        help_text="For telling them by voice when mail fails.",
                        max_length=40,
                        verbose_name="phone",
                    ),
                ),
                (
                    "position",
                    models.PositiveSmallIntegerField(default=1, help_text="1 is tried first.", verbose_name="order"),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="gets mail")),
            ],
            options={
                "verbose_name": "contact",
                "verbose_name_plural": "contacts",
                "ordering": ("client", "position", "pk"),
                "permissions": (("pseudonymise_contact", "Can pseudonymise contact"),),
                "constraints": [
                    models.UniqueConstraint(
                        models.F("client"),
                        django.db.models.functions.text.Lower("address"),
                        condition=models.Q(("address", "[erased]"), _negated=True),
                        name="contact_address_once_per_client",
                        violation_error_message="This client already has a contact with that address.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("address", ""), _negated=True),
                        name="contact_has_an_address",
                        violation_error_message="A contact needs a mail address. Enter one that they read day and night.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("address", "[erased]"), _negated=True), ("is_active", False), _connector="OR"
                        ),
                        name="contact_erased_gets_no_mail",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalContact",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                ("name", config.fields.LineField(max_length=120, verbose_name="name")),
                ("address", config.fields.AddressField(max_length=254, verbose_name="mail address")),
                (
                    "phone",
                    config.fields.LineField(
                        blank=True,
                        help_text="For telling them by voice when mail fails.",
                        max_length=40,
                        verbose_name="phone",
                    ),
                ),
                (
                    "position",
                    models.PositiveSmallIntegerField(default=1, help_text="1 is tried first.", verbose_name="order"),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="gets mail")),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical contact",
                "verbose_name_plural": "historical contacts",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_fd25ec_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", config.fields.LineField(max_length=120, unique=True, verbose_name="name")),
                ("description", config.fields.ProseField(blank=True, max_length=2000, verbose_name="description")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("words", config.search.FoldedField(default="", of=("name",))),
            ],
            options={
                "verbose_name": "service",
                "verbose_name_plural": "services",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalService",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                ("name", config.fields.LineField(db_index=True, max_length=120, verbose_name="name")),
                ("description", config.fields.ProseField(blank=True, max_length=2000, verbose_name="description")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical service",
                "verbose_name_plural": "historical services",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_23c261_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ServiceAgreement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "reference",
                    config.fields.LineField(
                        help_text="As on the paper, for example NW-2025-03.", max_length=40, verbose_name="reference"
                    ),
                ),
                ("version", models.PositiveSmallIntegerField(default=1, verbose_name="version")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="agreements",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                (
                    "calendar",
                    models.ForeignKey(
                        help_text="Business hours and business days are counted by it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        to="agreements.servicecalendar",
                        verbose_name="service calendar",
                    ),
                ),
                ("effective_at", models.DateTimeField(verbose_name="in force from")),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="The first moment at which it no longer holds.",
                        null=True,
                        verbose_name="in force until",
                    ),
                ),
                (
                    "clause",
                    config.fields.ProseField(
                        help_text="The contract's own words about incidents, copied exactly.",
                        max_length=20000,
                        verbose_name="clause",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        help_text="The colleague who answers for this agreement.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "supersedes",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="superseded_by",
                        to="agreements.serviceagreement",
                        verbose_name="supersedes",
                    ),
                ),
                ("words", config.search.FoldedField(default="", of=("reference",))),
            ],
            options={
                "verbose_name": "service agreement",
                "verbose_name_plural": "service agreements",
                "ordering": ("client", "reference", "-version"),
                "indexes": [models.Index(fields=["effective_at", "ends_at"], name="agreement_in_force")],
                "constraints": [
                    models.UniqueConstraint(fields=("reference", "version"), name="agreement_version_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ends_at__isnull", True), ("ends_at__gt", models.F("effective_at")), _connector="OR"
                        ),
                        name="agreement_ends_after_it_begins",
                        violation_error_message="“In force until” must be later than “in force from”.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalServiceAgreement",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "reference",
                    config.fields.LineField(
                        help_text="As on the paper, for example NW-2025-03.", max_length=40, verbose_name="reference"
                    ),
                ),
                ("version", models.PositiveSmallIntegerField(default=1, verbose_name="version")),
                ("effective_at", models.DateTimeField(verbose_name="in force from")),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="The first moment at which it no longer holds.",
                        null=True,
                        verbose_name="in force until",
                    ),
                ),
                (
                    "clause",
                    config.fields.ProseField(
                        help_text="The contract's own words about incidents, copied exactly.",
                        max_length=20000,
                        verbose_name="clause",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                (
                    "calendar",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Business hours and business days are counted by it.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.servicecalendar",
                        verbose_name="service calendar",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="The colleague who answers for this agreement.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "supersedes",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.serviceagreement",
                        verbose_name="supersedes",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical service agreement",
                "verbose_name_plural": "historical service agreements",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_fc722c_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ServiceCoverage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="coverage",
                        to="agreements.serviceagreement",
                        verbose_name="agreement",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="coverage",
                        to="agreements.service",
                        verbose_name="service",
                    ),
                ),
            ],
            options={
                "verbose_name": "covered service",
                "verbose_name_plural": "covered services",
                "constraints": [models.UniqueConstraint(fields=("agreement", "service"), name="service_covered_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalServiceCoverage",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "agreement",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.serviceagreement",
                        verbose_name="agreement",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.service",
                        verbose_name="service",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical covered service",
                "verbose_name_plural": "historical covered services",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_f5c731_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Commitment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="commitments",
                        to="agreements.serviceagreement",
                        verbose_name="service agreement",
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "obligation",
                    models.CharField(
                        choices=[
                            ("acknowledge", "Acknowledge"),
                            ("notify", "Notify the client"),
                            ("update", "Update the client"),
                            ("mitigate", "Mitigate"),
                            ("resolve", "Resolve"),
                            ("report", "Report"),
                        ],
                        max_length=12,
                        verbose_name="obligation",
                    ),
                ),
                (
                    "label",
                    config.fields.LineField(
                        blank=True,
                        help_text="Only where one agreement owes the same thing twice, for example “first notice”.",
                        max_length=60,
                        verbose_name="label",
                    ),
                ),
                (
                    "clause_number",
                    config.fields.LineField(
                        blank=True, help_text="For example 7.2.", max_length=20, verbose_name="clause number"
                    ),
                ),
                (
                    "amount",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="The contract's number. Leave empty where it has none, as in “as quickly as possible”.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(
                                1, "An allowance must be more than zero. Leave it empty if the clause has no number."
                            )
                        ],
                        verbose_name="allowance",
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        choices=[
                            ("minutes", "minutes"),
                            ("hours", "hours"),
                            ("business_minutes", "business minutes"),
                            ("business_hours", "business hours"),
                            ("calendar_days", "calendar days"),
                            ("business_days", "business days"),
                            ("months", "months"),
                        ],
                        default="hours",
                        max_length=20,
                        verbose_name="unit",
                    ),
                ),
                (
                    "day_end",
                    models.CharField(
                        choices=[
                            ("close_of_business", "at close of business"),
                            ("end_of_day", "at the end of the day"),
                        ],
                        default="end_of_day",
                        help_text="For allowances in days or months: when the last day is over.",
                        max_length=20,
                        verbose_name="day ends",
                    ),
                ),
                (
                    "start_event",
                    models.CharField(
                        choices=[
                            ("occurred", "when it happened"),
                            ("detected", "detection"),
                            ("aware", "when we became aware"),
                            ("classified", "classification"),
                            ("acknowledged", "acknowledgement"),
                            ("resolved", "resolution"),
                            ("commitment", "another commitment being met"),
                        ],
                        default="detected",
                        max_length=12,
                        verbose_name="counted from",
                    ),
                ),
                (
                    "follows",
                    models.ForeignKey(
                        blank=True,
                        help_text="Where it is counted from another commitment being met: the one that must be met first.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="followers",
                        to="agreements.commitment",
                        verbose_name="which commitment",
                    ),
                ),
                (
                    "roll",
                    models.CharField(
                        choices=[
                            ("none", "stays where it is"),
                            ("next_business_day", "moves to the next business day"),
                            ("next_business_day_at", "moves to a time on the next business day"),
                        ],
                        default="none",
                        help_text="Where the clause moves a deadline that falls on a weekend or a holiday.",
                        max_length=24,
                        verbose_name="on a day without opening",
                    ),
                ),
                (
                    "roll_at",
                    models.TimeField(
                        blank=True,
                        help_text="In the calendar's zone, for example 12:00.",
                        null=True,
                        verbose_name="at what time",
                    ),
                ),
                (
                    "cap_amount",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="An overall limit from a second event: the earlier of the two holds.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="but at most",
                    ),
                ),
                (
                    "cap_unit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("minutes", "minutes"),
                            ("hours", "hours"),
                            ("business_minutes", "business minutes"),
                            ("business_hours", "business hours"),
                            ("calendar_days", "calendar days"),
                            ("business_days", "business days"),
                            ("months", "months"),
                        ],
                        max_length=20,
                        verbose_name="unit of the limit",
                    ),
                ),
                (
                    "cap_event",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("occurred", "when it happened"),
                            ("detected", "detection"),
                            ("aware", "when we became aware"),
                        ],
                        max_length=12,
                        verbose_name="limit counted from",
                    ),
                ),
                (
                    "is_pausable",
                    models.BooleanField(
                        default=False,
                        help_text="Only where the clause stops the clock, for example while the client is asked something.",
                        verbose_name="can be paused",
                    ),
                ),
                (
                    "target_amount",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="For a duty without a number: what we ask of ourselves. It is not part of the contract.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="our own target",
                    ),
                ),
                (
                    "target_unit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("minutes", "minutes"),
                            ("hours", "hours"),
                            ("business_minutes", "business minutes"),
                            ("business_hours", "business hours"),
                            ("calendar_days", "calendar days"),
                            ("business_days", "business days"),
                            ("months", "months"),
                        ],
                        max_length=20,
                        verbose_name="unit of the target",
                    ),
                ),
                (
                    "is_recurring",
                    models.BooleanField(
                        default=False,
                        help_text="For updates: owed again after each one, until the incident is resolved.",
                        verbose_name="repeats",
                    ),
                ),
                (
                    "sends_holding_notice",
                    models.BooleanField(
                        default=False,
                        help_text="If nobody has notified the client by then, a holding notice goes out by itself.",
                        verbose_name="sends a holding notice",
                    ),
                ),
                (
                    "holding_percent",
                    models.PositiveSmallIntegerField(
                        default=90,
                        help_text="Share of the allowance after which the holding notice goes out.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(99),
                        ],
                        verbose_name="holding notice at (%)",
                    ),
                ),
            ],
            options={
                "verbose_name": "commitment",
                "verbose_name_plural": "commitments",
                "ordering": ("agreement", "severity", "obligation", "label"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("agreement", "severity", "obligation", "label"),
                        name="commitment_once",
                        violation_error_message="This agreement already owes that for that severity. Give each a label to tell them apart.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__isnull", True), ("amount__gt", 0), _connector="OR"),
                        name="commitment_allowance_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("is_recurring", False),
                            models.Q(("amount__isnull", False), ("obligation", "update")),
                            _connector="OR",
                        ),
                        name="commitment_only_updates_recur",
                        violation_error_message="Only updates can repeat, and they need an allowance to repeat after.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("sends_holding_notice", False),
                            models.Q(("amount__isnull", False), ("obligation", "notify")),
                            _connector="OR",
                        ),
                        name="commitment_only_notify_holds",
                        violation_error_message="Only “Notify the client” with an allowance can send a holding notice by itself.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("follows__isnull", False), ("start_event", "commitment")),
                            models.Q(models.Q(("start_event", "commitment"), _negated=True), ("follows__isnull", True)),
                            _connector="OR",
                        ),
                        name="commitment_follows_what_it_names",
                        violation_error_message="Name the commitment to follow, and only where it is counted from another commitment being met.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("roll", "next_business_day_at"), ("roll_at__isnull", False)),
                            models.Q(
                                models.Q(("roll", "next_business_day_at"), _negated=True), ("roll_at__isnull", True)
                            ),
                            _connector="OR",
                        ),
                        name="commitment_roll_time",
                        violation_error_message="Give the time on the next business day, and only where it moves to one.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cap_amount__isnull", True), ("cap_event", ""), ("cap_unit", "")),
                            models.Q(
                                ("amount__isnull", False),
                                ("cap_amount__gt", 0),
                                ("cap_amount__isnull", False),
                                models.Q(("cap_unit", ""), _negated=True),
                                models.Q(("cap_event", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="commitment_cap_is_whole",
                        violation_error_message="An overall limit needs its amount, its unit, the event it is counted from, and an allowance.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("target_amount__isnull", True), ("target_unit", "")),
                            models.Q(
                                ("amount__isnull", True),
                                ("target_amount__gt", 0),
                                ("target_amount__isnull", False),
                                models.Q(("target_unit", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="commitment_target_without_number",
                        violation_error_message="A target of our own needs an amount and a unit, and is only for a duty without a number.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("holding_percent__gte", 1), ("holding_percent__lte", 99)),
                        name="commitment_holding_percent",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalCommitment",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "obligation",
                    models.CharField(
                        choices=[
                            ("acknowledge", "Acknowledge"),
                            ("notify", "Notify the client"),
                            ("update", "Update the client"),
                            ("mitigate", "Mitigate"),
                            ("resolve", "Resolve"),
                            ("report", "Report"),
                        ],
                        max_length=12,
                        verbose_name="obligation",
                    ),
                ),
                (
                    "label",
                    config.fields.LineField(
                        blank=True,
                        help_text="Only where one agreement owes the same thing twice, for example “first notice”.",
                        max_length=60,
                        verbose_name="label",
                    ),
                ),
                (
                    "clause_number",
                    config.fields.LineField(
                        blank=True, help_text="For example 7.2.", max_length=20, verbose_name="clause number"
                    ),
                ),
                (
                    "amount",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="The contract's number. Leave empty where it has none, as in “as quickly as possible”.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(
                                1, "An allowance must be more than zero. Leave it empty if the clause has no number."
                            )
                        ],
                        verbose_name="allowance",
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        choices=[
                            ("minutes", "minutes"),
                            ("hours", "hours"),
                            ("business_minutes", "business minutes"),
                            ("business_hours", "business hours"),
                            ("calendar_days", "calendar days"),
                            ("business_days", "business days"),
                            ("months", "months"),
                        ],
                        default="hours",
                        max_length=20,
                        verbose_name="unit",
                    ),
                ),
                (
                    "day_end",
                    models.CharField(
                        choices=[
                            ("close_of_business", "at close of business"),
                            ("end_of_day", "at the end of the day"),
                        ],
                        default="end_of_day",
                        help_text="For allowances in days or months: when the last day is over.",
                        max_length=20,
                        verbose_name="day ends",
                    ),
                ),
                (
                    "start_event",
                    models.CharField(
                        choices=[
                            ("occurred", "when it happened"),
                            ("detected", "detection"),
                            ("aware", "when we became aware"),
                            ("classified", "classification"),
                            ("acknowledged", "acknowledgement"),
                            ("resolved", "resolution"),
                            ("commitment", "another commitment being met"),
                        ],
                        default="detected",
                        max_length=12,
                        verbose_name="counted from",
                    ),
                ),
                (
                    "roll",
                    models.CharField(
                        choices=[
                            ("none", "stays where it is"),
                            ("next_business_day", "moves to the next business day"),
                            ("next_business_day_at", "moves to a time on the next business day"),
                        ],
                        default="none",
                        help_text="Where the clause moves a deadline that falls on a weekend or a holiday.",
                        max_length=24,
                        verbose_name="on a day without opening",
                    ),
                ),
                (
                    "roll_at",
                    models.TimeField(
                        blank=True,
                        help_text="In the calendar's zone, for example 12:00.",
                        null=True,
                        verbose_name="at what time",
                    ),
                ),
                (
                    "cap_amount",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="An overall limit from a second event: the earlier of the two holds.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="but at most",
                    ),
                ),
                (
                    "cap_unit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("minutes", "minutes"),
                            ("hours", "hours"),
                            ("business_minutes", "business minutes"),
                            ("business_hours", "business hours"),
                            ("calendar_days", "calendar days"),
                            ("business_days", "business days"),
                            ("months", "months"),
                        ],
                        max_length=20,
                        verbose_name="unit of the limit",
                    ),
                ),
                (
                    "cap_event",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("occurred", "when it happened"),
                            ("detected", "detection"),
                            ("aware", "when we became aware"),
                        ],
                        max_length=12,
                        verbose_name="limit counted from",
                    ),
                ),
                (
                    "is_pausable",
                    models.BooleanField(
                        default=False,
                        help_text="Only where the clause stops the clock, for example while the client is asked something.",
                        verbose_name="can be paused",
                    ),
                ),
                (
                    "target_amount",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="For a duty without a number: what we ask of ourselves. It is not part of the contract.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="our own target",
                    ),
                ),
                (
                    "target_unit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("minutes", "minutes"),
                            ("hours", "hours"),
                            ("business_minutes", "business minutes"),
                            ("business_hours", "business hours"),
                            ("calendar_days", "calendar days"),
                            ("business_days", "business days"),
                            ("months", "months"),
                        ],
                        max_length=20,
                        verbose_name="unit of the target",
                    ),
                ),
                (
                    "is_recurring",
                    models.BooleanField(
                        default=False,
                        help_text="For updates: owed again after each one, until the incident is resolved.",
                        verbose_name="repeats",
                    ),
                ),
                (
                    "sends_holding_notice",
                    models.BooleanField(
                        default=False,
                        help_text="If nobody has notified the client by then, a holding notice goes out by itself.",
                        verbose_name="sends a holding notice",
                    ),
                ),
                (
                    "holding_percent",
                    models.PositiveSmallIntegerField(
                        default=90,
                        help_text="Share of the allowance after which the holding notice goes out.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(99),
                        ],
                        verbose_name="holding notice at (%)",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.serviceagreement",
                        verbose_name="service agreement",
                    ),
                ),
                (
                    "follows",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Where it is counted from another commitment being met: the one that must be met first.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.commitment",
                        verbose_name="which commitment",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical commitment",
                "verbose_name_plural": "historical commitments",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_08df1d_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="WarningPoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "commitment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="warning_points",
                        to="agreements.commitment",
                        verbose_name="commitment",
                    ),
                ),
                (
                    "percent",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(99),
                        ],
                        verbose_name="share of the allowance (%)",
                    ),
                ),
                (
                    "minutes_before",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="or minutes before its end",
                    ),
                ),
                ("has_contacts", models.BooleanField(default=True, verbose_name="client's contacts")),
                ("has_responders", models.BooleanField(default=True, verbose_name="responders")),
                ("has_owner", models.BooleanField(default=False, verbose_name="agreement's owner")),
                ("has_managers", models.BooleanField(default=False, verbose_name="managers")),
            ],
            options={
                "verbose_name": "warning point",
                "verbose_name_plural": "warning points",
                "ordering": ("percent", "-minutes_before"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("minutes_before__isnull", True), ("percent__isnull", False)),
                            models.Q(("minutes_before__isnull", False), ("percent__isnull", True)),
                            _connector="OR",
                        ),
                        name="warning_point_one_measure",
                        violation_error_message="Give either a share of the allowance or minutes before its end, not both.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("percent__isnull", True),
                            models.Q(("percent__gte", 1), ("percent__lte", 99)),
                            _connector="OR",
                        ),
                        name="warning_point_percent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("minutes_before__isnull", True), ("minutes_before__gte", 1), _connector="OR"
                        ),
                        name="warning_point_minutes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("has_contacts", True),
                            ("has_responders", True),
                            ("has_owner", True),
                            ("has_managers", True),
                            _connector="OR",
                        ),
                        name="warning_point_has_an_audience",
                        violation_error_message="Choose at least one audience for the warning.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalWarningPoint",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "percent",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(99),
                        ],
                        verbose_name="share of the allowance (%)",
                    ),
                ),
                (
                    "minutes_before",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="or minutes before its end",
                    ),
                ),
                ("has_contacts", models.BooleanField(default=True, verbose_name="client's contacts")),
                ("has_responders", models.BooleanField(default=True, verbose_name="responders")),
                ("has_owner", models.BooleanField(default=False, verbose_name="agreement's owner")),
                ("has_managers", models.BooleanField(default=False, verbose_name="managers")),
                (
                    "commitment",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.commitment",
                        verbose_name="commitment",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical warning point",
                "verbose_name_plural": "historical warning points",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_939327_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="SeverityDefinition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="definitions",
                        to="agreements.serviceagreement",
                        verbose_name="service agreement",
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "words",
                    config.fields.ProseField(
                        help_text="What the agreement calls an incident of this severity.",
                        max_length=2000,
                        verbose_name="words",
                    ),
                ),
            ],
            options={
                "verbose_name": "definition of a severity",
                "verbose_name_plural": "definitions of severities",
                "ordering": ("agreement", "pk"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("agreement", "severity"),
                        name="severity_defined_once",
                        violation_error_message="This agreement already says what that severity means.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalSeverityDefinition",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "words",
                    config.fields.ProseField(
                        help_text="What the agreement calls an incident of this severity.",
                        max_length=2000,
                        verbose_name="words",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.serviceagreement",
                        verbose_name="service agreement",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical definition of a severity",
                "verbose_name_plural": "historical definitions of severities",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_3f6f20_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ClientScope",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="client_scopes",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="colleague",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
            ],
            options={
                "verbose_name": "client that is seen",
                "verbose_name_plural": "clients that are seen (none: all)",
                "constraints": [models.UniqueConstraint(fields=("user", "client"), name="client_scope_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalClientScope",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("actor_name", models.CharField(default=config.history.current_actor_name, max_length=200)),
                (
                    "caller",
                    models.CharField(
                        choices=[
                            ("admin", "Admin page"),
                            ("worker", "Worker"),
                            ("command", "Command"),
                            ("shell", "Shell"),
                            ("link", "Link in a mail"),
                        ],
                        default=config.history.current_caller,
                        max_length=10,
                    ),
                ),
                ("changed", models.TextField(blank=True, default="")),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="colleague",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                ("history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical client that is seen",
                "verbose_name_plural": "historical clients that are seen (none: all)",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="agreements__history_eee952_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.AddField(
            model_name="serviceagreement",
            name="services",
            field=models.ManyToManyField(
                through="agreements.ServiceCoverage", to="agreements.service", verbose_name="services"
            ),
        ),
    ]
