// @ts-check
/**
 * /usage: asks for the page's own numbers again while it is looked at, and puts them in. Without it the page is as
 * true as the moment at which it was loaded.
 */

const EVERY = 10_000;

/** @param {Document} answer */
function show(answer) {
  /** @type {NodeListOf<HTMLElement>} */
  const parts = document.querySelectorAll("[data-live]");
  for (const part of parts) {
    const fresh = answer.getElementById(part.id);
    if (!fresh || fresh.innerHTML === part.dataset.shown) continue;
    // whoever has gone to something in it keeps their place
    if (part.contains(document.activeElement) || part.querySelector(":hover a:hover")) continue;
    const shown = fresh.innerHTML;
    for (const open of part.querySelectorAll("details[open][data-name]")) {
      fresh.querySelector(`details[data-name="${open.getAttribute("data-name")}"]`)?.setAttribute("open", "");
    }
    part.replaceChildren(...fresh.childNodes);
    part.dataset.shown = shown;
  }
}

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.ok && !response.redirected) {
        show(new DOMParser().parseFromString(await response.text(), "text/html"));
      }
    } catch {
      // a lost connection comes back; the next look tells
    }
  }
  window.setTimeout(() => void look(), EVERY);
}

window.setTimeout(() => void look(), EVERY);

export {};
