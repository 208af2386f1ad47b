// @ts-check
/** What every page does with scripts: the choice of colours takes effect at once. */

const YEAR = 365 * 24 * 3600;

/** @type {HTMLFormElement | null} */
const form = document.querySelector("form[data-theme-switch]");

form?.addEventListener("submit", (event) => {
  const pressed = event.submitter;
  if (!(pressed instanceof HTMLButtonElement)) return;
  event.preventDefault();
  document.documentElement.dataset.theme = pressed.value;
  document.dispatchEvent(new CustomEvent("portal:theme"));
  document.cookie = `theme=${pressed.value}; path=/; max-age=${YEAR}; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  for (const button of form.querySelectorAll("button[name=theme]")) {
    button.setAttribute("aria-pressed", String(button === pressed));
  }
});

export {};
