// Text that is typed and not saved is kept in this browser, for this person and this page, so that a lost session or a
// crash loses none of it. It is offered, never put back by itself, and says where the server has newer words. It goes
// when it has been saved, when it is thrown away, when its person signs out (shell.js), and after a week.

const WEEK = 7 * 24 * 60 * 60 * 1000;

const form = document.getElementById("writing").closest("form");
const key = `due-notice:draft:${document.getElementById("writing").dataset.person}:${location.pathname}`;
const isRefused = document.querySelector(".errornote") !== null;
const wasSaved = !isRefused && document.querySelector(".messagelist .success") !== null;

const plain = (text) => text.replaceAll("\r\n", "\n").trim();

/** A row of a table by its own key, as its place changes. */
function nameOf(box) {
  const [, prefix, place, field] = box.name.match(/^(.+)-(\d+)-(.+)$/) ?? [];
  if (!prefix) return box.name;
  const row = form.elements[`${prefix}-${place}-id`]?.value;
  return row ? `${prefix}:${row}:${field}` : `${prefix}:new${place}:${field}`;
}

const isText = (part) => part.matches("textarea, input[type=text], input[type=url]") && !part.name.includes("__prefix__")
  && part.name !== "";
const boxes = () => new Map([...form.elements].filter(isText).map((box) => [nameOf(box), box]));
const labelOf = (box) => box.labels?.[0]?.textContent.trim() ?? "";

function read() {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? { at: Date.now(), texts: {} };
  } catch {
    return { at: Date.now(), texts: {} };
  }
}

function write(kept) {
  try {
    if (Object.keys(kept.texts).length) localStorage.setItem(key, JSON.stringify(kept));
    else localStorage.removeItem(key);
    return true;
  } catch {
    return false; // a browser that keeps nothing, or is full: the page works as if this module were not there
  }
}

let kept = read();

function keep(box) {
  const name = nameOf(box);
  if (plain(box.value) === plain(box.defaultValue) && !isRefused) delete kept.texts[name];
  else kept.texts[name] = { value: box.value, was: kept.texts[name]?.was ?? box.defaultValue, label: labelOf(box) };
  kept.at = Date.now();
  say(write(kept));
}

/** Beside the button that saves: whether anything is not saved, and where it is meanwhile. */
function say(isKept) {
  const status = form.querySelector(".kept-status");
  const said = Object.keys(kept.texts).length ? status.dataset[isKept ? "kept" : "lost"] : "";
  if (status.textContent !== said) status.textContent = said;
}

/** What the server has by now, what went out with the form that was saved, and what is too old. */
function forget() {
  const shown = boxes();
  for (const [name, text] of Object.entries(kept.texts)) {
    const isThere = shown.has(name) && plain(shown.get(name).defaultValue) === plain(text.value);
    if (isThere || (wasSaved && text.isSent) || Date.now() - kept.at > WEEK) delete kept.texts[name];
    else delete text.isSent;
  }
  write(kept);
}

function offer() {
  const shown = boxes();
  const part = document.getElementById("kept-parts").content.cloneNode(true).firstElementChild;
  const words = part.querySelector("[data-newer]").dataset;
  let hasNewer = false;
  for (const [name, text] of Object.entries(kept.texts)) {
    const box = shown.get(name);
    const isNewer = box && plain(box.defaultValue) !== plain(text.was);
    hasNewer ||= isNewer;
    const term = document.createElement("dt");
    term.textContent = text.label + (isNewer ? ` (${words.newer})` : box ? "" : ` (${words.nowhere})`);
    const said = document.createElement("dd");
    said.textContent = text.value;
    part.querySelector("dl").append(term, said);
  }
  part.querySelector(".kept-newer").hidden = !hasNewer;
  part.querySelector("details").open = hasNewer;
  part.addEventListener("click", ({ target }) => {
    const act = target.dataset.kept;
    if (!act) return;
    if (act === "back") putBack();
    else write((kept = { at: Date.now(), texts: {} }));
    part.remove();
  });
  form.before(part);
}

function putBack() {
  const shown = boxes();
  for (const [name, text] of Object.entries(kept.texts)) {
    const box = shown.get(name);
    if (!box) continue;
    box.value = text.value;
    text.was = box.defaultValue;
  }
  write(kept);
  shown.get(Object.keys(kept.texts)[0])?.focus();
}

if (!isRefused) {
  forget();
  if (Object.keys(kept.texts).length) offer();
}
form.querySelector(".submit-row").append(document.getElementById("kept-status-parts").content.cloneNode(true));
form.addEventListener("input", ({ target }) => {
  if (isText(target)) keep(target);
});
form.addEventListener("submit", () => {
  for (const box of boxes().values()) if (plain(box.value) !== plain(box.defaultValue)) keep(box);
  for (const [name, text] of Object.entries(kept.texts)) {
    const box = boxes().get(name);
    if (box && plain(box.value) === plain(text.value)) text.isSent = true;
  }
  write(kept);
});
