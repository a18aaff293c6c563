/* Turns the present content of an element into new content, touching only what differs: what is focused, selected,
   opened, scrolled to or typed stays as it is. Elements with an id are recognised by it, others by their place. */

/** Make the children of `present` like those of `wanted`, an element of another document. */
export function morph(present, wanted) {
  const focused = document.activeElement;
  const focusedId = focused?.closest("[id]")?.id;
  children(present, wanted);
  if (!focused || focused === document.activeElement || focused === document.body) return;
  // A moved element loses its focus; one that is gone leaves it to what stands there now.
  const heir = focused.isConnected ? focused : document.getElementById(focusedId) ?? present.querySelector("[tabindex='-1']");
  heir?.focus({ preventScroll: true });
}

function children(present, wanted) {
  const ids = new Set([...wanted.children].map((child) => child.id).filter(Boolean));
  for (const child of [...present.children]) if (child.id && !ids.has(child.id)) child.remove();
  let place = present.firstChild;
  for (const next of wanted.childNodes) {
    const known = next.id ? [...present.children].find((child) => child.id === next.id) : null;
    const match = known ?? (place && alike(place, next) ? place : null);
    if (!match) {
      present.insertBefore(document.importNode(next, true), place);
    } else {
      if (match === place) place = place.nextSibling;
      else present.insertBefore(match, place);
      node(match, next);
    }
  }
  while (place) {
    const rest = place.nextSibling;
    place.remove();
    place = rest;
  }
}

function alike(present, wanted) {
  return present.nodeName === wanted.nodeName && !present.id && !wanted.id;
}

function node(present, wanted) {
  if (present.isEqualNode(wanted)) return;
  if (present.nodeType !== Node.ELEMENT_NODE) {
    present.nodeValue = wanted.nodeValue;
    return;
  }
  attributes(present, wanted);
  if (present instanceof HTMLTemplateElement) present.innerHTML = wanted.innerHTML;
  else if (!present.hasAttribute("data-countdown")) children(present, wanted); // its words are countdown.js's
}

function attributes(present, wanted) {
  for (const { name } of [...present.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") present.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (present.getAttribute(name) !== value) present.setAttribute(name, value);
  }
}
