/* One key instead of many steps: "/" searches, "d" declares, "b" is the board, "?" shows the keys.

   The keys and where they lead are written in the page, in `dialog#keys` (admin/keys.html). They are silent while
   somebody types in a field, with Ctrl, Alt or Meta, while a dialog is open, and those that leave the page once
   something was typed into a form. Whoever dictates or is bothered turns them off in that dialog; this browser
   remembers it. The dialog opens by its button too. */

const OFF = "due-notice-keys-off";
const dialog = document.getElementById("keys");
const opener = document.getElementById("keys-button");
let hasTyped = false;

const isOff = () => {
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false; // a browser that keeps nothing
  }
};

function remember(off) {
  try {
    if (off) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {
    // then it holds for as long as the page is open
  }
}

const isField = (element) => element.isContentEditable || element.matches("input, textarea, select, option");

function search() {
  const box = document.getElementById("search-everywhere") ?? document.getElementById("searchbar");
  if (!box) return false;
  box.focus();
  box.select();
  return true;
}

function press(key) {
  if (key === "?") dialog.showModal();
  else if (key === "/") return search();
  else {
    const link = hasTyped ? null : dialog.querySelector(`a[data-key="${CSS.escape(key)}"]`);
    if (!link) return false;
    location.assign(link.href);
  }
  return true;
}

if (dialog) {
  const active = dialog.querySelector("input[type=checkbox]");
  active.checked = !isOff();
  active.addEventListener("change", () => remember(!active.checked));
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  document.addEventListener("input", (event) => {
    if (event.target.form?.method === "post" && !dialog.contains(event.target)) hasTyped = true;
  });
  document.addEventListener("keydown", (event) => {
    if (!active.checked || event.defaultPrevented || event.repeat || event.isComposing) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]") || (event.target instanceof Element && isField(event.target))) return;
    if (press(event.key.toLowerCase())) event.preventDefault();
  });
}
