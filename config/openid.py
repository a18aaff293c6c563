"""OpenID Connect: sends somebody to the one provider that OIDC_ISSUER names, and reads what they come back with.

State, PKCE and the change of a code for a token are django-allauth's. It knows no nonce, leaves the signature of
a token that comes with a code unchecked, and believes whatever issuer the provider claims to be; that is done here. No
address is fetched but those of the issuer and of what it says of itself.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import jwt
import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, get_random_string

from config import installation

logger = logging.getLogger(__name__)

ANSWERS_TO = "sso_back"  # the page to which the provider sends people back
KNOWN_FOR = 3600  # seconds for which what the provider says of itself is not asked for again
LEEWAY = 60  # seconds by which its clock may differ from ours
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
#: Only those whose secret half stays with the provider: who knows OIDC_CLIENT_SECRET signs nothing.
ALGORITHMS = (*(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA")
LONGEST_SUBJECT = 191  # what the library keeps


class Purpose(StrEnum):
    SIGN_IN = "sign_in"
    PROOF = "proof"  # somebody who is signed in shows again that it is them
    LINK = "link"  # somebody who is signed in says who they are at the provider


class Why(StrEnum):
    """Why somebody is not let in, as codes of the trail (config/models/event.py has the sentences)."""

    STALE = "sso_stale"
    DECLINED = "sso_declined"
    TOKEN = "sso_token"  # noqa: S105 - a code
    UNVERIFIED = "sso_unverified"
    DOMAIN = "sso_domain"
    NOBODY = "sso_nobody"
    LINKED = "sso_linked"
    CLOSED = "sso_closed"
    ROLE = "sso_role"
    OTHER = "sso_other"
    NOT_ANEW = "sso_not_anew"


class Refused(Exception):
    def __init__(self, why: Why, identity: Identity | None = None) -> None:
        super().__init__(why)
        self.why, self.identity = why, identity


class Unanswered(Exception):
    """The provider does not answer, or not as one does. Its text says what is wrong, for whoever runs the server."""


@dataclass(frozen=True)
class Identity:
    """Who somebody is, by a token that the provider signed for us."""

    subject: str
    email: str = ""  # in small letters; "" where there is none, or one that could be mistaken for another
    is_verified: bool = False  # the address, by the provider
    groups: frozenset[str] = frozenset()
    first_name: str = ""
    last_name: str = ""
    signed_in_at: int | None = None  # at the provider

    @classmethod
    def told_by(cls, claims: dict[str, Any]) -> Self:
        def text(name: str) -> str:
            return claims[name] if isinstance(claims.get(name), str) else ""

        email, groups, at = text("email"), claims.get(settings.OIDC_GROUPS_CLAIM), claims.get("auth_time")
        # Letters beyond ASCII are left out: some of them are others' capital or small ones.
        is_plain = email.isascii() and re.fullmatch(r"[^\s@<>,;\x00-\x1f]+@[^\s@<>,;\x00-\x1f]+", email)
        return cls(
            subject=claims["sub"],
            email=email.lower() if is_plain else "",
            is_verified=claims.get("email_verified") in (True, "true"),
            groups=frozenset(map(str, groups if isinstance(groups, list) else [groups] if groups else [])),
            first_name=text("given_name"),
            last_name=text("family_name"),
            signed_in_at=int(at) if isinstance(at, int | float) else None,
        )

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]

    def signed_in_since(self, began: int) -> bool:
        """Whether the provider asked them who they are after that instant, as it was told to."""
        return self.signed_in_at is not None and self.signed_in_at >= began - LEEWAY


def is_on() -> bool:
    return bool(settings.OIDC_ISSUER)


# ── what the provider says of itself ────────────────────────────────────────────────────────────────────────────────


def about_provider(*, anew: bool = False) -> dict[str, Any]:
    """Its discovery document (OpenID Connect Discovery 1.0, 4), known for an hour. Raises Unanswered."""
    key = f"openid:{settings.OIDC_ISSUER}"
    found: dict[str, Any] | None = None if anew else cache.get(key)
    if found is None:
        found = _get(f"{settings.OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != settings.OIDC_ISSUER:
            raise Unanswered(f"it calls itself {found.get('issuer')!r}, which OIDC_ISSUER has to be to the letter")
        for name in ENDPOINTS:
            if not installation.is_private(str(found.get(name, ""))):
                raise Unanswered(f"its {name} does not begin with https://")
        cache.set(key, found, KNOWN_FOR)
    return found


def _get(address: str) -> dict[str, Any]:
    try:
        with get_adapter().get_requests_session() as session:
            answer = session.get(address)
            answer.raise_for_status()
            found = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise Unanswered(f"{address} cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise Unanswered(f"{address} is not what a provider says")
    return found


class _Keys(jwt.PyJWKClient):
    """The library's own, which reads by the same means, and so trusts the same authorities, as everything here."""

    def fetch_data(self) -> dict[str, Any]:
        return _get(self.uri)


_keys_at = functools.lru_cache(maxsize=4)(_Keys)  # each remembers its keys for five minutes


# ── there and back ──────────────────────────────────────────────────────────────────────────────────────────────────


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # the library ships no types
    def get_requests_session(self) -> requests.Session:
        """Waits no longer than SOCIALACCOUNT_REQUESTS_TIMEOUT, and is sent nowhere else."""
        session: requests.Session = super().get_requests_session()
        session.max_redirects = 0
        return session


class _Provider(OpenIDConnectProvider):  # type: ignore[misc]
    """The library's own, of the settings and never of the database."""

    def __init__(self, request: HttpRequest) -> None:
        app = SocialApp(
            provider=self.id,
            provider_id=settings.OIDC_ISSUER,  # which it keeps with each account: who is linked is (issuer, subject)
            client_id=settings.OIDC_CLIENT_ID,
            secret=settings.OIDC_CLIENT_SECRET,
            settings={"oauth_pkce_enabled": True},
        )
        super().__init__(request, app=app)

    def get_oauth2_adapter(self, request: HttpRequest) -> _Exchange:
        return _Exchange(request, self)


class _Exchange(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    def __init__(self, request: HttpRequest, provider: _Provider) -> None:
        super().__init__(request, provider.sub_id)
        self._provider = provider

    def get_provider(self) -> _Provider:
        return self._provider

    @property
    def openid_config(self) -> dict[str, Any]:
        return about_provider()

    @property
    def basic_auth(self) -> bool:
        """Where the provider says nothing the standard says basic (OpenID Connect Discovery 1.0, 3)."""
        return "client_secret_post" not in about_provider().get("token_endpoint_auth_methods_supported", ())

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return settings.PUBLIC_URL + reverse(f"admin:{ANSWERS_TO}")


def begin(request: HttpRequest, purpose: Purpose, goes_to: str) -> str:
    """The address at the provider to which they are to be sent. Raises Unanswered."""
    about_provider()  # before anything is kept
    nonce = get_random_string(43)
    asked = {"nonce": nonce}
    if purpose == Purpose.PROOF:
        asked |= {"prompt": "login", "max_age": "0"}
    sent = _Provider(request).redirect(
        request,
        purpose.value,
        next_url=goes_to,
        auth_params=asked,
        nonce=nonce,
        began=int(time.time()),
        user=request.user.pk,
    )
    return str(sent.url)


def finish(request: HttpRequest) -> tuple[Identity, dict[str, Any]]:
    """Who comes back, with what was kept when they went: once, and only in the same session.

    Raises Refused, or Unanswered.
    """
    provider = _Provider(request)
    state = statekit.unstash_state(request, provider_id=provider.sub_id, state_id=request.GET.get("state", ""))
    if state is None:
        raise Refused(Why.STALE)
    if not request.GET.get("code"):
        raise Refused(Why.DECLINED)
    client = provider.get_oauth2_adapter(request).get_client(request, provider.app)
    try:
        answer = client.get_access_token(request.GET["code"], pkce_code_verifier=state["pkce_code_verifier"])
    except requests.RequestException as error:
        raise Unanswered(f"its token_endpoint cannot be read ({type(error).__name__})") from error
    except (OAuth2Error, KeyError, ValueError) as error:
        logger.warning("The provider gave no token for a code (%s).", type(error).__name__)
        raise Refused(Why.TOKEN) from error
    return Identity.told_by(_checked(answer.get("id_token"), state["nonce"])), state


def _checked(token: Any, nonce: str) -> dict[str, Any]:
    """What a token says that the provider signed for us, lately and for this sign-in (OpenID Connect Core, 3.1.3.7)."""
    try:
        if not isinstance(token, str):
            raise jwt.InvalidTokenError("There is none.")
        claims: dict[str, Any] = jwt.decode(
            token,
            _keys_at(about_provider()["jwks_uri"]).get_signing_key_from_jwt(token),
            algorithms=ALGORITHMS,
            issuer=settings.OIDC_ISSUER,
            audience=settings.OIDC_CLIENT_ID,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
        )
        if claims.get("azp", settings.OIDC_CLIENT_ID) != settings.OIDC_CLIENT_ID:
            raise jwt.InvalidAudienceError("It was made for another.")
        if not constant_time_compare(str(claims["nonce"]), nonce):
            raise jwt.InvalidTokenError("It was made for another sign-in.")
        if not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
            raise jwt.InvalidTokenError("Its subject is too long.")
    except jwt.PyJWTError as error:
        logger.warning("A token of the provider was refused (%s).", type(error).__name__)
        raise Refused(Why.TOKEN) from error
    return claims
