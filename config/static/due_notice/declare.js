/* The form that declares an incident: shows live what would follow, and fills in times by a button.

   What follows is worked out by the server, by the very rules that declare: the form is posted to `data-ahead-url`,
   which only reads, and each piece of its answer goes to the element that its `data-into` names. Without this module
   the button “Preview” shows the same. */

import { serverNow, tell } from "./countdown.js";

const WAIT = 350; // ms after the last key
const MINUTE = 60_000;

const form = document.querySelector("form.declare");
const field = (name) => form.elements.namedItem(name);
const failure = form.querySelector(".ahead-failed");
const follows = form.querySelector(".declare-ahead");
let timer;
let asked; // the question that is under way

// ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────

function put(piece) {
  const place = document.getElementById(piece.dataset.into);
  if (!place || place.innerHTML === piece.innerHTML) return;
  const opened = new Set([...place.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
  place.replaceChildren(...piece.childNodes);
  for (const summary of place.querySelectorAll("summary")) summary.parentElement.open = opened.has(summary.textContent);
}

async function look() {
  asked?.abort();
  const mine = (asked = new AbortController());
  follows.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.aheadUrl, {
      method: "POST", body: new FormData(form), signal: mine.signal, redirect: "error", credentials: "same-origin",
    });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const pieces = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    pieces.querySelectorAll("[data-into]").forEach(put);
    failure.hidden = true;
    tell();
  } catch (error) {
    if (error.name === "AbortError" || mine !== asked) return;
    failure.hidden = false;
  }
  follows.removeAttribute("aria-busy");
}

function lookSoon() {
  clearTimeout(timer);
  timer = setTimeout(look, WAIT);
}

// ── when it was detected ─────────────────────────────────────────────────────────────────────────────────────────

/** The wall clock of the reader's zone, as its input takes it. */
function wall(instant) {
  const parts = new Intl.DateTimeFormat("sv-SE", {
    timeZone: form.dataset.zone, dateStyle: "short", timeStyle: "medium", hourCycle: "h23",
  });
  return parts.format(instant).replace(" ", "T");
}

function setDetected(minutesAgo) {
  field("detected_at").value = wall(serverNow() - minutesAgo * MINUTE);
  field("detected_at").dispatchEvent(new Event("input", { bubbles: true }));
}

const minutesAgo = field("minutes_ago");
minutesAgo.addEventListener("input", () => {
  if (minutesAgo.value !== "" && minutesAgo.checkValidity()) setDetected(Number(minutesAgo.value));
});
minutesAgo.removeAttribute("name"); // the time that it counts back to stands beside it, and does not move on
for (const button of form.querySelectorAll("[data-minutes-ago]")) {
  button.addEventListener("click", () => {
    minutesAgo.value = "";
    setDetected(Number(button.dataset.minutesAgo));
  });
}
form.querySelector(".shortcuts").hidden = false;

// ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

const declare = form.querySelector("button.default");
const preview = form.querySelector("[name=preview]");
preview.hidden = true; // still what Enter in a line presses, and then it only looks
form.querySelector(".keys-hint").hidden = false;

form.addEventListener("submit", (event) => {
  if (event.submitter === preview) {
    event.preventDefault();
    look();
  } else if (form.hasAttribute("aria-busy")) {
    event.preventDefault(); // pressed twice; the server would not declare twice either
  } else {
    form.setAttribute("aria-busy", "true");
  }
});
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  form.requestSubmit(declare);
});
addEventListener("pageshow", (event) => {
  form.removeAttribute("aria-busy");
  if (event.persisted) look();
});
form.addEventListener("input", lookSoon);
form.addEventListener("change", lookSoon);
if (field("title").value || form.querySelector("input:checked")) lookSoon();
