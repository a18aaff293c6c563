/* Names while somebody types into an input with data-suggest: asked of the server, offered by the browser's own list. */
const PATIENCE = 200; // milliseconds after the last key

async function suggest(input) {
  const typed = input.value.trim();
  if (!typed) return;
  const answer = await fetch(`${input.dataset.suggest}&${new URLSearchParams({ term: typed })}`);
  if (!answer.ok || typed !== input.value.trim()) return; // not allowed, or overtaken
  const { results } = await answer.json();
  input.list.replaceChildren(...results.map(({ text }) => Object.assign(document.createElement("option"), { value: text })));
}

for (const input of document.querySelectorAll("input[data-suggest]")) {
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => suggest(input), PATIENCE);
  });
}
