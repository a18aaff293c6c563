"""Texts that a message template can start from, in each language that clients read.

They name nothing that an incident or an agreement may lack, so that they can be sent to every client as they are; only
“Resolved” waits until the incident is resolved.
"""

from __future__ import annotations

from dataclasses import dataclass

from incidents.models.notice import NoticeKind


@dataclass(frozen=True)
class MessagePreset:
    kind: NoticeKind
    name: str
    language: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.name.lower().replace(' ', '-')}-{self.language}"


_NOTICE, _UPDATE = NoticeKind.CLIENT_NOTICE, NoticeKind.UPDATE

#: (kind, name) → language → text
_TEXTS: dict[tuple[NoticeKind, str], dict[str, str]] = {
    (_NOTICE, "First notice"): {
        "en": "Since {detected_at} we have been working on a fault that affects {services}. Its cause is not known "
        "yet.\n\nWe will write again as soon as we know more.",
        "de": "Seit {detected_at} arbeiten wir an der Behebung einer Störung, die folgende Dienste betrifft: "
        "{services}. Die Ursache ist noch nicht bekannt.\n\nWir melden uns wieder, sobald wir mehr wissen.",
        "fr": "Depuis le {detected_at}, nous traitons un dysfonctionnement qui touche les services suivants : "
        "{services}. Sa cause n’est pas encore connue.\n\nNous vous écrirons de nouveau dès que nous en saurons "
        "davantage.",
        "es": "Desde el {detected_at} trabajamos en la resolución de un fallo que afecta a los siguientes servicios: "
        "{services}. Todavía no se conoce la causa.\n\nVolveremos a escribirles en cuanto sepamos más.",
    },
    (_UPDATE, "Investigating"): {
        "en": "We are still looking for the cause of the fault that affects {services}.\n\nWhat we know so far: ",
        "de": "Wir suchen weiterhin nach der Ursache der Störung. Betroffene Dienste: {services}.\n\n"
        "Bisher ist bekannt: ",
        "fr": "Nous recherchons toujours la cause du dysfonctionnement. Services touchés : {services}.\n\n"
        "Ce que nous savons à ce stade : ",
        "es": "Seguimos investigando la causa del fallo. Servicios afectados: {services}.\n\n"
        "Lo que sabemos hasta ahora: ",
    },
    (_UPDATE, "Identified"): {
        "en": "We have found the cause of the fault that affects {services} and are working on its repair.\n\n"
        "The cause: ",
        "de": "Die Ursache der Störung ist gefunden; wir arbeiten an der Behebung. Betroffene Dienste: {services}.\n\n"
        "Die Ursache: ",
        "fr": "La cause du dysfonctionnement est identifiée et nous travaillons à sa correction. Services touchés : "
        "{services}.\n\nLa cause : ",
        "es": "Hemos identificado la causa del fallo y trabajamos en su corrección. Servicios afectados: "
        "{services}.\n\nLa causa: ",
    },
    (_UPDATE, "Monitoring"): {
        "en": "The repair is in place and {services} should work again. We are watching it before we call the incident "
        "resolved.\n\nIf you still see errors, please reply to this message.",
        "de": "Die Behebung ist eingespielt; folgende Dienste sollten wieder verfügbar sein: {services}. Wir "
        "beobachten sie, bevor wir den Vorfall als behoben erklären.\n\nSollten Sie noch Fehler feststellen, antworten "
        "Sie bitte auf diese Nachricht.",
        "fr": "La correction est en place et les services suivants devraient fonctionner de nouveau : {services}. Nous "
        "les surveillons avant de déclarer l’incident résolu.\n\nSi vous constatez encore des erreurs, veuillez "
        "répondre à ce message.",
        "es": "La corrección ya está aplicada y los siguientes servicios deberían funcionar de nuevo: {services}. Los "
        "vigilamos antes de dar el incidente por resuelto.\n\nSi todavía observan errores, respondan a este mensaje.",
    },
    (_UPDATE, "Resolved"): {
        "en": "The incident was resolved on {resolved_at}. {services} work as usual.\n\nWe are sorry for the trouble "
        "that this has caused you.",
        "de": "Der Vorfall wurde am {resolved_at} behoben. Folgende Dienste arbeiten wieder wie gewohnt: {services}."
        "\n\nWir bitten Sie, die Unannehmlichkeiten zu entschuldigen.",
        "fr": "L’incident a été résolu le {resolved_at}. Les services suivants fonctionnent normalement : {services}."
        "\n\nNous vous prions de nous excuser pour la gêne occasionnée.",
        "es": "El incidente se resolvió el {resolved_at}. Los siguientes servicios funcionan con normalidad: "
        "{services}.\n\nLamentamos las molestias que esto les ha causado.",
    },
}

PRESETS = [
    MessagePreset(kind, name, language, text)
    for (kind, name), texts in _TEXTS.items()
    for language, text in texts.items()
]
