// Fetches the page again every few seconds and shows what has arrived, without moving the reader's place.
"use strict";

const EVERY = 3000; // ms

async function refresh() {
  const shown = document.querySelector("[data-refreshes]");
  if (document.hidden || shown.contains(document.activeElement)) return; // nobody looks, or somebody is in the list
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-refreshes]");
  if (fresh && fresh.innerHTML !== shown.innerHTML) shown.replaceWith(fresh);
}

setInterval(() => refresh().catch(() => {}), EVERY); // while the server is away the list stays as it is
