"""All tables of this app as they were first released, with their constraints and indexes and what searching them needs.

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

from config.search import trigram_index

SEARCHED = (
    "postincidentreview",
    "answer",
    "finding",
    "timelinepick",
    "factor",
    "correctiveaction",
)


class Migration(migrations.Migration):
    replaces = [
        ("reviews", "0001_initial"),
        ("reviews", "0002_roles"),
        ("reviews", "0003_words"),
        ("reviews", "0004_words_filled"),
        ("reviews", "0005_changed_fields"),
        ("reviews", "0006_list_indexes"),
        ("reviews", "0007_history_by_person"),
        ("reviews", "0008_document"),
        ("reviews", "0009_status_filled"),
        ("reviews", "0010_status_constraints"),
        ("reviews", "0011_document_roles"),
        ("reviews", "0012_action_recurred"),
        ("reviews", "0013_words_of_all"),
        ("reviews", "0014_words_of_all_filled"),
        ("reviews", "0015_client_edition"),
        ("reviews", "0016_client_statement"),
    ]

    initial = True

    dependencies = [
        ("agreements", "0016_pseudonymise_roles"),
        ("config", "0024_factor_events"),
        ("incidents", "0027_intake_roles"),
    ]

    operations = [
        migrations.CreateModel(
            name="Factor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    config.fields.LineField(
                        help_text="Short and without blame: a state of things, no person.",
                        max_length=120,
                        verbose_name="name",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("technical", "Technical"),
                            ("process", "Process"),
                            ("human", "Human factors"),
                            ("external", "External"),
                        ],
                        max_length=12,
                        verbose_name="kind",
                    ),
                ),
                ("words", config.search.FoldedField(default="", of=("name",))),
            ],
            options={
                "verbose_name": "contributing factor",
                "verbose_name_plural": "contributing factors",
                "ordering": ("name", "pk"),
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"),
                        name="factor_named_once",
                        violation_error_message="There is a factor of that name already. Choose it.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalFactor",
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
                    "name",
                    config.fields.LineField(
                        help_text="Short and without blame: a state of things, no person.",
                        max_length=120,
                        verbose_name="name",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("technical", "Technical"),
                            ("process", "Process"),
                            ("human", "Human factors"),
                            ("external", "External"),
                        ],
                        max_length=12,
                        verbose_name="kind",
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
                "verbose_name": "historical contributing factor",
                "verbose_name_plural": "historical contributing factors",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_6cd67b_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ReviewPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", config.fields.LineField(max_length=120, unique=True, verbose_name="name")),
                (
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        help_text="Empty for every severity.",
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty for every service.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.service",
                        verbose_name="service",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty for every client.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                (
                    "review_within",
                    models.PositiveSmallIntegerField(
                        help_text="Days from resolution to an approved review.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="review within",
                    ),
                ),
                (
                    "actions_assigned_within",
                    models.PositiveSmallIntegerField(
                        help_text="Days from resolution to the first action.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="actions assigned within",
                    ),
                ),
                (
                    "actions_done_within",
                    models.PositiveSmallIntegerField(
                        help_text="Days; proposed as the due day of a new action.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="actions done within",
                    ),
                ),
                (
                    "effect_checked_after",
                    models.PositiveSmallIntegerField(
                        default=30,
                        help_text="Days after an action is done.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="effect checked after",
                    ),
                ),
                (
                    "reminded_before",
                    models.PositiveSmallIntegerField(
                        default=3,
                        help_text="Days before an action is due.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="owners reminded before",
                    ),
                ),
                (
                    "calendar",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty if every day of the week counts.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.servicecalendar",
                        verbose_name="working days by",
                    ),
                ),
                (
                    "includes_open_incidents",
                    models.BooleanField(
                        default=False,
                        help_text="Whether incidents that were declared before the policy was made fall under it too.",
                        verbose_name="includes what was open before",
                    ),
                ),
                (
                    "facilitator",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: the incident's commander, else a manager.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="facilitator",
                    ),
                ),
                (
                    "told_of_violations",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: every manager.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="told of violations",
                    ),
                ),
                (
                    "outstanding_on",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        choices=[
                            (1, "Monday"),
                            (2, "Tuesday"),
                            (3, "Wednesday"),
                            (4, "Thursday"),
                            (5, "Friday"),
                            (6, "Saturday"),
                            (7, "Sunday"),
                        ],
                        help_text="Empty: never.",
                        null=True,
                        verbose_name="outstanding actions are told on",
                    ),
                ),
                ("made_at", models.DateTimeField(editable=False, verbose_name="made at")),
                ("is_active", models.BooleanField(default=True, verbose_name="in use")),
            ],
            options={
                "verbose_name": "review policy",
                "verbose_name_plural": "review policies",
                "ordering": ("name", "pk"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("actions_assigned_within__gte", 1),
                            ("actions_done_within__gte", 1),
                            ("review_within__gte", 1),
                        ),
                        name="review_policy_gives_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outstanding_on__isnull", True), ("outstanding_on__range", (1, 7)), _connector="OR"
                        ),
                        name="review_policy_names_a_weekday",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalReviewPolicy",
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
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        help_text="Empty for every severity.",
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "review_within",
                    models.PositiveSmallIntegerField(
                        help_text="Days from resolution to an approved review.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="review within",
                    ),
                ),
                (
                    "actions_assigned_within",
                    models.PositiveSmallIntegerField(
                        help_text="Days from resolution to the first action.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="actions assigned within",
                    ),
                ),
                (
                    "actions_done_within",
                    models.PositiveSmallIntegerField(
                        help_text="Days; proposed as the due day of a new action.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="actions done within",
                    ),
                ),
                (
                    "effect_checked_after",
                    models.PositiveSmallIntegerField(
                        default=30,
                        help_text="Days after an action is done.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="effect checked after",
                    ),
                ),
                (
                    "reminded_before",
                    models.PositiveSmallIntegerField(
                        default=3,
                        help_text="Days before an action is due.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="owners reminded before",
                    ),
                ),
                (
                    "includes_open_incidents",
                    models.BooleanField(
                        default=False,
                        help_text="Whether incidents that were declared before the policy was made fall under it too.",
                        verbose_name="includes what was open before",
                    ),
                ),
                (
                    "outstanding_on",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        choices=[
                            (1, "Monday"),
                            (2, "Tuesday"),
                            (3, "Wednesday"),
                            (4, "Thursday"),
                            (5, "Friday"),
                            (6, "Saturday"),
                            (7, "Sunday"),
                        ],
                        help_text="Empty: never.",
                        null=True,
                        verbose_name="outstanding actions are told on",
                    ),
                ),
                ("made_at", models.DateTimeField(editable=False, verbose_name="made at")),
                ("is_active", models.BooleanField(default=True, verbose_name="in use")),
                (
                    "service",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty for every service.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.service",
                        verbose_name="service",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty for every client.",
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
                        help_text="Empty if every day of the week counts.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.servicecalendar",
                        verbose_name="working days by",
                    ),
                ),
                (
                    "facilitator",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty: the incident's commander, else a manager.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="facilitator",
                    ),
                ),
                (
                    "told_of_violations",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty: every manager.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="told of violations",
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
                "verbose_name": "historical review policy",
                "verbose_name_plural": "historical review policies",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_9e7c11_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="QuestionSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField(unique=True, verbose_name="version")),
                ("made_at", models.DateTimeField(verbose_name="made at")),
            ],
            options={
                "verbose_name": "version of the questions",
                "verbose_name_plural": "versions of the questions",
                "ordering": ("-version",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalQuestionSet",
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
                ("version", models.PositiveIntegerField(db_index=True, verbose_name="version")),
                ("made_at", models.DateTimeField(verbose_name="made at")),
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
                "verbose_name": "historical version of the questions",
                "verbose_name_plural": "historical versions of the questions",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_2a8a3a_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="PostIncidentReview",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="review",
                        to="incidents.incident",
                        verbose_name="incident",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("in_review", "In review"),
                            ("approved", "Approved"),
                            ("shared", "Shared with clients"),
                            ("closed", "Closed"),
                            ("waived", "Waived"),
                        ],
                        default="draft",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                (
                    "facilitator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="facilitator",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="reviews.reviewpolicy",
                        verbose_name="policy",
                    ),
                ),
                (
                    "question_set",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="reviews.questionset",
                        verbose_name="questions",
                    ),
                ),
                (
                    "why_owed",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Empty for one that somebody wanted.",
                        max_length=1000,
                        verbose_name="why it is owed",
                    ),
                ),
                ("opened_at", models.DateTimeField(editable=False, verbose_name="opened at")),
                (
                    "due_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="By our policy; what a contract says stands on its deadlines.",
                        null=True,
                        verbose_name="due at",
                    ),
                ),
                (
                    "summary",
                    config.fields.ProseField(
                        blank=True,
                        help_text="In plain words, as seen by the people involved.",
                        max_length=20000,
                        verbose_name="what happened",
                    ),
                ),
                (
                    "is_summary_for_client",
                    models.BooleanField(default=False, verbose_name="what happened: for clients"),
                ),
                (
                    "client_impact",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Who was affected, for how long, and what they could not do.",
                        max_length=20000,
                        verbose_name="impact on clients",
                    ),
                ),
                (
                    "is_client_impact_for_client",
                    models.BooleanField(default=False, verbose_name="impact on clients: for clients"),
                ),
                (
                    "root_cause",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Where there is one. What made it possible, not who was at the keyboard.",
                        max_length=20000,
                        verbose_name="root cause",
                    ),
                ),
                (
                    "is_root_cause_for_client",
                    models.BooleanField(default=False, verbose_name="root cause: for clients"),
                ),
                (
                    "what_will_change",
                    config.fields.ProseField(blank=True, max_length=20000, verbose_name="what will change"),
                ),
                (
                    "is_what_will_change_for_client",
                    models.BooleanField(default=False, verbose_name="what will change: for clients"),
                ),
                (
                    "submitted_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="submitted at"),
                ),
                (
                    "submitted_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="submitted by",
                    ),
                ),
                (
                    "approved_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="approved at"),
                ),
                (
                    "approved_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="approved by",
                    ),
                ),
                ("shared_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="shared at")),
                (
                    "completed_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="completed at"),
                ),
                ("waived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="waived at")),
                (
                    "words",
                    config.search.FoldedField(
                        default="", of=("summary", "client_impact", "root_cause", "what_will_change")
                    ),
                ),
            ],
            options={
                "verbose_name": "post-incident review",
                "verbose_name_plural": "post-incident reviews",
                "ordering": ("-opened_at", "-pk"),
                "permissions": (("approve_postincidentreview", "Can approve post-incident review"),),
                "indexes": [models.Index(fields=["opened_at", "id"], name="review_opened")],
                "constraints": [
                    models.CheckConstraint(
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
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ("approved", "shared")), _negated=True),
                            models.Q(("approved_at__isnull", False), ("approved_by__isnull", False)),
                            _connector="OR",
                        ),
                        name="review_approved_has_its_approval",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "shared"), _negated=True), ("shared_at__isnull", False), _connector="OR"
                        ),
                        name="review_shared_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("completed_at__isnull", False), ("status", "closed")),
                            models.Q(models.Q(("status", "closed"), _negated=True), ("completed_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="review_closed_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "waived"), ("waived_at__isnull", False)),
                            models.Q(models.Q(("status", "waived"), _negated=True), ("waived_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="review_waived_has_its_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalPostIncidentReview",
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
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("in_review", "In review"),
                            ("approved", "Approved"),
                            ("shared", "Shared with clients"),
                            ("closed", "Closed"),
                            ("waived", "Waived"),
                        ],
                        default="draft",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                (
                    "why_owed",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Empty for one that somebody wanted.",
                        max_length=1000,
                        verbose_name="why it is owed",
                    ),
                ),
                ("opened_at", models.DateTimeField(editable=False, verbose_name="opened at")),
                (
                    "due_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="By our policy; what a contract says stands on its deadlines.",
                        null=True,
                        verbose_name="due at",
                    ),
                ),
                (
                    "summary",
                    config.fields.ProseField(
                        blank=True,
                        help_text="In plain words, as seen by the people involved.",
                        max_length=20000,
                        verbose_name="what happened",
                    ),
                ),
                (
                    "is_summary_for_client",
                    models.BooleanField(default=False, verbose_name="what happened: for clients"),
                ),
                (
                    "client_impact",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Who was affected, for how long, and what they could not do.",
                        max_length=20000,
                        verbose_name="impact on clients",
                    ),
                ),
                (
                    "is_client_impact_for_client",
                    models.BooleanField(default=False, verbose_name="impact on clients: for clients"),
                ),
                (
                    "root_cause",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Where there is one. What made it possible, not who was at the keyboard.",
                        max_length=20000,
                        verbose_name="root cause",
                    ),
                ),
                (
                    "is_root_cause_for_client",
                    models.BooleanField(default=False, verbose_name="root cause: for clients"),
                ),
                (
                    "what_will_change",
                    config.fields.ProseField(blank=True, max_length=20000, verbose_name="what will change"),
                ),
                (
                    "is_what_will_change_for_client",
                    models.BooleanField(default=False, verbose_name="what will change: for clients"),
                ),
                (
                    "submitted_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="submitted at"),
                ),
                (
                    "approved_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="approved at"),
                ),
                ("shared_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="shared at")),
                (
                    "completed_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="completed at"),
                ),
                ("waived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="waived at")),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
                        verbose_name="incident",
                    ),
                ),
                (
                    "facilitator",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="facilitator",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.reviewpolicy",
                        verbose_name="policy",
                    ),
                ),
                (
                    "question_set",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.questionset",
                        verbose_name="questions",
                    ),
                ),
                (
                    "submitted_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="submitted by",
                    ),
                ),
                (
                    "approved_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="approved by",
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
                "verbose_name": "historical post-incident review",
                "verbose_name_plural": "historical post-incident reviews",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_f0a348_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="findings",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "factor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="findings",
                        to="reviews.factor",
                        verbose_name="contributing factor",
                    ),
                ),
                (
                    "explanation",
                    config.fields.ProseField(blank=True, max_length=5000, verbose_name="how it contributed"),
                ),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                ("words", config.search.FoldedField(default="", of=("explanation",))),
            ],
            options={
                "verbose_name": "finding",
                "verbose_name_plural": "findings",
                "ordering": ("pk",),
                "constraints": [models.UniqueConstraint(fields=("review", "factor"), name="finding_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalFinding",
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
                    "explanation",
                    config.fields.ProseField(blank=True, max_length=5000, verbose_name="how it contributed"),
                ),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                (
                    "review",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "factor",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.factor",
                        verbose_name="contributing factor",
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
                "verbose_name": "historical finding",
                "verbose_name_plural": "historical findings",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_d3668d_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Question",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "question_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="reviews.questionset",
                        verbose_name="version of the questions",
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(verbose_name="position")),
                ("text", config.fields.LineField(max_length=200, verbose_name="question")),
                (
                    "guidance",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What helps to answer it, without blame.",
                        max_length=1000,
                        verbose_name="guidance",
                    ),
                ),
                (
                    "is_required",
                    models.BooleanField(
                        default=False,
                        help_text="Without an answer the review cannot be submitted.",
                        verbose_name="required",
                    ),
                ),
            ],
            options={
                "verbose_name": "question",
                "verbose_name_plural": "questions",
                "ordering": ("question_set", "position", "pk"),
                "constraints": [
                    models.UniqueConstraint(fields=("question_set", "position"), name="question_has_its_place"),
                    models.CheckConstraint(
                        condition=models.Q(("text", ""), _negated=True), name="question_says_something"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalQuestion",
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
                ("position", models.PositiveSmallIntegerField(verbose_name="position")),
                ("text", config.fields.LineField(max_length=200, verbose_name="question")),
                (
                    "guidance",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What helps to answer it, without blame.",
                        max_length=1000,
                        verbose_name="guidance",
                    ),
                ),
                (
                    "is_required",
                    models.BooleanField(
                        default=False,
                        help_text="Without an answer the review cannot be submitted.",
                        verbose_name="required",
                    ),
                ),
                (
                    "question_set",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.questionset",
                        verbose_name="version of the questions",
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
                "verbose_name": "historical question",
                "verbose_name_plural": "historical questions",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_014507_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Answer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="answers",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "question",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.question",
                        verbose_name="question",
                    ),
                ),
                ("text", config.fields.ProseField(blank=True, max_length=20000, verbose_name="answer")),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                ("words", config.search.FoldedField(default="", of=("text",))),
            ],
            options={
                "verbose_name": "answer",
                "verbose_name_plural": "answers",
                "ordering": ("question__position", "pk"),
                "constraints": [models.UniqueConstraint(fields=("review", "question"), name="answer_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalAnswer",
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
                ("text", config.fields.ProseField(blank=True, max_length=20000, verbose_name="answer")),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                (
                    "review",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "question",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.question",
                        verbose_name="question",
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
                "verbose_name": "historical answer",
                "verbose_name_plural": "historical answers",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_6ca8e2_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Contributor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="contributors",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="colleague",
                    ),
                ),
            ],
            options={
                "verbose_name": "contributor",
                "verbose_name_plural": "contributors",
                "ordering": ("pk",),
                "constraints": [models.UniqueConstraint(fields=("review", "user"), name="contributor_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalContributor",
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
                    "review",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
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
                "verbose_name": "historical contributor",
                "verbose_name_plural": "historical contributors",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_5017f4_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ReviewLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="links",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                ("label", config.fields.LineField(max_length=120, verbose_name="what it is")),
                ("address", config.fields.WebField(max_length=500, verbose_name="address")),
            ],
            options={
                "verbose_name": "link",
                "verbose_name_plural": "links",
                "ordering": ("pk",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalReviewLink",
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
                ("label", config.fields.LineField(max_length=120, verbose_name="what it is")),
                ("address", config.fields.WebField(max_length=500, verbose_name="address")),
                (
                    "review",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.postincidentreview",
                        verbose_name="review",
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
                "verbose_name": "historical link",
                "verbose_name_plural": "historical links",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_a55ae1_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="TimelinePick",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="picks",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="incidents.timelineentry",
                        verbose_name="timeline entry",
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(default=0, verbose_name="position")),
                (
                    "remark",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What made sense at the time, what was not known yet.",
                        max_length=2000,
                        verbose_name="remark",
                    ),
                ),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                ("words", config.search.FoldedField(default="", of=("remark",))),
            ],
            options={
                "verbose_name": "entry of the review's timeline",
                "verbose_name_plural": "entries of the review's timeline",
                "ordering": ("position", "pk"),
                "constraints": [models.UniqueConstraint(fields=("review", "entry"), name="timeline_pick_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalTimelinePick",
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
                ("position", models.PositiveSmallIntegerField(default=0, verbose_name="position")),
                (
                    "remark",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What made sense at the time, what was not known yet.",
                        max_length=2000,
                        verbose_name="remark",
                    ),
                ),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                (
                    "review",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.timelineentry",
                        verbose_name="timeline entry",
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
                "verbose_name": "historical entry of the review's timeline",
                "verbose_name_plural": "historical entries of the review's timeline",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_c42809_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="CorrectiveAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="actions",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                ("what", config.fields.LineField(max_length=300, verbose_name="what will be done")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("prevent", "Prevents it"),
                            ("detect", "Detects it sooner"),
                            ("mitigate", "Lessens its effect"),
                            ("process", "Betters our process"),
                        ],
                        default="prevent",
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "High"), (2, "Medium"), (3, "Low")], default=2, verbose_name="priority"
                    ),
                ),
                (
                    "finding",
                    models.ForeignKey(
                        blank=True,
                        help_text="The factor that it is meant for; the next incident with it asks whether the action helped.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="actions",
                        to="reviews.finding",
                        verbose_name="against",
                    ),
                ),
                (
                    "expected_effect",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What will be different once it is done.",
                        max_length=2000,
                        verbose_name="expected effect",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                ("due_on", models.DateField(verbose_name="due on")),
                (
                    "ticket",
                    config.fields.WebField(
                        blank=True,
                        help_text="Where the work is tracked; shown, never fetched.",
                        max_length=500,
                        verbose_name="ticket",
                    ),
                ),
                ("started_on", models.DateField(blank=True, null=True, verbose_name="started on")),
                ("done_on", models.DateField(blank=True, null=True, verbose_name="done on")),
                (
                    "evidence",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What shows that it is done: a link, a change, a test.",
                        max_length=2000,
                        verbose_name="evidence",
                    ),
                ),
                ("dropped_on", models.DateField(blank=True, null=True, verbose_name="dropped on")),
                (
                    "why_dropped",
                    config.fields.ProseField(blank=True, max_length=2000, verbose_name="why it will not be done"),
                ),
                ("check_on", models.DateField(blank=True, null=True, verbose_name="effect to be checked on")),
                ("checked_on", models.DateField(blank=True, null=True, verbose_name="effect checked on")),
                (
                    "effect",
                    models.CharField(
                        blank=True,
                        choices=[("helped", "It did not happen again"), ("recurred", "It happened again")],
                        max_length=10,
                        verbose_name="effect",
                    ),
                ),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                ("words", config.search.FoldedField(default="", of=("what",))),
            ],
            options={
                "verbose_name": "corrective action",
                "verbose_name_plural": "corrective actions",
                "ordering": ("due_on", "pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_on__isnull", True), ("dropped_on__isnull", True)),
                        fields=["due_on"],
                        name="action_open",
                    ),
                    models.Index(fields=["due_on", "id"], name="action_due"),
                    models.Index(condition=models.Q(("effect", "")), fields=["check_on"], name="action_unchecked"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("done_on__isnull", True), models.Q(("evidence", ""), _negated=True), _connector="OR"
                        ),
                        name="action_done_has_evidence",
                        violation_error_message="Say what shows that it is done before you enter the day it was done.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("dropped_on__isnull", True), models.Q(("why_dropped", ""), _negated=True), _connector="OR"
                        ),
                        name="action_dropped_says_why",
                        violation_error_message="Say why it will not be done.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("done_on__isnull", True), ("dropped_on__isnull", True), _connector="OR"),
                        name="action_done_or_dropped",
                        violation_error_message="It is either done or dropped.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("effect", ""),
                            models.Q(
                                ("checked_on__isnull", False),
                                models.Q(("done_on__isnull", False), ("effect", "recurred"), _connector="OR"),
                            ),
                            _connector="OR",
                        ),
                        name="action_effect_of_what_is_done",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalCorrectiveAction",
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
                ("what", config.fields.LineField(max_length=300, verbose_name="what will be done")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("prevent", "Prevents it"),
                            ("detect", "Detects it sooner"),
                            ("mitigate", "Lessens its effect"),
                            ("process", "Betters our process"),
                        ],
                        default="prevent",
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "High"), (2, "Medium"), (3, "Low")], default=2, verbose_name="priority"
                    ),
                ),
                (
                    "expected_effect",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What will be different once it is done.",
                        max_length=2000,
                        verbose_name="expected effect",
                    ),
                ),
                ("due_on", models.DateField(verbose_name="due on")),
                (
                    "ticket",
                    config.fields.WebField(
                        blank=True,
                        help_text="Where the work is tracked; shown, never fetched.",
                        max_length=500,
                        verbose_name="ticket",
                    ),
                ),
                ("started_on", models.DateField(blank=True, null=True, verbose_name="started on")),
                ("done_on", models.DateField(blank=True, null=True, verbose_name="done on")),
                (
                    "evidence",
                    config.fields.ProseField(
                        blank=True,
                        help_text="What shows that it is done: a link, a change, a test.",
                        max_length=2000,
                        verbose_name="evidence",
                    ),
                ),
                ("dropped_on", models.DateField(blank=True, null=True, verbose_name="dropped on")),
                (
                    "why_dropped",
                    config.fields.ProseField(blank=True, max_length=2000, verbose_name="why it will not be done"),
                ),
                ("check_on", models.DateField(blank=True, null=True, verbose_name="effect to be checked on")),
                ("checked_on", models.DateField(blank=True, null=True, verbose_name="effect checked on")),
                (
                    "effect",
                    models.CharField(
                        blank=True,
                        choices=[("helped", "It did not happen again"), ("recurred", "It happened again")],
                        max_length=10,
                        verbose_name="effect",
                    ),
                ),
                ("is_for_client", models.BooleanField(default=False, verbose_name="for clients")),
                (
                    "review",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.postincidentreview",
                        verbose_name="review",
                    ),
                ),
                (
                    "finding",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="The factor that it is meant for; the next incident with it asks whether the action helped.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reviews.finding",
                        verbose_name="against",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
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
                "verbose_name": "historical corrective action",
                "verbose_name_plural": "historical corrective actions",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="reviews_his_history_84fff7_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="ClientEdition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="editions",
                        to="reviews.postincidentreview",
                        verbose_name="review",
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
                ("version", models.PositiveSmallIntegerField(verbose_name="version")),
                ("language", models.CharField(max_length=10, verbose_name="language")),
                ("html", models.TextField(verbose_name="HTML")),
                ("text", models.TextField(verbose_name="text")),
                (
                    "attachment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="edition",
                        to="incidents.attachment",
                        verbose_name="PDF",
                    ),
                ),
                ("made_at", models.DateTimeField(verbose_name="made at")),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                ("late_reason", models.TextField(blank=True, max_length=1000, verbose_name="why it is late")),
            ],
            options={
                "verbose_name": "client edition",
                "verbose_name_plural": "client editions",
                "ordering": ("client__name", "version", "pk"),
                "constraints": [
                    models.UniqueConstraint(fields=("review", "client", "version"), name="edition_once_per_version"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("html", ""), _negated=True), models.Q(("text", ""), _negated=True)
                        ),
                        name="edition_says_something",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClientStatement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                ("month", models.DateField(help_text="Its first day.", verbose_name="month")),
                ("version", models.PositiveSmallIntegerField(verbose_name="version")),
                ("reissue_reason", models.TextField(blank=True, max_length=1000, verbose_name="why it was sent again")),
                ("language", models.CharField(max_length=10, verbose_name="language")),
                ("html", models.TextField(verbose_name="HTML")),
                ("text", models.TextField(verbose_name="text")),
                (
                    "attachment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statement",
                        to="incidents.attachment",
                        verbose_name="PDF",
                    ),
                ),
                ("made_at", models.DateTimeField(verbose_name="made at")),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
            ],
            options={
                "verbose_name": "client statement",
                "verbose_name_plural": "client statements",
                "ordering": ("-month", "client__name", "-version"),
                "constraints": [
                    models.UniqueConstraint(fields=("client", "month", "version"), name="statement_once_per_version"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("html", ""), _negated=True), models.Q(("text", ""), _negated=True)
                        ),
                        name="statement_says_something",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reissue_reason", ""), ("version", 1)),
                            models.Q(("version__gt", 1), models.Q(("reissue_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="statement_again_for_a_reason",
                    ),
                ],
            },
        ),
        *(trigram_index(f"{name}_words", f"reviews_{name}", "words") for name in SEARCHED),
    ]
