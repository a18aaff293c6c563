/* Live countdowns that agree with the server's clock, whatever the clock of this machine says.

   Load it as a module on any page that holds, as the server wrote them:

     {% load times %}{% server_clock %}      once: the server's instant and its words for spans of time
     {{ row.countdown }}                     <time data-countdown datetime="…" data-left="%(span)s left"
                                               data-over="overdue by %(span)s">3 h 48 min left</time>
     {{ row.standing_badge }}                <span data-standing="running" data-at-risk-at="…" data-due-at="…">BADGE
                                               <template data-standing="at_risk">BADGE</template>
                                               <template data-standing="missed">BADGE</template></span>

   Every second, while the page is visible, the text of each countdown is said anew in the words of config/times.py
   (`data-left` until the instant, `data-over` after it), and a standing whose instant has come takes the badge of
   its template and the name in `data-standing`, so that styles can follow it. An empty `data-at-risk-at` is never.
   Nothing is announced: `role="timer"` is not read out by itself. Without this module all is as of page load. */

const clock = document.querySelector("[data-server-now]");
const words = clock ? JSON.parse(clock.dataset.words) : {};
const ASK_AGAIN_AFTER = 15_000; // ms between two questions to a server that does not answer
const JUMP = 2_000; // ms by which this machine's two clocks may drift apart from one tick to the next

let offset = 0; // of the server's clock from performance.now(), which no change of this machine's clock moves
let lead = 0; // of this machine's clock from performance.now(), by which a sleep or a change of it is noticed
let mayAsk = true;
let timer;

/** The server's present instant, in milliseconds since 1970. */
export const serverNow = () => performance.now() + offset;

/** Take the server's instant, in milliseconds or as it is written, from an answer whose first byte came at `receivedAt` of performance.now(). */
export function agree(instant, receivedAt) {
  offset = new Date(instant).getTime() - receivedAt;
  lead = Date.now() - performance.now();
}

/** A span in milliseconds as the server says it; `minutes` is "minutes", or "exact" for those with seconds. */
export function span(milliseconds, minutes = "minutes") {
  const total = Math.max(Math.floor(milliseconds / 1000), 0);
  const parts = {
    days: Math.floor(total / 86_400),
    hours: Math.floor(total / 3_600) % 24,
    minutes: Math.floor(total / 60) % 60,
    seconds: total % 60,
  };
  const unit = parts.days ? "days" : parts.hours ? "hours" : parts.minutes ? minutes : "seconds";
  return words[unit].replace(/%\((\w+)\)(?:0(\d))?d/g, (_match, name, width) => String(parts[name]).padStart(width ?? 1, "0"));
}

function count(element, now) {
  const left = Date.parse(element.dateTime) - now;
  const pattern = left >= 0 ? element.dataset.left : element.dataset.over;
  const said = pattern.replace("%(span)s", span(Math.abs(left), left >= 0 ? "exact" : "minutes"));
  if (element.textContent !== said) element.textContent = said;
}

function turn(holder, now) {
  const { standing, atRiskAt, dueAt } = holder.dataset;
  const became = Date.parse(dueAt) < now ? "missed" : Date.parse(atRiskAt) <= now ? "at_risk" : standing;
  const badge = became === standing ? null : holder.querySelector(`template[data-standing="${became}"]`);
  if (!badge) return;
  holder.firstElementChild.replaceWith(badge.content.cloneNode(true));
  holder.dataset.standing = became;
}

/** Say everything as it is at this instant. */
export function tell() {
  const now = serverNow();
  for (const element of document.querySelectorAll("time[data-countdown]")) count(element, now);
  for (const holder of document.querySelectorAll("span[data-standing][data-due-at]")) turn(holder, now);
}

/* performance.now() stands still on some machines while they sleep. A sleep, like a change of the machine's clock,
   shows as a jump between the two; then the server is asked what time it is, by the date of its cheapest answer. */
async function askAgain() {
  mayAsk = false;
  try {
    const answer = await fetch("/healthz/live", { cache: "no-store" });
    const date = Date.parse(answer.headers.get("Date"));
    if (!Number.isNaN(date)) agree(date + 500, performance.now()); // it is cut to the second
  } catch {
    // not reachable: asked again at a later tick
  } finally {
    setTimeout(() => { mayAsk = true; }, ASK_AGAIN_AFTER);
  }
}

function tick() {
  clearTimeout(timer);
  if (document.hidden) return;
  if (mayAsk && Math.abs(Date.now() - performance.now() - lead) > JUMP) askAgain();
  tell();
  timer = setTimeout(tick, 1000 - (serverNow() % 1000));
}

if (clock) {
  agree(clock.dataset.serverNow, performance.getEntriesByType("navigation")[0]?.responseStart ?? performance.now());
  document.addEventListener("visibilitychange", tick);
  tick();
}
