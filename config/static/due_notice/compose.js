/* Writing to clients: the text that is started from lands in the box at once, and the preview follows what is typed.

   Everything is done by the page's own buttons, which work without this module; here they are pressed in time, and
   the answer's preview takes the place of the one that is shown. */

const form = document.querySelector("form.compose");
const box = form.elements.message;
const choice = form.elements.template;
const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");
const WAIT = 600; // ms after the last key before the preview is asked for

let timer;
let asking;

function preview() {
  return document.getElementById("preview");
}

/** In place of another template's text; below anything that somebody has typed. As the server does it. */
function startFrom(text) {
  const typed = box.value.trim();
  const isOurs = Object.values(texts).some((other) => other.replaceAll("\r\n", "\n").trim() === typed);
  box.value = !typed || isOurs ? text : `${box.value.trimEnd()}\n\n${text}`;
  box.focus();
}

/** A frame of its own for each document, so that the browser's way back is not littered with previews. */
function showMail() {
  const button = preview().querySelector("button[data-frame]");
  if (!button) return;
  const frame = preview().querySelector("iframe");
  const fresh = frame.cloneNode();
  frame.replaceWith(fresh);
  button.hidden = true;
  form.requestSubmit(button);
}

function say(words) {
  preview().querySelector("[role=status]").textContent = words;
}

async function refresh(client) {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const sent = new FormData(form);
  const open = preview().querySelector("details")?.open;
  sent.append("preview", client ?? form.elements.shown?.value ?? "");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(sent), signal: asking.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("preview");
    if (!answer.ok || !fresh) throw new Error(`answered ${answer.status}`);
    const focused = preview().contains(document.activeElement) ? document.activeElement.value : null;
    preview().replaceWith(document.adoptNode(fresh));
    document.getElementById("who-will-be-mailed").textContent = page.getElementById("who-will-be-mailed").textContent;
    const details = preview().querySelector("details");
    if (details) details.open = open ?? false;
    if (focused !== null) preview().querySelector(`button[name=preview][value="${CSS.escape(focused)}"]`)?.focus();
    showMail();
    say(preview().querySelector(".refused")?.textContent ?? "");
  } catch (error) {
    if (error.name !== "AbortError") say(preview().dataset.failed);
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, WAIT);
}

form.addEventListener("input", (event) => {
  if (event.target === box) soon();
});

form.addEventListener("change", (event) => {
  if (event.target === choice && texts[choice.value]) startFrom(texts[choice.value]);
  if (event.target !== box) refresh();
});

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=preview]:not([data-frame])");
  if (!button) return;
  event.preventDefault();
  refresh(button.value);
});

form.querySelector("button[name=use]")?.setAttribute("hidden", "");
preview().querySelector("details")?.removeAttribute("open"); // the frame shows the mail
// What was typed before this ran, or what the browser has put back, is not in the preview yet.
if (box.value !== box.defaultValue) refresh();
else showMail();
