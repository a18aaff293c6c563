"""Who and what the day is about, made inside the product: `manage.py shell -c "from tests.day import world; …"`."""

from __future__ import annotations

import json
from typing import Any

from agreements.models import Client, Obligation, Service, Severity, StartEvent
from agreements.models.commitment import DayEnd
from agreements.models.scope import ClientScope
from config.history import acting
from config.models import User
from reviews.models import Factor
from tests import cast
from tests.day.contracts import CONTRACTS, KINDS, ZONES


def build(count: int) -> None:
    """So many clients, each with a service of its own; of each four, three share one. Prints what a browser knows."""
    clients = [_client(number) for number in range(count)]
    services = {f"Service {number:02}": [client["id"]] for number, client in enumerate(clients)}
    for number in range(0, count - 2, 4):
        services[f"Network {number:02}"] = [client["id"] for client in clients[number : number + 3]]
    covered = {name: Client.objects.filter(pk__in=found) for name, found in services.items()}
    rows = {name: cast.service(name) for name in services}
    for number, client in enumerate(clients):
        its_services = [rows[name] for name, found in covered.items() if client["id"] in {c.pk for c in found}]
        _agreement(number, client, its_services)
    lea = cast.lea()
    with acting(reason="She looks after two clients."):
        for client in clients[:2]:
            ClientScope.objects.create(user=lea, client_id=client["id"])
    factor = Factor.objects.create(name="Unwatched growth", kind="technical")
    made = [{"id": rows[name].pk, "clients": found} for name, found in services.items()]
    olga = User.objects.get(username="olga")
    print(json.dumps({"clients": clients, "services": made, "factor": factor.pk, "olga": olga.pk}))


def _client(number: int) -> dict[str, Any]:
    name, zone = f"Tenant {number:02}", ZONES[number % len(ZONES)]
    addresses = [f"{box}@tenant-{number:02}.example" for box in ("ops", "duty")[: 1 + number % 2]]
    made = cast.client(name, zone, *addresses)
    return {"id": made.pk, "name": name, "zone": zone, "kind": KINDS[number % 4], "addresses": addresses}


def _agreement(number: int, client: dict[str, Any], services: list[Service]) -> None:
    contract, zone = CONTRACTS[str(client["kind"])], str(client["zone"])
    name = f"Calendar {number:02}"
    calendar = cast.office_hours(name, zone) if contract.is_office else cast.always_open(name)
    made = cast.agreement(f"T-{number:02}", Client.objects.get(pk=client["id"]), calendar, *services)
    for severity, clauses in contract.by_severity.items():
        for clause in clauses:
            cast.commit(
                made,
                Obligation(clause.obligation),
                clause.amount,
                clause.unit,
                severity=Severity(severity),
                start_event=StartEvent(clause.start),
                day_end=DayEnd.CLOSE_OF_BUSINESS,
                is_pausable=clause.is_pausable,
                is_recurring=clause.is_recurring,
                sends_holding_notice=clause.sends_holding_notice,
            )
