"""Passkeys (WebAuthn): a second factor beside the password, or both factors at once where one verifies who holds it.

They are kept among the other factors (config/factors.py), as django-allauth keeps them; the protocol is fido2's. What
a passkey signs is a challenge, which is kept in the session for one purpose and a few minutes, and is used up by the
first answer, right or wrong.
"""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.conf import settings
from django.db import models, transaction
from django.http import HttpRequest
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from config import factors
from config.models import User

PATIENCE = 300  # seconds from the challenge to its answer
LONGEST = 20_000  # characters of an answer; what authenticators send is a tenth of it
LONGEST_NAME = 60
MOST = 20  # of one person


class Purpose(StrEnum):
    """What a challenge is for; an answer to one is none to another."""

    ADD = "add"
    ALONE = "alone"  # signs in without a password
    SECOND = "second"  # signs in after it
    PROOF = "proof"  # shows again who it is


#: A second factor needs only to be there, as the password has said who it is. Elsewhere the passkey has to verify that.
VERIFICATION = {
    Purpose.ADD: UserVerificationRequirement.PREFERRED,
    Purpose.ALONE: UserVerificationRequirement.REQUIRED,
    Purpose.SECOND: UserVerificationRequirement.DISCOURAGED,
    Purpose.PROOF: UserVerificationRequirement.REQUIRED,
}


def of(user: Any) -> list[Any]:
    return list(factors.of(user).filter(type=factors.Type.WEBAUTHN))


def are_offered_to(user: Any, purpose: Purpose) -> bool:
    """Whether one of theirs may serve the purpose."""
    if not settings.PASSKEYS:
        return False
    must_verify = VERIFICATION[purpose] == UserVerificationRequirement.REQUIRED
    return any(verifies(factor) or not must_verify for factor in of(user))


def verifies(factor: Any) -> bool:
    """Whether it has verified who holds it, by a PIN or a finger, when it was added."""
    return bool(factor.wrap().authenticator_data.is_user_verified())


# ── challenges ──────────────────────────────────────────────────────────────────────────────────────────────────────


def challenge(request: HttpRequest, purpose: Purpose, user: User | None = None) -> dict[str, Any]:
    """What a browser is to ask of an authenticator; `user` is whose passkey it has to be, if that is known."""
    known = [_public(factor) for factor in of(user)] if user else None
    options: Any
    if user and purpose == Purpose.ADD:
        options, state = _server().register_begin(
            PublicKeyCredentialUserEntity(id=_handle(user), name=user.username, display_name=str(user)),
            known,
            resident_key_requirement=ResidentKeyRequirement.PREFERRED,
            user_verification=VERIFICATION[purpose],
        )
    else:
        options, state = _server().authenticate_begin(known, VERIFICATION[purpose])
    request.session[_kept(purpose)] = {**state, "until": int(time.time()) + PATIENCE}
    return dict(options)


def _taken(request: HttpRequest, purpose: Purpose) -> dict[str, Any] | None:
    """The challenge that waits for its answer, which it does no longer; None where none does, or not in time."""
    state: dict[str, Any] | None = request.session.pop(_kept(purpose), None)
    return state if state and state["until"] >= time.time() else None


def _kept(purpose: Purpose) -> str:
    return f"passkey_to_{purpose}"


def _server() -> Fido2Server:
    """Takes what was signed on our own pages alone."""
    address = urlsplit(settings.PUBLIC_URL)
    origin = f"{address.scheme}://{address.netloc}".lower()
    return Fido2Server(
        PublicKeyCredentialRpEntity(id=address.hostname, name=factors.ISSUER),
        attestation=AttestationConveyancePreference.NONE,
        verify_origin=lambda said: said == origin,
    )


def _handle(user: User) -> bytes:
    """By what an authenticator knows the account: nothing that names a person."""
    return str(user.pk).encode()


def _public(factor: Any) -> AttestedCredentialData:
    found: AttestedCredentialData = factor.wrap().authenticator_data.credential_data
    return found


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@transaction.atomic
def add(request: HttpRequest, user: User, name: str, typed: str) -> bool:
    """Add the passkey that was just made; False where it does not answer our challenge, or is somebody's already."""
    state, answer = _taken(request, Purpose.ADD), _read(RegistrationResponse, typed)
    if state is None or answer is None or len(of(user)) >= MOST or _named(answer.id).exists():
        return False
    try:
        made = _server().register_complete(state, answer)
    except (ValueError, AssertionError):  # what the library says of an answer that is none
        return False
    said = dict(dict(answer)["response"])
    response = {part: said[part] for part in ("clientDataJSON", "attestationObject")}  # and nothing else that was sent
    factor = WebAuthn.add(user, name, {"id": answer.id, "rawId": answer.id, "response": response}).instance
    factor.data["counter"] = made.counter
    factor.save(update_fields=["data"])
    factors.added(user, "passkey")
    return True


def holder(typed: str) -> User | None:
    """Whose passkey it says it is, which is to be checked yet."""
    answer = _read(AuthenticationResponse, typed)
    factor = _named(answer.id).first() if answer else None
    return User.objects.get(pk=factor.user_id) if factor else None


@transaction.atomic
def check(request: HttpRequest, purpose: Purpose, user: User, typed: str) -> bool:
    """Whether a passkey of theirs signed the challenge of this purpose, which is used up by that."""
    state, answer = _taken(request, purpose), _read(AuthenticationResponse, typed)
    factor = _named(answer.id).select_for_update().first() if answer else None
    if state is None or answer is None or factor is None or factor.user_id != user.pk:
        return False
    said = answer.response.user_handle  # which a passkey that is found without a name has to say
    if said != _handle(user) and (said is not None or purpose == Purpose.ALONE):
        return False
    try:
        _server().authenticate_complete(state, [_public(factor)], answer)
    except ValueError:
        return False
    return _is_news(factor, state["challenge"], answer.response.authenticator_data.counter)


def _is_news(factor: Any, challenge: str, counter: int) -> bool:
    """Not what was answered before, and not a copy of the passkey (WebAuthn, 6.1.1): its counter would fall behind."""
    before = factor.data["counter"]
    if factor.data.get("challenge") == challenge or (max(before, counter) > 0 and counter <= before):
        return False
    factor.data |= {"challenge": challenge, "counter": counter}
    factor.save(update_fields=["data"])
    factor.record_usage()
    return True


def _named(name: str) -> models.QuerySet[Any]:
    """The one with this id, whosever it is."""
    found: models.QuerySet[Any] = Authenticator.objects.filter(type=factors.Type.WEBAUTHN, data__credential__id=name)
    return found


def _read(kind: Any, typed: str) -> Any:
    """What a browser says that an authenticator said; None where it is nothing of the kind."""
    if len(typed) > LONGEST:
        return None
    try:
        return kind.from_dict(json.loads(typed))
    except Exception:  # noqa: BLE001 - anybody can send anything, and the parsers promise nothing of what they raise
        return None
