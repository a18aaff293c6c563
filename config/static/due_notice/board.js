/* The board refreshes itself and stands on a wall screen.

   Every `data-refresh` seconds of #board, while the page is visible, its own address is fetched with the header
   X-Fragment; the answer holds the elements that live (by their id), and only what changed in them is replaced.
   Filters and everything else on the page are not touched. An answer without the header is not the board: the
   session has ended. */

import { agree, tell } from "./countdown.js";
import { morph } from "./morph.js";

const FRAGMENT = "X-Fragment";
const PATIENCE = 10_000; // ms for one answer

const board = document.getElementById("board");
const every = Number(board?.dataset.refresh) * 1000;
let timer;
let asked = 0; // how often it was asked; an answer to an older question is not told
let refreshedAt = performance.now();

function say(when) {
  for (const sentence of board.querySelectorAll("[data-when]")) sentence.hidden = sentence.dataset.when !== when;
}

function lost() {
  const since = board.querySelector("[data-since]");
  const asOf = document.querySelector("[data-as-of]");
  if (since.textContent !== asOf.textContent) since.textContent = asOf.textContent;
  say("lost");
}

function take(text, receivedAt) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const wanted of fresh.body.children) {
    const present = document.getElementById(wanted.id);
    if (present) morph(present, wanted);
  }
  agree(fresh.querySelector("[data-server-now]").dataset.serverNow, receivedAt);
  tell();
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  const mine = ++asked;
  try {
    const answer = await fetch(location.href, {
      headers: { [FRAGMENT]: "board" },
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
    const receivedAt = performance.now();
    const text = await answer.text();
    if (mine !== asked) return;
    if (answer.ok && !answer.headers.has(FRAGMENT)) {
      say("signed-out");
      return; // nothing will change by itself
    }
    if (!answer.ok) throw new Error(String(answer.status));
    take(text, receivedAt);
    refreshedAt = receivedAt;
    say("");
  } catch {
    if (mine !== asked) return;
    lost();
  }
  timer = setTimeout(refresh, every);
}

function seen() {
  if (document.hidden) clearTimeout(timer);
  else timer = setTimeout(refresh, Math.max(every - (performance.now() - refreshedAt), 0));
}

/* The element itself fills the screen, so there is nothing else on it; the screen is kept awake meanwhile. */
function offerFullScreen() {
  const button = document.getElementById("full-screen");
  if (!document.fullscreenEnabled) return;
  const enter = button.textContent;
  let awake;
  button.hidden = false;
  button.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : board.requestFullscreen()));
  document.addEventListener("fullscreenchange", async () => {
    const isFull = document.fullscreenElement === board;
    button.textContent = isFull ? button.dataset.leave : enter;
    await awake?.release();
    awake = isFull ? await navigator.wakeLock?.request("screen").catch(() => null) : null;
  });
}

if (board) {
  document.addEventListener("visibilitychange", seen);
  document.addEventListener("board:refresh", refresh); // for whoever does not want to wait
  timer = setTimeout(refresh, every);
  offerFullScreen();
}
