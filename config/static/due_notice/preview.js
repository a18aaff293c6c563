// With each text in Markdown, how it will be read: asked of the server, which makes HTML that can do no harm. While it
// is shown it follows what is typed.

const PAUSE = 600; // milliseconds without a key

const { previewUrl } = document.getElementById("writing").dataset;
const parts = document.getElementById("preview-parts").content;

const token = () => document.querySelector("input[name=csrfmiddlewaretoken]").value;

const isWanted = (preview) => preview.querySelector("button").getAttribute("aria-expanded") === "true";

async function show(box, preview) {
  const [status, prose] = preview.querySelectorAll("div");
  try {
    const answer = await fetch(previewUrl, {
      method: "POST",
      body: new URLSearchParams({ text: box.value, csrfmiddlewaretoken: token() }),
      redirect: "error",
    });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    prose.innerHTML = await answer.text();
    prose.hidden = !isWanted(preview);
    status.className = "visually-hidden";
    if (status.textContent !== status.dataset.shown) status.textContent = status.dataset.shown;
  } catch {
    prose.hidden = true;
    status.className = "refused";
    status.textContent = status.dataset.failed;
  }
}

function hide(preview) {
  const [status, prose] = preview.querySelectorAll("div");
  prose.hidden = true;
  status.className = "visually-hidden";
  status.textContent = "";
}

function offer(box) {
  if (box.name.includes("__prefix__") || box.dataset.offered) return;
  box.dataset.offered = "yes";
  box.after(parts.cloneNode(true));
  const preview = box.nextElementSibling;
  const label = box.labels[0]?.textContent.trim() ?? "";
  const button = preview.querySelector("button");
  button.setAttribute("aria-label", `${button.textContent}: ${label}`);
  button.addEventListener("click", () => {
    const wanted = !isWanted(preview);
    button.setAttribute("aria-expanded", wanted);
    if (wanted) show(box, preview);
    else hide(preview);
  });
  let waiting;
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    if (isWanted(preview)) waiting = setTimeout(() => isWanted(preview) && show(box, preview), PAUSE);
  });
}

const offerAll = () => document.querySelectorAll("textarea[data-markdown]").forEach(offer);

offerAll();
document.addEventListener("formset:added", offerAll);
