/* A long list of checkboxes that is found by typing. Without this module it stays the list that it is.

     <fieldset data-typeahead>
       <div class="typeahead-tools" hidden>
         <ul class="chips" data-remove="Remove %(name)s"></ul>
         <input type="search"> <p role="status" data-one="…" data-many="…" data-none="…"></p>
       </div>
       <div class="typeahead-list"><label><input type="checkbox"> name</label> …</div>
     </fieldset>

   In the box: typing leaves the boxes that match, Enter ticks the first of them, the arrow down leads into the list,
   Escape empties the box. In the list: arrows, Home and End move, Space ticks, typing goes on in the box. The list is
   one stop of the Tab key. What is ticked stands above as chips, each a button that takes it out again. */

const bare = (text) => text.trim().normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
const say = (pattern, values) => pattern.replace(/%\((\w+)\)s/g, (_match, name) => values[name]);

function typeahead(field) {
  const tools = field.querySelector(".typeahead-tools");
  const [search, chips, status] = ["input[type=search]", ".chips", "[role=status]"].map((what) => tools.querySelector(what));
  const options = [...field.querySelectorAll(".typeahead-list label")].map((label) => {
    const box = label.querySelector("input");
    return { label, box, name: label.textContent.trim(), key: bare(label.textContent) };
  });
  if (!options.length) return;
  const shown = () => options.filter(({ label }) => !label.hidden);

  function filter() {
    const words = bare(search.value).split(/\s+/).filter(Boolean);
    for (const { label, key } of options) label.hidden = !words.every((word) => key.includes(word));
    const found = shown();
    for (const { label, box } of options) {
      const isFirst = label === found[0]?.label;
      box.tabIndex = isFirst ? 0 : -1;
      label.classList.toggle("is-first", isFirst && words.length > 0);
    }
    const pattern = { 0: "none", 1: "one" }[found.length] ?? "many";
    status.textContent = words.length ? say(status.dataset[pattern], { count: found.length, first: found[0]?.name }) : "";
  }

  function drawChips() {
    chips.replaceChildren(...options.filter(({ box }) => box.checked).map(({ box, name }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-label", say(chips.dataset.remove, { name }));
      button.addEventListener("click", () => {
        tick(box, false);
        (chips.querySelector("button") ?? search).focus();
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  }

  function tick(box, isTicked) {
    box.checked = isTicked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }

  search.addEventListener("input", filter);
  search.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const first = search.value.trim() && shown()[0];
      if (!first) return;
      tick(first.box, true);
      search.value = "";
      filter();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      shown()[0]?.box.focus();
    } else if (event.key === "Escape" && search.value) {
      event.preventDefault();
      search.value = "";
      filter();
    }
  });
  field.querySelector(".typeahead-list").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const boxes = shown().map(({ box }) => box);
    const at = boxes.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: boxes.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      (boxes[Math.min(to, boxes.length - 1)] ?? search).focus(); // before the first is the box
    } else if (event.key.length === 1 && event.key !== " ") {
      search.focus(); // the letter goes there
    }
  });
  field.addEventListener("change", (event) => {
    if (event.target.type === "checkbox") drawChips();
  });
  addEventListener("pageshow", drawChips); // a page that comes back brings its ticks along

  tools.hidden = false;
  field.classList.add("has-tools");
  filter();
  drawChips();
  if ("focus" in field.dataset) search.focus();
}

document.querySelectorAll("[data-typeahead]").forEach(typeahead);
