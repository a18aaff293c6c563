// The navigation of a wide screen, open or closed as this person left it. The server reads the cookie, so that the next
// page comes as it should be instead of moving once it is there.

const YEAR = 365 * 24 * 60 * 60;

const toggle = document.querySelector(".nav-collapse");

toggle?.addEventListener("click", () => {
  const isClosed = document.body.classList.toggle("nav-closed");
  toggle.setAttribute("aria-expanded", String(!isClosed));
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `due_notice_nav=${isClosed ? "closed" : "open"}; path=/; max-age=${YEAR}; samesite=lax${secure}`;
});

// What was typed and kept in this browser (draft.js) goes with its person.
document.getElementById("logout-form")?.addEventListener("submit", () => {
  for (const key of Object.keys(localStorage)) if (key.startsWith("due-notice:draft:")) localStorage.removeItem(key);
});
