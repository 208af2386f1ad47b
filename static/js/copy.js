// @ts-check
/** A button that copies a field's text; it is there only where the browser can. */

for (const place of document.querySelectorAll("[data-copy]")) {
  if (!(place instanceof HTMLElement) || !navigator.clipboard) continue;
  const field = document.getElementById(place.dataset.copy ?? "");
  const said = place.querySelector("[data-copied]");
  if (!(field instanceof HTMLInputElement) || !(said instanceof HTMLElement)) continue;
  place.hidden = false;
  place.querySelector("button")?.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = said.dataset.copied ?? "";
    } catch {
      field.select();
    }
  });
}

export {};
