// @ts-check
/** /checkout, the details: says what a tax number of the chosen country looks like. */

const country = document.querySelector("select[name=country]");
const hint = document.getElementById("tax_id_value-hint");
const general = hint?.textContent ?? "";

function describe() {
  if (!(country instanceof HTMLSelectElement) || !hint) return;
  const words = country.selectedOptions[0]?.dataset.taxId;
  hint.textContent = words ? `${words}. ${general}` : general;
}

country?.addEventListener("change", describe);
window.addEventListener("pageshow", describe);

export {};
