"""All tables of this app as they were first released, with their constraints and indexes.

`replaces` names the steps in which they came to be before that, for databases that took those.
"""

import config.fields
import config.history
import django.contrib.auth.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import simple_history.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("config", "0001_initial"),
        ("config", "0002_roles"),
        ("config", "0003_language"),
        ("config", "0004_exports"),
        ("config", "0005_export_roles"),
        ("config", "0006_saved_filter"),
        ("config", "0007_changed_fields"),
        ("config", "0008_event"),
        ("config", "0009_event_roles"),
        ("config", "0010_seals"),
        ("config", "0011_person_manager"),
        ("config", "0012_given_up"),
        ("config", "0013_concerns"),
        ("config", "0014_concern_roles"),
        ("config", "0015_history_by_person"),
        ("config", "0016_export_in_words"),
        ("config", "0017_texts_reduced"),
        ("config", "0018_erased"),
        ("config", "0019_review_queue_by_one_name"),
        ("config", "0020_sign_in_events"),
        ("config", "0021_imported"),
        ("config", "0022_browser_report"),
        ("config", "0023_browser_report_roles"),
    ]

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="BrowserReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("on", models.DateField(verbose_name="day")),
                ("directive", models.CharField(max_length=40, verbose_name="rule")),
                (
                    "blocked",
                    models.CharField(
                        choices=[
                            ("inline", "something within the page"),
                            ("eval", "text run as a program"),
                            ("data", "something carried in an address (data:, blob:)"),
                            ("extension", "something of an extension of the browser"),
                            ("own", "a file of this site"),
                            ("elsewhere", "a file from elsewhere"),
                            ("other", "something else"),
                        ],
                        max_length=10,
                        verbose_name="refused",
                    ),
                ),
                ("page", models.CharField(blank=True, max_length=200, verbose_name="page")),
                ("count", models.PositiveIntegerField(default=0, verbose_name="times")),
            ],
            options={
                "verbose_name": "report of a browser",
                "verbose_name_plural": "reports of browsers",
                "ordering": ("-on", "-count", "pk"),
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("on", "directive", "blocked", "page"), name="browser_report_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                (
                    "time_zone",
                    config.fields.ZoneField(
                        default="UTC",
                        help_text="Every time you see is shown in this zone, for example Europe/Berlin.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")],
                        default="en",
                        help_text="Of the words and dates that you see. Clients are written to in their own.",
                        max_length=10,
                        verbose_name="language",
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="HistoricalUser",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        db_index=True,
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
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
                    "time_zone",
                    config.fields.ZoneField(
                        default="UTC",
                        help_text="Every time you see is shown in this zone, for example Europe/Berlin.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")],
                        default="en",
                        help_text="Of the words and dates that you see. Clients are written to in their own.",
                        max_length=10,
                        verbose_name="language",
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
                "verbose_name": "historical user",
                "verbose_name_plural": "historical users",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="config_hist_history_ef7a50_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Concern",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("excused", "A missed deadline no longer counts as missed"),
                            ("time_moved", "A time was moved after the fact"),
                            ("lowered", "Severity was lowered while a deadline ran"),
                            ("terms_changed", "Terms in force were changed"),
                            ("empty_reason", "The reason says nothing"),
                            ("by_shell", "Changed from a shell"),
                            ("exported", "Taken out of the house"),
                            ("refused", "An action was refused"),
                            ("locked_out", "Somebody was locked out"),
                            ("seal_failed", "The trail does not verify"),
                            ("given_up", "Texts were given up by a person"),
                        ],
                        max_length=20,
                        verbose_name="why",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="done at")),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="actor",
                    ),
                ),
                ("actor_name", models.CharField(max_length=200, verbose_name="by")),
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
                        max_length=10,
                        verbose_name="by way of",
                    ),
                ),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("act_id", models.UUIDField(help_text="The request id of its rows in the trail.", verbose_name="act")),
                (
                    "about",
                    models.CharField(
                        help_text="The label of a model, with the key beside it.", max_length=100, verbose_name="about"
                    ),
                ),
                ("about_pk", models.BigIntegerField()),
                ("name", models.CharField(max_length=500, verbose_name="about")),
                (
                    "found_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="found at"),
                ),
            ],
            options={
                "verbose_name": "entry of the review queue",
                "verbose_name_plural": "review queue",
                "ordering": ("-at", "-pk"),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["-at", "-id"], name="concern_newest")],
                "constraints": [
                    models.UniqueConstraint(fields=("act_id", "kind", "about", "about_pk"), name="concern_once_per_act")
                ],
            },
        ),
        migrations.CreateModel(
            name="LookedAt",
            fields=[
                (
                    "concern",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="looked_at",
                        serialize=False,
                        to="config.concern",
                        verbose_name="entry of the review queue",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("remark", config.fields.ProseField(max_length=2000, verbose_name="remark")),
            ],
            options={
                "verbose_name": "remark in the review queue",
                "verbose_name_plural": "remarks in the review queue",
                "default_permissions": ("add", "view"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("remark", ""), _negated=True), name="looked_at_says_what_was_found"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalLookedAt",
            fields=[
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
                ("at", models.DateTimeField(verbose_name="at")),
                ("remark", config.fields.ProseField(max_length=2000, verbose_name="remark")),
                (
                    "concern",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="config.concern",
                        verbose_name="entry of the review queue",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
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
                "verbose_name": "historical remark in the review queue",
                "verbose_name_plural": "historical remarks in the review queue",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="config_hist_history_2cc035_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Seal",
            fields=[
                (
                    "number",
                    models.PositiveBigIntegerField(
                        help_text="1, 2, 3, … without a gap.", primary_key=True, serialize=False, verbose_name="number"
                    ),
                ),
                (
                    "since_at",
                    models.DateTimeField(
                        help_text="Every row of it was written after this instant; empty for the first.",
                        null=True,
                        verbose_name="since",
                    ),
                ),
                (
                    "cut_at",
                    models.DateTimeField(help_text="No writer was under way at this instant.", verbose_name="cut at"),
                ),
                (
                    "is_whole",
                    models.BooleanField(
                        help_text="It holds all that was there; else the next goes on.", verbose_name="whole"
                    ),
                ),
                ("rows", models.PositiveIntegerField(verbose_name="rows")),
                (
                    "total",
                    models.PositiveBigIntegerField(
                        help_text="In this seal and all before it.", verbose_name="rows in all"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="The fingerprint of the key, not the key.", max_length=16, verbose_name="key"
                    ),
                ),
                ("previous", models.CharField(blank=True, max_length=64, verbose_name="digest of the one before")),
                ("digest", models.CharField(max_length=64, verbose_name="digest")),
                ("mac", models.CharField(max_length=64, verbose_name="signature")),
            ],
            options={
                "verbose_name": "seal",
                "verbose_name_plural": "seals",
                "ordering": ("-number",),
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Examination",
            fields=[
                (
                    "seal",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="examination",
                        serialize=False,
                        to="config.seal",
                        verbose_name="seal",
                    ),
                ),
                ("found", models.PositiveIntegerField(verbose_name="entries found")),
            ],
            options={
                "verbose_name": "examination",
                "verbose_name_plural": "examinations",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("signed_in", "Signed in"),
                            ("signed_out", "Signed out"),
                            ("sign_in_failed", "Sign-in failed"),
                            ("confirmed", "Confirmed again who it is"),
                            ("factor_added", "Second factor added"),
                            ("factor_removed", "Second factor removed"),
                            ("factors_reset", "Second factor reset"),
                            ("session_ended", "Session ended"),
                            ("locked_out", "Locked out"),
                            ("address_locked", "Address locked"),
                            ("name_locked", "Name locked"),
                            ("lock_lifted", "Lock lifted"),
                            ("action_refused", "Action refused"),
                            ("link_opened", "Link opened"),
                            ("link_used", "Link used"),
                            ("link_refused", "Link refused"),
                            ("verify_failed", "Trail does not verify"),
                            ("texts_reduced", "Texts reduced"),
                            ("text_checked", "Text compared"),
                            ("pseudonymised", "Contact pseudonymised"),
                            ("imported", "Imported"),
                            ("anchor_taken", "Anchor taken"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="at")),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="actor",
                    ),
                ),
                (
                    "actor_name",
                    models.CharField(
                        default=config.history.current_actor_name, max_length=200, verbose_name="actor’s name"
                    ),
                ),
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
                        verbose_name="by way of",
                    ),
                ),
                ("request_id", models.UUIDField(db_index=True, default=config.history.current_request_id)),
                ("about", models.CharField(blank=True, max_length=100, verbose_name="about")),
                ("about_pk", models.PositiveBigIntegerField(null=True)),
                ("said", models.JSONField(default=dict, verbose_name="facts")),
                ("address", models.GenericIPAddressField(null=True, verbose_name="from")),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "ordering": ("-at", "-pk"),
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="event_newest"),
                    models.Index(
                        condition=models.Q(("about", ""), _negated=True),
                        fields=["about", "about_pk"],
                        name="event_about",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("about", ""), ("about_pk", None)),
                            models.Q(models.Q(("about", ""), _negated=True), ("about_pk__isnull", False)),
                            _connector="OR",
                        ),
                        name="event_about_a_row_or_none",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(verbose_name="at")),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                ("listed", models.CharField(max_length=100, verbose_name="list")),
                (
                    "query",
                    models.TextField(
                        blank=True, help_text="As they stood in the address of the list.", verbose_name="filters"
                    ),
                ),
                (
                    "in_words",
                    models.TextField(
                        blank=True,
                        help_text="Of the audit trail: as they stood on its page.",
                        verbose_name="filters in words",
                    ),
                ),
                ("rows", models.PositiveIntegerField(verbose_name="rows")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256 of the file")),
            ],
            options={
                "verbose_name": "export",
                "verbose_name_plural": "exports",
                "ordering": ("-at", "-pk"),
                "indexes": [models.Index(fields=["-at"], name="export_newest")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalExport",
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
                ("at", models.DateTimeField(verbose_name="at")),
                ("listed", models.CharField(max_length=100, verbose_name="list")),
                (
                    "query",
                    models.TextField(
                        blank=True, help_text="As they stood in the address of the list.", verbose_name="filters"
                    ),
                ),
                (
                    "in_words",
                    models.TextField(
                        blank=True,
                        help_text="Of the audit trail: as they stood on its page.",
                        verbose_name="filters in words",
                    ),
                ),
                ("rows", models.PositiveIntegerField(verbose_name="rows")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256 of the file")),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
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
                "verbose_name": "historical export",
                "verbose_name_plural": "historical exports",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="config_hist_history_ac3e88_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="GivenUp",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "table",
                    models.CharField(
                        help_text="Label of the model: incidents.notice.", max_length=100, verbose_name="of"
                    ),
                ),
                ("row", models.BigIntegerField(verbose_name="key")),
                ("name", models.CharField(max_length=100, verbose_name="column")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="at")),
                (
                    "digests",
                    models.JSONField(
                        help_text="By the fingerprint of the seals' key, not the key.", verbose_name="digests"
                    ),
                ),
                (
                    "by",
                    models.CharField(
                        help_text="The fingerprint of the key, not the key.", max_length=16, verbose_name="signed by"
                    ),
                ),
                ("mac", models.CharField(max_length=64, verbose_name="signature")),
            ],
            options={
                "verbose_name": "value given up",
                "verbose_name_plural": "values given up",
                "ordering": ("pk",),
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("table", "row", "name"), name="given_up_once")],
            },
        ),
        migrations.CreateModel(
            name="SavedFilter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saved_filters",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("page", models.CharField(max_length=40)),
                ("name", config.fields.LineField(max_length=60, verbose_name="name")),
                ("query", models.CharField(blank=True, max_length=1000, verbose_name="filters")),
                ("is_landing", models.BooleanField(default=False, verbose_name="opens the page")),
            ],
            options={
                "verbose_name": "saved filter",
                "verbose_name_plural": "saved filters",
                "ordering": ("name", "pk"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "page", "name"),
                        name="saved_filter_name_once",
                        violation_error_message="Another of your filters has that name. Choose another.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_landing", True)),
                        fields=("user", "page"),
                        name="saved_filter_one_landing",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SealedRange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "seal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ranges",
                        to="config.seal",
                        verbose_name="seal",
                    ),
                ),
                (
                    "table",
                    models.CharField(
                        help_text="Label of the model: incidents.historicalincident.", max_length=100, verbose_name="of"
                    ),
                ),
                ("after", models.BigIntegerField(null=True, verbose_name="after the key")),
                ("upto", models.BigIntegerField(verbose_name="up to the key")),
                ("rows", models.PositiveIntegerField(verbose_name="rows")),
                (
                    "columns",
                    models.TextField(
                        help_text="With commas; what enters as a digest says #hmac or #sha256.", verbose_name="columns"
                    ),
                ),
                (
                    "digests",
                    models.BinaryField(help_text="For each row its key in 8 bytes and its digest in 16, by key."),
                ),
            ],
            options={
                "verbose_name": "sealed range",
                "verbose_name_plural": "sealed ranges",
                "ordering": ("seal", "table"),
                "default_permissions": (),
                "indexes": [models.Index(fields=["table", "upto"], name="sealed_up_to")],
                "constraints": [models.UniqueConstraint(fields=("seal", "table"), name="sealed_once_in_a_seal")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalUser_groups",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_tablespace="",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_tablespace="",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="auth.group",
                    ),
                ),
                (
                    "history",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="config.historicaluser"
                    ),
                ),
                ("m2m_history_id", models.BigAutoField(editable=False, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "HistoricalUser_groups",
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
    ]
