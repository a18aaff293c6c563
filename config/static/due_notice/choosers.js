// Django's choosers (select2) draw a box of their own beside the select. It says what is chosen, but not what that is:
// here it gets the select's label.

const name = (box) => {
  const [label] = box.previousElementSibling?.labels ?? [];
  if (!label || box.dataset.isNamed) return;
  box.dataset.isNamed = "yes";
  label.id ||= `${box.previousElementSibling.id}-label`;
  for (const part of box.querySelectorAll("[role=combobox], [role=textbox]")) {
    part.setAttribute("aria-labelledby", `${label.id} ${part.getAttribute("aria-labelledby") ?? ""}`.trim());
  }
};

const nameAll = () => document.querySelectorAll("select + .select2-container").forEach(name);

// They are drawn when the page is there, and again in each row that is added.
new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
nameAll();
