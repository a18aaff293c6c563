"""All tables of this app as they were first released, with their constraints and indexes and what searching them needs.

`replaces` names the steps in which they came to be before that, for databases that took those.
"""

import config.fields
import config.history
import config.search
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import incidents.placeholders
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from config.search import trigram_index


class Migration(migrations.Migration):
    replaces = [
        ("incidents", "0001_initial"),
        ("incidents", "0002_roles"),
        ("incidents", "0003_pauses_chains_merging"),
        ("incidents", "0004_delivery"),
        ("incidents", "0005_delivery_roles"),
        ("incidents", "0006_exclusion"),
        ("incidents", "0007_message_templates"),
        ("incidents", "0008_message_template_roles"),
        ("incidents", "0009_words"),
        ("incidents", "0010_words_filled"),
        ("incidents", "0011_at_risk_index"),
        ("incidents", "0012_declaration_token"),
        ("incidents", "0013_due_index"),
        ("incidents", "0014_changed_fields"),
        ("incidents", "0015_acknowledgement_key"),
        ("incidents", "0016_history_by_person"),
        ("incidents", "0017_reduce_permission"),
        ("incidents", "0018_reduce_roles"),
        ("incidents", "0019_erased"),
        ("incidents", "0020_resolved_index"),
        ("incidents", "0021_follow_up_kinds"),
        ("incidents", "0022_attachment"),
        ("incidents", "0023_statement_kind"),
        ("incidents", "0024_watching"),
        ("incidents", "0025_imported"),
        ("incidents", "0026_intake"),
    ]

    initial = True

    dependencies = [
        ("agreements", "0016_pseudonymise_roles"),
        ("config", "0024_factor_events"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReferenceCounter",
            fields=[
                ("year", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("last", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "reference",
                    config.fields.LineField(editable=False, max_length=20, unique=True, verbose_name="reference"),
                ),
                (
                    "declaration_token",
                    models.UUIDField(
                        blank=True,
                        editable=False,
                        help_text="Of the form that declared it: one form, once.",
                        null=True,
                        unique=True,
                    ),
                ),
                (
                    "title",
                    config.fields.LineField(
                        help_text="In one line, as a colleague would say it.", max_length=200, verbose_name="title"
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
                    "status",
                    models.CharField(
                        choices=[
                            ("declared", "Declared"),
                            ("acknowledged", "Acknowledged"),
                            ("mitigated", "Mitigated"),
                            ("resolved", "Resolved"),
                            ("closed", "Closed"),
                            ("merged", "Merged"),
                        ],
                        default="declared",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("outage", "Outage"),
                            ("degradation", "Degradation"),
                            ("data_loss", "Data loss"),
                            ("security", "Security"),
                            ("faulty_release", "Faulty release"),
                            ("other", "Other"),
                        ],
                        default="outage",
                        max_length=20,
                        verbose_name="category",
                    ),
                ),
                (
                    "description",
                    config.fields.ProseField(
                        blank=True,
                        help_text="For colleagues only; clients never see this.",
                        max_length=20000,
                        verbose_name="internal notes",
                    ),
                ),
                (
                    "client_summary",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Goes into every mail to clients.",
                        max_length=5000,
                        verbose_name="what clients may be told",
                    ),
                ),
                ("occurred_at", models.DateTimeField(blank=True, null=True, verbose_name="happened at")),
                ("detected_at", models.DateTimeField(verbose_name="detected at")),
                ("aware_at", models.DateTimeField(blank=True, null=True, verbose_name="aware at")),
                ("classified_at", models.DateTimeField(blank=True, null=True, verbose_name="classified at")),
                ("declared_at", models.DateTimeField(editable=False, verbose_name="declared at")),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True, verbose_name="acknowledged at")),
                ("mitigated_at", models.DateTimeField(blank=True, null=True, verbose_name="mitigated at")),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved at")),
                ("reopened_at", models.DateTimeField(blank=True, null=True, verbose_name="reopened at")),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="closed at")),
                ("merged_at", models.DateTimeField(blank=True, null=True, verbose_name="merged at")),
                (
                    "imported_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Taken over as history then: nothing is owed because of it.",
                        null=True,
                        verbose_name="imported at",
                    ),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="merged",
                        to="incidents.incident",
                        verbose_name="merged into",
                    ),
                ),
                ("words", config.search.FoldedField(default="", of=("reference", "title"))),
            ],
            options={
                "verbose_name": "incident",
                "verbose_name_plural": "incidents",
                "ordering": ("-declared_at", "-pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ("declared", "acknowledged", "mitigated"))),
                        fields=["-declared_at"],
                        name="incident_open",
                    ),
                    models.Index(fields=["severity", "-declared_at"], name="incident_severity"),
                    models.Index(fields=["-declared_at"], name="incident_newest"),
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", False)),
                        fields=["resolved_at"],
                        name="incident_resolved",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("resolved_at__isnull", True),
                            ("resolved_at__gte", models.F("detected_at")),
                            _connector="OR",
                        ),
                        name="incident_resolved_after_detected",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ("resolved", "closed")), _negated=True),
                            ("resolved_at__isnull", False),
                            _connector="OR",
                        ),
                        name="incident_resolved_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "closed"), _negated=True), ("closed_at__isnull", False), _connector="OR"
                        ),
                        name="incident_closed_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("merged_at__isnull", False), ("merged_into__isnull", False), ("status", "merged")
                            ),
                            models.Q(models.Q(("status", "merged"), _negated=True), ("merged_into__isnull", True)),
                            _connector="OR",
                        ),
                        name="incident_merged_into_another",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalIncident",
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
                    config.fields.LineField(db_index=True, editable=False, max_length=20, verbose_name="reference"),
                ),
                (
                    "declaration_token",
                    models.UUIDField(
                        blank=True,
                        db_index=True,
                        editable=False,
                        help_text="Of the form that declared it: one form, once.",
                        null=True,
                    ),
                ),
                (
                    "title",
                    config.fields.LineField(
                        help_text="In one line, as a colleague would say it.", max_length=200, verbose_name="title"
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
                    "status",
                    models.CharField(
                        choices=[
                            ("declared", "Declared"),
                            ("acknowledged", "Acknowledged"),
                            ("mitigated", "Mitigated"),
                            ("resolved", "Resolved"),
                            ("closed", "Closed"),
                            ("merged", "Merged"),
                        ],
                        default="declared",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("outage", "Outage"),
                            ("degradation", "Degradation"),
                            ("data_loss", "Data loss"),
                            ("security", "Security"),
                            ("faulty_release", "Faulty release"),
                            ("other", "Other"),
                        ],
                        default="outage",
                        max_length=20,
                        verbose_name="category",
                    ),
                ),
                (
                    "description",
                    config.fields.ProseField(
                        blank=True,
                        help_text="For colleagues only; clients never see this.",
                        max_length=20000,
                        verbose_name="internal notes",
                    ),
                ),
                (
                    "client_summary",
                    config.fields.ProseField(
                        blank=True,
                        help_text="Goes into every mail to clients.",
                        max_length=5000,
                        verbose_name="what clients may be told",
                    ),
                ),
                ("occurred_at", models.DateTimeField(blank=True, null=True, verbose_name="happened at")),
                ("detected_at", models.DateTimeField(verbose_name="detected at")),
                ("aware_at", models.DateTimeField(blank=True, null=True, verbose_name="aware at")),
                ("classified_at", models.DateTimeField(blank=True, null=True, verbose_name="classified at")),
                ("declared_at", models.DateTimeField(editable=False, verbose_name="declared at")),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True, verbose_name="acknowledged at")),
                ("mitigated_at", models.DateTimeField(blank=True, null=True, verbose_name="mitigated at")),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved at")),
                ("reopened_at", models.DateTimeField(blank=True, null=True, verbose_name="reopened at")),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="closed at")),
                ("merged_at", models.DateTimeField(blank=True, null=True, verbose_name="merged at")),
                (
                    "imported_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Taken over as history then: nothing is owed because of it.",
                        null=True,
                        verbose_name="imported at",
                    ),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
                        verbose_name="merged into",
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
                "verbose_name": "historical incident",
                "verbose_name_plural": "historical incidents",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_e0c2b5_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Pause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="pauses", to="incidents.incident"
                    ),
                ),
                ("begins_at", models.DateTimeField(verbose_name="begins at")),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="ends at")),
                ("why", config.fields.ProseField(max_length=1000, verbose_name="why")),
            ],
            options={
                "verbose_name": "pause",
                "verbose_name_plural": "pauses",
                "ordering": ("begins_at", "pk"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ends_at__isnull", True)), fields=("incident",), name="pause_one_at_a_time"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ends_at__isnull", True), ("ends_at__gte", models.F("begins_at")), _connector="OR"
                        ),
                        name="pause_ends_after_it_begins",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalPause",
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
                ("begins_at", models.DateTimeField(verbose_name="begins at")),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="ends at")),
                ("why", config.fields.ProseField(max_length=1000, verbose_name="why")),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
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
                "verbose_name": "historical pause",
                "verbose_name_plural": "historical pauses",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_892d4d_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="AffectedService",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="affected_services",
                        to="incidents.incident",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.service",
                        verbose_name="service",
                    ),
                ),
            ],
            options={
                "verbose_name": "affected service",
                "verbose_name_plural": "affected services",
                "constraints": [models.UniqueConstraint(fields=("incident", "service"), name="affected_service_once")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalAffectedService",
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
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
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
                "verbose_name": "historical affected service",
                "verbose_name_plural": "historical affected services",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_ffc00e_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="AffectedAgreement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="affected_agreements",
                        to="incidents.incident",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.serviceagreement",
                        verbose_name="agreement",
                    ),
                ),
                ("why", models.CharField(max_length=500, verbose_name="why")),
                ("excluded_at", models.DateTimeField(blank=True, null=True, verbose_name="excluded at")),
                ("exclusion_reason", models.CharField(blank=True, max_length=1000, verbose_name="why it is excluded")),
            ],
            options={
                "verbose_name": "affected agreement",
                "verbose_name_plural": "affected agreements",
                "constraints": [
                    models.UniqueConstraint(fields=("incident", "agreement"), name="affected_agreement_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("excluded_at__isnull", True), ("exclusion_reason", "")),
                            models.Q(("excluded_at__isnull", False), models.Q(("exclusion_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="affected_agreement_excluded_for_a_reason",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalAffectedAgreement",
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
                ("why", models.CharField(max_length=500, verbose_name="why")),
                ("excluded_at", models.DateTimeField(blank=True, null=True, verbose_name="excluded at")),
                ("exclusion_reason", models.CharField(blank=True, max_length=1000, verbose_name="why it is excluded")),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
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
                        verbose_name="agreement",
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
                "verbose_name": "historical affected agreement",
                "verbose_name_plural": "historical affected agreements",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_f92752_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Responder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="responders", to="incidents.incident"
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
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("commander", "Commander"),
                            ("communications", "Communications"),
                            ("expert", "Subject expert"),
                        ],
                        default="expert",
                        max_length=20,
                        verbose_name="role",
                    ),
                ),
            ],
            options={
                "verbose_name": "responder",
                "verbose_name_plural": "responders",
                "constraints": [
                    models.UniqueConstraint(fields=("incident", "user", "role"), name="responder_once_per_role")
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalResponder",
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
                    "role",
                    models.CharField(
                        choices=[
                            ("commander", "Commander"),
                            ("communications", "Communications"),
                            ("expert", "Subject expert"),
                        ],
                        default="expert",
                        max_length=20,
                        verbose_name="role",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
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
                "verbose_name": "historical responder",
                "verbose_name_plural": "historical responders",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_e51e11_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="TimelineEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="timeline", to="incidents.incident"
                    ),
                ),
                ("text", config.fields.ProseField(max_length=5000, verbose_name="what happened")),
                ("happened_at", models.DateTimeField(verbose_name="when it happened")),
                ("typed_at", models.DateTimeField(editable=False, verbose_name="typed in at")),
                ("is_client_visible", models.BooleanField(default=False, verbose_name="visible to clients")),
                ("author_name", models.CharField(editable=False, max_length=200, verbose_name="by")),
                (
                    "is_note",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="Typed by a person; the others are written by verbs.",
                        verbose_name="note",
                    ),
                ),
            ],
            options={
                "verbose_name": "timeline entry",
                "verbose_name_plural": "timeline entries",
                "ordering": ("-happened_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="HistoricalTimelineEntry",
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
                ("text", config.fields.ProseField(max_length=5000, verbose_name="what happened")),
                ("happened_at", models.DateTimeField(verbose_name="when it happened")),
                ("typed_at", models.DateTimeField(editable=False, verbose_name="typed in at")),
                ("is_client_visible", models.BooleanField(default=False, verbose_name="visible to clients")),
                ("author_name", models.CharField(editable=False, max_length=200, verbose_name="by")),
                (
                    "is_note",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="Typed by a person; the others are written by verbs.",
                        verbose_name="note",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.incident",
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
                "verbose_name": "historical timeline entry",
                "verbose_name_plural": "historical timeline entries",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_adb39f_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Attachment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty for what is about many.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attachments",
                        to="incidents.incident",
                        verbose_name="incident",
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
                (
                    "name",
                    models.CharField(
                        max_length=120,
                        validators=[django.core.validators.RegexValidator("^[A-Za-z0-9][A-Za-z0-9._-]*\\Z")],
                        verbose_name="name",
                    ),
                ),
                (
                    "media_type",
                    models.CharField(
                        max_length=60,
                        validators=[django.core.validators.RegexValidator("^[a-z]+/[a-z0-9.+-]+\\Z")],
                        verbose_name="media type",
                    ),
                ),
                ("content", models.BinaryField(verbose_name="content")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256")),
                ("made_at", models.DateTimeField(verbose_name="made at")),
            ],
            options={
                "verbose_name": "attachment",
                "verbose_name_plural": "attachments",
                "ordering": ("pk",),
            },
        ),
        migrations.CreateModel(
            name="TermsCopy",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("content", models.JSONField()),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Deadline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deadlines",
                        to="incidents.incident",
                        verbose_name="incident",
                    ),
                ),
                (
                    "commitment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.commitment",
                        verbose_name="commitment",
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.serviceagreement",
                        verbose_name="agreement",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deadlines",
                        to="agreements.client",
                        verbose_name="client",
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
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                ("start_event", models.CharField(max_length=12, verbose_name="counted from")),
                (
                    "cycle",
                    models.PositiveIntegerField(
                        default=1, help_text="Rises with every repetition and every reopening.", verbose_name="cycle"
                    ),
                ),
                (
                    "begins_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Set where a cycle does not begin with the start event.",
                        null=True,
                        verbose_name="cycle begins at",
                    ),
                ),
                (
                    "follows",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="followers",
                        to="incidents.deadline",
                        verbose_name="begins when this is met",
                    ),
                ),
                (
                    "terms_copy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="incidents.termscopy",
                        verbose_name="terms",
                    ),
                ),
                ("iana_version", models.CharField(max_length=10, verbose_name="time zone rules")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started at")),
                ("due_at", models.DateTimeField(blank=True, null=True, verbose_name="due at")),
                ("at_risk_at", models.DateTimeField(blank=True, null=True, verbose_name="at risk from")),
                (
                    "target_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="For a duty without a number; no part of the contract.",
                        null=True,
                        verbose_name="our own target",
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True, verbose_name="paused since")),
                ("met_at", models.DateTimeField(blank=True, null=True, verbose_name="met at")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                ("end_reason", models.CharField(blank=True, max_length=300, verbose_name="why it ended")),
                (
                    "revision",
                    models.PositiveIntegerField(
                        default=1, help_text="Rises whenever the due time moves.", verbose_name="revision"
                    ),
                ),
                ("moments", models.JSONField(default=list, verbose_name="moments")),
                (
                    "raised_until",
                    models.DateTimeField(
                        blank=True, editable=False, help_text="Moments up to here have made their notices.", null=True
                    ),
                ),
                (
                    "next_action_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="next action at"),
                ),
            ],
            options={
                "verbose_name": "deadline",
                "verbose_name_plural": "deadlines",
                "ordering": ("due_at", "pk"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_action_at__isnull", False)),
                        fields=["next_action_at"],
                        name="deadline_next_action",
                    ),
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True), ("met_at__isnull", True)),
                        fields=["due_at"],
                        name="deadline_open",
                    ),
                    models.Index(fields=["due_at"], name="deadline_due"),
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True), ("met_at__isnull", True)),
                        fields=["at_risk_at"],
                        name="deadline_at_risk",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("incident", "commitment", "cycle"), name="deadline_once_per_cycle"),
                    models.CheckConstraint(
                        condition=models.Q(("due_at__isnull", True), ("started_at__isnull", False), _connector="OR"),
                        name="deadline_due_needs_start",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("met_at__isnull", True), ("ended_at__isnull", True), _connector="OR"),
                        name="deadline_met_or_ended",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("next_action_at__isnull", True),
                            models.Q(("ended_at__isnull", True), ("met_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="deadline_done_needs_no_action",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalDeadline",
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
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                ("start_event", models.CharField(max_length=12, verbose_name="counted from")),
                (
                    "cycle",
                    models.PositiveIntegerField(
                        default=1, help_text="Rises with every repetition and every reopening.", verbose_name="cycle"
                    ),
                ),
                (
                    "begins_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Set where a cycle does not begin with the start event.",
                        null=True,
                        verbose_name="cycle begins at",
                    ),
                ),
                ("iana_version", models.CharField(max_length=10, verbose_name="time zone rules")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started at")),
                ("due_at", models.DateTimeField(blank=True, null=True, verbose_name="due at")),
                ("at_risk_at", models.DateTimeField(blank=True, null=True, verbose_name="at risk from")),
                (
                    "target_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="For a duty without a number; no part of the contract.",
                        null=True,
                        verbose_name="our own target",
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True, verbose_name="paused since")),
                ("met_at", models.DateTimeField(blank=True, null=True, verbose_name="met at")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                ("end_reason", models.CharField(blank=True, max_length=300, verbose_name="why it ended")),
                (
                    "revision",
                    models.PositiveIntegerField(
                        default=1, help_text="Rises whenever the due time moves.", verbose_name="revision"
                    ),
                ),
                ("moments", models.JSONField(default=list, verbose_name="moments")),
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
                    "follows",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.deadline",
                        verbose_name="begins when this is met",
                    ),
                ),
                (
                    "terms_copy",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.termscopy",
                        verbose_name="terms",
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
                "verbose_name": "historical deadline",
                "verbose_name_plural": "historical deadlines",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_9e1f08_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="IntakeToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    config.fields.LineField(
                        help_text="Of the system that uses it; in every trail.",
                        max_length=60,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                (
                    "digest",
                    models.CharField(editable=False, max_length=64, unique=True, verbose_name="SHA-256 of the secret"),
                ),
                (
                    "service",
                    models.ForeignKey(
                        help_text="What its alerts are about.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.service",
                        verbose_name="service",
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        help_text="Of the incidents that it opens.",
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "reads_labels",
                    models.BooleanField(
                        default=False,
                        help_text="A label “service” with the name of an active service, and a label “severity” with one of ours (critical, high, medium, low), win over the two above.",
                        verbose_name="labels decide",
                    ),
                ),
                ("made_at", models.DateTimeField(editable=False, verbose_name="made at")),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="revoked at")),
                (
                    "last_used_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last used at"),
                ),
                ("window_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("window_count", models.PositiveIntegerField(default=0, editable=False)),
            ],
            options={
                "verbose_name": "intake token",
                "verbose_name_plural": "intake tokens",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalIntakeToken",
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
                        db_index=True,
                        help_text="Of the system that uses it; in every trail.",
                        max_length=60,
                        verbose_name="name",
                    ),
                ),
                (
                    "digest",
                    models.CharField(
                        db_index=True, editable=False, max_length=64, verbose_name="SHA-256 of the secret"
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("critical", "Critical"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
                        help_text="Of the incidents that it opens.",
                        max_length=10,
                        verbose_name="severity",
                    ),
                ),
                (
                    "reads_labels",
                    models.BooleanField(
                        default=False,
                        help_text="A label “service” with the name of an active service, and a label “severity” with one of ours (critical, high, medium, low), win over the two above.",
                        verbose_name="labels decide",
                    ),
                ),
                ("made_at", models.DateTimeField(editable=False, verbose_name="made at")),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="revoked at")),
                (
                    "service",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="What its alerts are about.",
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
                "verbose_name": "historical intake token",
                "verbose_name_plural": "historical intake tokens",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_242103_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="AlertGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "token",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="groups", to="incidents.intaketoken"
                    ),
                ),
                ("key", models.CharField(max_length=64)),
                (
                    "incident",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="incidents.incident",
                    ),
                ),
                ("latest", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "verbose_name": "group of alerts",
                "verbose_name_plural": "groups of alerts",
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("token", "key"), name="alert_group_once")],
            },
        ),
        migrations.CreateModel(
            name="CalendarFeed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="calendar_feed",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "digest",
                    models.CharField(blank=True, editable=False, max_length=64, verbose_name="SHA-256 of the secret"),
                ),
                ("made_at", models.DateTimeField(verbose_name="made at")),
            ],
            options={
                "verbose_name": "calendar feed",
                "verbose_name_plural": "calendar feeds",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("digest", ""), _negated=True), fields=("digest",), name="calendar_feed_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalCalendarFeed",
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
                    "digest",
                    models.CharField(blank=True, editable=False, max_length=64, verbose_name="SHA-256 of the secret"),
                ),
                ("made_at", models.DateTimeField(verbose_name="made at")),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
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
                "verbose_name": "historical calendar feed",
                "verbose_name_plural": "historical calendar feeds",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_319768_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "incident",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="incidents.incident",
                        verbose_name="incident",
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="agreements.client",
                        verbose_name="client",
                    ),
                ),
                (
                    "deadline",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="incidents.deadline",
                        verbose_name="deadline",
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=1, verbose_name="deadline's revision")),
                ("moment", models.CharField(max_length=60, verbose_name="moment")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("client_notice", "Client notice"),
                            ("holding_notice", "Holding notice"),
                            ("update", "Update"),
                            ("report", "Report"),
                            ("statement", "Monthly statement"),
                            ("warning", "Warning to the client"),
                            ("staff_warning", "Warning to staff"),
                            ("overdue", "Overdue"),
                            ("alarm", "Alarm to operators"),
                            ("canary", "Canary"),
                            ("test", "Test mail"),
                            ("action_reminder", "Reminder of an action"),
                            ("action_effect", "Did an action help?"),
                            ("review_violation", "Review policy not kept"),
                            ("outstanding", "Outstanding actions"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "contact",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreements.contact",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("recipient_name", config.fields.LineField(max_length=200, verbose_name="recipient")),
                ("recipient_address", config.fields.AddressField(max_length=254, verbose_name="address")),
                ("subject", models.CharField(max_length=300, verbose_name="subject")),
                ("text", models.TextField(verbose_name="text")),
                ("html", models.TextField(verbose_name="HTML")),
                (
                    "late_note",
                    models.CharField(
                        blank=True,
                        help_text="The sentence that is put on top of the message if its first transmission comes after it was due.",
                        max_length=300,
                        verbose_name="if it goes out late",
                    ),
                ),
                ("is_marked_late", models.BooleanField(default=False, verbose_name="marked as late")),
                (
                    "is_fallback",
                    models.BooleanField(
                        default=False,
                        help_text="Its template could not be rendered; the bare facts were sent.",
                        verbose_name="plain fallback",
                    ),
                ),
                (
                    "attachment",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="incidents.attachment",
                        verbose_name="attachment",
                    ),
                ),
                ("message_id", models.CharField(max_length=200, unique=True, verbose_name="Message-ID")),
                ("thread_id", models.CharField(max_length=200, verbose_name="thread")),
                ("cause", models.UUIDField(blank=True, editable=False, null=True)),
                ("made_at", models.DateTimeField(verbose_name="made at")),
                (
                    "due_at",
                    models.DateTimeField(
                        help_text="The nearest contractual due time goes first.", verbose_name="to be sent by"
                    ),
                ),
                (
                    "rank",
                    models.PositiveSmallIntegerField(
                        choices=[(0, "Owed to a client"), (1, "Overdue or alarm"), (2, "Warning"), (3, "Test")],
                        default=0,
                        help_text="What is owed goes before what warns.",
                        verbose_name="rank",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("leased", "Taken by a worker"),
                            ("transmitting", "Being transmitted"),
                            ("sent", "Sent"),
                            ("retry_wait", "Waiting to retry"),
                            ("failed", "Failed"),
                            ("review", "Needs review"),
                            ("cancelled", "Cancelled"),
                            ("superseded", "Superseded"),
                            ("handled", "Handled by a person"),
                        ],
                        default="pending",
                        max_length=12,
                        verbose_name="state",
                    ),
                ),
                ("state_reason", models.CharField(blank=True, max_length=500, verbose_name="why")),
                (
                    "superseded_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="supersedes",
                        to="incidents.notice",
                        verbose_name="sent instead",
                    ),
                ),
                ("next_attempt_at", models.DateTimeField(verbose_name="next attempt at")),
                ("lease_token", models.UUIDField(blank=True, editable=False, null=True)),
                ("leased_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0, verbose_name="tries")),
                (
                    "ambiguous_tries",
                    models.PositiveSmallIntegerField(default=0, verbose_name="tries with unknown outcome"),
                ),
                ("accepted_at", models.DateTimeField(blank=True, null=True, verbose_name="accepted at")),
                ("server_answer", models.CharField(blank=True, max_length=500, verbose_name="server's answer")),
                (
                    "link_revoked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="acknowledgement link revoked at"),
                ),
            ],
            options={
                "verbose_name": "notice",
                "verbose_name_plural": "notices",
                "ordering": ("-made_at", "-pk"),
                "permissions": (("reduce_notice", "Can give up the texts of old notices"),),
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ("pending", "retry_wait"))),
                        fields=["rank", "due_at", "id"],
                        name="notice_waiting",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("leased", "transmitting"))),
                        fields=["leased_until"],
                        name="notice_held",
                    ),
                    models.Index(fields=["state", "-made_at"], name="notice_state"),
                    models.Index(fields=["-made_at", "-id"], name="notice_newest"),
                    models.Index(
                        condition=models.Q(("accepted_at__isnull", False), ("kind__in", ("warning", "staff_warning"))),
                        fields=["recipient_address", "accepted_at"],
                        name="notice_warned",
                    ),
                    models.Index(
                        condition=models.Q(("attachment__isnull", False)),
                        fields=["attachment"],
                        name="notice_attachment",
                    ),
                    models.Index(
                        condition=models.Q(("accepted_at__isnull", False)),
                        fields=["accepted_at"],
                        name="notice_accepted",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("deadline__isnull", False), models.Q(("recipient_address", "[erased]"), _negated=True)
                        ),
                        fields=("deadline", "revision", "moment", "recipient_address"),
                        name="notice_once_per_moment",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("deadline__isnull", True), models.Q(("recipient_address", "[erased]"), _negated=True)
                        ),
                        fields=("incident", "moment", "recipient_address"),
                        name="notice_once_without_deadline",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("deadline__isnull", True),
                            ("incident__isnull", True),
                            models.Q(("kind", "canary"), _negated=True),
                        ),
                        fields=("moment", "recipient_address"),
                        name="notice_once_without_incident",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state__in", ("leased", "transmitting")), _negated=True),
                            models.Q(("lease_token__isnull", False), ("leased_until__isnull", False)),
                            _connector="OR",
                        ),
                        name="notice_held_has_a_lease",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("incident__isnull", False),
                            ("kind__in", ("canary", "outstanding", "statement")),
                            _connector="OR",
                        ),
                        name="notice_has_an_incident",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("kind__in", ("action_reminder", "action_effect", "review_violation", "outstanding")),
                                _negated=True,
                            ),
                            models.Q(
                                ("client__isnull", True),
                                ("contact__isnull", True),
                                ("deadline__isnull", True),
                                ("user__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="notice_follow_up_is_for_a_colleague",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "test"), _negated=True),
                            models.Q(
                                ("client__isnull", True),
                                ("contact__isnull", True),
                                ("deadline__isnull", True),
                                ("user__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="notice_test_is_for_a_colleague",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "statement"), _negated=True),
                            models.Q(
                                ("client__isnull", False),
                                ("contact__isnull", False),
                                ("deadline__isnull", True),
                                ("incident__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="notice_statement_is_for_a_client",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "sent"), _negated=True), ("accepted_at__isnull", False), _connector="OR"
                        ),
                        name="notice_sent_was_accepted",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalNotice",
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
                ("revision", models.PositiveIntegerField(default=1, verbose_name="deadline's revision")),
                ("moment", models.CharField(max_length=60, verbose_name="moment")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("client_notice", "Client notice"),
                            ("holding_notice", "Holding notice"),
                            ("update", "Update"),
                            ("report", "Report"),
                            ("statement", "Monthly statement"),
                            ("warning", "Warning to the client"),
                            ("staff_warning", "Warning to staff"),
                            ("overdue", "Overdue"),
                            ("alarm", "Alarm to operators"),
                            ("canary", "Canary"),
                            ("test", "Test mail"),
                            ("action_reminder", "Reminder of an action"),
                            ("action_effect", "Did an action help?"),
                            ("review_violation", "Review policy not kept"),
                            ("outstanding", "Outstanding actions"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("recipient_name", config.fields.LineField(max_length=200, verbose_name="recipient")),
                ("recipient_address", config.fields.AddressField(max_length=254, verbose_name="address")),
                ("subject", models.CharField(max_length=300, verbose_name="subject")),
                (
                    "late_note",
                    models.CharField(
                        blank=True,
                        help_text="The sentence that is put on top of the message if its first transmission comes after it was due.",
                        max_length=300,
                        verbose_name="if it goes out late",
                    ),
                ),
                ("is_marked_late", models.BooleanField(default=False, verbose_name="marked as late")),
                (
                    "is_fallback",
                    models.BooleanField(
                        default=False,
                        help_text="Its template could not be rendered; the bare facts were sent.",
                        verbose_name="plain fallback",
                    ),
                ),
                ("message_id", models.CharField(db_index=True, max_length=200, verbose_name="Message-ID")),
                ("thread_id", models.CharField(max_length=200, verbose_name="thread")),
                ("made_at", models.DateTimeField(verbose_name="made at")),
                (
                    "due_at",
                    models.DateTimeField(
                        help_text="The nearest contractual due time goes first.", verbose_name="to be sent by"
                    ),
                ),
                (
                    "rank",
                    models.PositiveSmallIntegerField(
                        choices=[(0, "Owed to a client"), (1, "Overdue or alarm"), (2, "Warning"), (3, "Test")],
                        default=0,
                        help_text="What is owed goes before what warns.",
                        verbose_name="rank",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("leased", "Taken by a worker"),
                            ("transmitting", "Being transmitted"),
                            ("sent", "Sent"),
                            ("retry_wait", "Waiting to retry"),
                            ("failed", "Failed"),
                            ("review", "Needs review"),
                            ("cancelled", "Cancelled"),
                            ("superseded", "Superseded"),
                            ("handled", "Handled by a person"),
                        ],
                        default="pending",
                        max_length=12,
                        verbose_name="state",
                    ),
                ),
                ("state_reason", models.CharField(blank=True, max_length=500, verbose_name="why")),
                ("next_attempt_at", models.DateTimeField(verbose_name="next attempt at")),
                ("lease_token", models.UUIDField(blank=True, editable=False, null=True)),
                ("leased_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0, verbose_name="tries")),
                (
                    "ambiguous_tries",
                    models.PositiveSmallIntegerField(default=0, verbose_name="tries with unknown outcome"),
                ),
                ("accepted_at", models.DateTimeField(blank=True, null=True, verbose_name="accepted at")),
                ("server_answer", models.CharField(blank=True, max_length=500, verbose_name="server's answer")),
                (
                    "link_revoked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="acknowledgement link revoked at"),
                ),
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
                    "deadline",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.deadline",
                        verbose_name="deadline",
                    ),
                ),
                (
                    "contact",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agreements.contact",
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
                    ),
                ),
                (
                    "attachment",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.attachment",
                        verbose_name="attachment",
                    ),
                ),
                (
                    "superseded_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="incidents.notice",
                        verbose_name="sent instead",
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
                "verbose_name": "historical notice",
                "verbose_name_plural": "historical notices",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_83ae2f_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="DeliveryAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attempts",
                        to="incidents.notice",
                        verbose_name="notice",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("worker", models.CharField(max_length=100, verbose_name="worker")),
                (
                    "server",
                    models.CharField(blank=True, help_text="host:port", max_length=260, verbose_name="mail server"),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("accepted", "Accepted"),
                            ("transport_down", "Mail server not reachable"),
                            ("configuration", "Our configuration refused"),
                            ("refused_for_now", "Refused for now"),
                            ("refused", "Refused"),
                            ("ambiguous", "Outcome unknown"),
                            ("poison", "Cannot be sent as it is"),
                        ],
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("connect", "connecting"),
                            ("greeting", "greeting"),
                            ("starttls", "starting encryption"),
                            ("auth", "signing in"),
                            ("sender", "naming the sender"),
                            ("recipient", "naming the recipient"),
                            ("data", "asking to transmit"),
                            ("body", "transmitting"),
                            ("done", "accepted"),
                        ],
                        max_length=12,
                        verbose_name="phase",
                    ),
                ),
                ("code", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="server's code")),
                ("answer", models.CharField(blank=True, max_length=500, verbose_name="server's answer")),
                ("elapsed_ms", models.PositiveIntegerField(default=0, verbose_name="took (ms)")),
            ],
            options={
                "verbose_name": "delivery attempt",
                "verbose_name_plural": "delivery attempts",
                "ordering": ("-at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "notice",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acknowledgement",
                        to="incidents.notice",
                        verbose_name="notice",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="at")),
                ("from_address", models.GenericIPAddressField(blank=True, null=True, verbose_name="from")),
                ("user_agent", models.CharField(blank=True, max_length=300, verbose_name="by the program")),
            ],
            options={
                "verbose_name": "acknowledgement",
                "verbose_name_plural": "acknowledgements",
                "ordering": ("-at",),
            },
        ),
        migrations.CreateModel(
            name="MessageTemplate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    config.fields.LineField(
                        help_text="As colleagues look for it, for example “Investigating”.",
                        max_length=80,
                        verbose_name="name",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("client_notice", "Client notice"), ("update", "Update")],
                        max_length=20,
                        verbose_name="for",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")],
                        default="en",
                        help_text="The language that it is written in; it is offered for clients of every language.",
                        max_length=10,
                        verbose_name="language",
                    ),
                ),
                (
                    "text",
                    config.fields.ProseField(
                        help_text="What is written in braces is filled in for each client; the names are listed below.",
                        max_length=5000,
                        validators=[incidents.placeholders.validate],
                        verbose_name="text",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="offered")),
            ],
            options={
                "verbose_name": "message template",
                "verbose_name_plural": "message templates",
                "ordering": ("kind", "language", "name"),
                "constraints": [
                    models.UniqueConstraint(
                        models.F("kind"),
                        models.F("language"),
                        django.db.models.functions.text.Lower("name"),
                        name="message_template_once_per_language",
                        violation_error_message="There is a template of that name for this kind and language already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("text", ""), _negated=True), name="message_template_says_something"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ("client_notice", "update"))),
                        name="message_template_is_for_clients",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalMessageTemplate",
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
                        help_text="As colleagues look for it, for example “Investigating”.",
                        max_length=80,
                        verbose_name="name",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("client_notice", "Client notice"), ("update", "Update")],
                        max_length=20,
                        verbose_name="for",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")],
                        default="en",
                        help_text="The language that it is written in; it is offered for clients of every language.",
                        max_length=10,
                        verbose_name="language",
                    ),
                ),
                (
                    "text",
                    config.fields.ProseField(
                        help_text="What is written in braces is filled in for each client; the names are listed below.",
                        max_length=5000,
                        validators=[incidents.placeholders.validate],
                        verbose_name="text",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="offered")),
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
                "verbose_name": "historical message template",
                "verbose_name_plural": "historical message templates",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_77e63f_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Sending",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "is_held",
                    models.BooleanField(
                        default=False, help_text="Nothing is sent until it is released.", verbose_name="held"
                    ),
                ),
                ("held_at", models.DateTimeField(blank=True, null=True, verbose_name="held since")),
                ("hold_reason", config.fields.ProseField(blank=True, max_length=1000, verbose_name="why it is held")),
                (
                    "fault",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("accepted", "Accepted"),
                            ("transport_down", "Mail server not reachable"),
                            ("configuration", "Our configuration refused"),
                            ("refused_for_now", "Refused for now"),
                            ("refused", "Refused"),
                            ("ambiguous", "Outcome unknown"),
                            ("poison", "Cannot be sent as it is"),
                        ],
                        max_length=20,
                        verbose_name="fault",
                    ),
                ),
                ("fault_answer", models.CharField(blank=True, max_length=500, verbose_name="what the server said")),
                ("fault_since", models.DateTimeField(blank=True, null=True, verbose_name="at fault since")),
                ("retry_at", models.DateTimeField(blank=True, null=True, verbose_name="next probe at")),
                ("failures", models.PositiveIntegerField(default=0, verbose_name="failures in a row")),
            ],
            options={
                "verbose_name": "sending",
                "verbose_name_plural": "sending",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="sending_is_one_row"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("is_held", False),
                            models.Q(("held_at__isnull", False), models.Q(("hold_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="sending_hold_says_why",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("fault", ""),
                            models.Q(("fault_since__isnull", False), ("retry_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="sending_fault_has_a_next_probe",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoricalSending",
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
                ("id", models.PositiveSmallIntegerField(db_index=True, default=1)),
                (
                    "is_held",
                    models.BooleanField(
                        default=False, help_text="Nothing is sent until it is released.", verbose_name="held"
                    ),
                ),
                ("held_at", models.DateTimeField(blank=True, null=True, verbose_name="held since")),
                ("hold_reason", config.fields.ProseField(blank=True, max_length=1000, verbose_name="why it is held")),
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
                "verbose_name": "historical sending",
                "verbose_name_plural": "historical sending",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
                "indexes": [
                    models.Index(fields=["history_user", "-history_date"], name="incidents_h_history_9d2986_idx")
                ],
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                (
                    "part",
                    models.CharField(
                        choices=[
                            ("planner", "the planner, which makes notices that are due"),
                            ("sender", "the sender, which hands them to the mail server"),
                            ("auditor", "the auditor of the queue"),
                        ],
                        max_length=10,
                        primary_key=True,
                        serialize=False,
                        verbose_name="part",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="last at work")),
                ("worker", models.CharField(max_length=100, verbose_name="worker")),
            ],
            options={
                "verbose_name": "heartbeat",
                "verbose_name_plural": "heartbeats",
            },
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("counted_until", models.DateTimeField(null=True)),
                ("accepted", models.JSONField(default=dict)),
                ("found", models.JSONField(default=dict)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="tally_is_one_row")],
            },
        ),
        migrations.AddField(
            model_name="incident",
            name="agreements",
            field=models.ManyToManyField(
                through="incidents.AffectedAgreement",
                to="agreements.serviceagreement",
                verbose_name="affected agreements",
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="services",
            field=models.ManyToManyField(
                through="incidents.AffectedService", to="agreements.service", verbose_name="affected services"
            ),
        ),
        trigram_index("incident_words", "incidents_incident", "words"),
    ]
