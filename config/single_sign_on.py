"""Single sign-on: which account somebody has here whom the provider knows, and which roles their groups give them.

An account is linked to one identity of the provider, once: by an address that the provider has verified, or by its
owner, who is signed in. From then on only that identity enters it, whatever address either has.
"""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from config import openid
from config.audit import events
from config.history import Caller, acting
from config.models import EventKind, User
from config.openid import Identity, Refused, Why

TASK = "single sign-on"
REASON = "Single sign-on"


def admit(identity: Identity) -> User:
    """Who it is here, with the roles that their groups give them now. Raises Refused.

    Whoever has lost their last group loses the roles of groups here, too, though they are not let in.
    """
    with acting(task=TASK, reason=REASON), acting(caller=Caller.ADMIN):
        try:
            return _admitted(identity)
        except IntegrityError as error:  # the same person in another tab was faster
            raise Refused(Why.STALE, identity) from error


def _admitted(identity: Identity) -> User:
    known = _holder(identity)
    user = known or _by_address(identity)
    if user is None:
        with transaction.atomic():
            user = _made(identity)
            follow_groups(user, identity)
            _link(user, identity)
        return user
    if not (user.is_active and user.is_staff):
        raise Refused(Why.CLOSED, identity)
    follow_groups(user, identity)
    if not _has_role(user, identity):
        raise Refused(Why.ROLE, identity)
    if not known:
        _link(user, identity)
    return user


# ── whose account ───────────────────────────────────────────────────────────────────────────────────────────────────


def links_of(user: User) -> models.QuerySet[SocialAccount]:
    """At most one."""
    found: models.QuerySet[SocialAccount] = SocialAccount.objects.filter(user=user, provider=settings.OIDC_ISSUER)
    return found


def is_linked(user: User) -> bool:
    return openid.is_on() and links_of(user).exists()


def is_of(identity: Identity, user: User) -> bool:
    return links_of(user).filter(uid=identity.subject).exists()


def _holder(identity: Identity) -> User | None:
    return User.objects.filter(
        socialaccount__provider=settings.OIDC_ISSUER, socialaccount__uid=identity.subject
    ).first()


def _by_address(identity: Identity) -> User | None:
    """The one account that this address alone may be linked to; None where one may be made. Else raises Refused.

    Never one that may do everything, which whoever gives out addresses at the provider could take: its owner links it.
    """
    if not identity.is_verified:
        raise Refused(Why.UNVERIFIED, identity)
    _refuse_other_domains(identity)
    found = list(User.objects.filter(email__iexact=identity.email))
    active = [user for user in found if user.is_active]
    if found and not active:
        raise Refused(Why.CLOSED, identity)
    if not found and settings.OIDC_MAKES_ACCOUNTS:
        return None
    if len(active) != 1 or active[0].is_superuser:
        raise Refused(Why.NOBODY, identity)
    if links_of(active[0]).exists():
        raise Refused(Why.LINKED, identity)
    return active[0]


def _refuse_other_domains(identity: Identity) -> None:
    if identity.domain not in settings.OIDC_DOMAINS:
        raise Refused(Why.DOMAIN, identity)


def _made(identity: Identity) -> User:
    """A new account, for somebody to whom a group gives a role."""
    if not roles_of(identity):
        raise Refused(Why.ROLE, identity)
    user = User(
        username=identity.email,
        email=identity.email,
        first_name=events.clean(identity.first_name)[:150],
        last_name=events.clean(identity.last_name)[:150],
        is_staff=True,
    )
    user.set_unusable_password()
    try:
        if User.objects.filter(username__iexact=user.username).exists():
            raise ValidationError("Somebody else has this name.")
        user.full_clean()
    except ValidationError as error:
        raise Refused(Why.NOBODY, identity) from error
    user.save()
    return user


@transaction.atomic
def _link(user: User, identity: Identity) -> None:
    User.objects.select_for_update().get(pk=user.pk)  # two at once are one after the other
    if links_of(user).exists() or _holder(identity):
        raise Refused(Why.LINKED, identity)
    SocialAccount.objects.create(user=user, provider=settings.OIDC_ISSUER, uid=identity.subject)
    events.record(EventKind.SSO_LINKED, about=user, name=user.username, subject=identity.subject)


def link_own(user: User, identity: Identity) -> None:
    """Somebody who is signed in says that this is them. Raises Refused."""
    _refuse_other_domains(identity)
    _link(user, identity)


@transaction.atomic
def unlink(user: User, *, by: User, reason: str) -> None:
    """So that another identity may be linked; sessions that run go on."""
    with acting(by, reason=reason):
        links_of(user).delete()
        events.record(EventKind.SSO_UNLINKED, about=user, name=user.username, why=reason)


# ── which roles ─────────────────────────────────────────────────────────────────────────────────────────────────────


def roles_of(identity: Identity) -> set[str]:
    return {role for group, role in settings.OIDC_ROLES if group in identity.groups}


@transaction.atomic
def follow_groups(user: User, identity: Identity) -> None:
    """Grant and withdraw the roles that groups give, and no others."""
    User.objects.select_for_update().get(pk=user.pk)
    given = roles_of(identity)
    mapped = {role for _group, role in settings.OIDC_ROLES}
    has = set(user.groups.filter(name__in=mapped).values_list("name", flat=True))
    if lost := has - given:
        user.groups.remove(*Group.objects.filter(name__in=lost))
    if new := given - has:
        user.groups.add(*Group.objects.filter(name__in=new))


def _has_role(user: User, identity: Identity) -> bool:
    """By a group at the provider; where groups give none, by whoever administers accounts here."""
    if settings.OIDC_ROLES:
        return bool(roles_of(identity))
    return user.is_superuser or user.groups.exists()
