import { applyAppearance } from "./appearance.js";
import { checkPostalCode, needsPostalCode } from "./card_rules.js";
import { countryOptions, likelyCountry } from "./countries.js";
import { h } from "./dom.js";
import { Field, report } from "./field.js";
import { answer, tell } from "./line.js";
import { checkPhone } from "./link_signup.js";
import { problem } from "./words.js";

/** @typedef {import('./words.js').Code} Code */

/** Countries in which an address is not complete without its state. */
const WITH_STATES = new Set(["US", "CA", "AU", "IN", "BR", "MX"]);
const root = /** @type {HTMLElement} */ (document.getElementById("element"));
/** @type {Record<string, any>} */
let options = {};
/** @type {import('@stripe/stripe-js').AddressMode} */
let section = "billing";

/** @param {Code} code */
const filled = (code) => (/** @type {string} */ value) => (value ? null : code);
const optional = () => null;

const name = new Field(
  "Full name",
  filled("incomplete_name"),
  { name: "name", autocomplete: "name" },
  { changed },
);
const country = new Field(
  "Country or region",
  filled("incomplete_country"),
  { name: "country", autocomplete: "country", choices: true },
  { changed: countryChanged },
);
const line1 = new Field(
  "Address line 1",
  filled("incomplete_line1"),
  { name: "line1", autocomplete: "address-line1" },
  { changed },
);
const line2 = new Field(
  "Address line 2",
  optional,
  { name: "line2", autocomplete: "address-line2", required: false },
  { changed },
);
const city = new Field(
  "City",
  filled("incomplete_city"),
  { name: "city", autocomplete: "address-level2" },
  { changed },
);
const state = new Field(
  "State or province",
  (value) => (value || !WITH_STATES.has(country.value) ? null : "incomplete_state"),
  { name: "state", autocomplete: "address-level1" },
  { changed },
);
const postalCode = new Field(
  "Postal code",
  (value) => (needsPostalCode(country.value) ? checkPostalCode(value, country.value) : null),
  { name: "postalCode", autocomplete: "postal-code" },
  { changed },
);
const phone = new Field(
  "Phone number",
  (value) => (options.validation?.phone?.required === "always" ? checkPhone(value) : null),
  { name: "phone", type: "tel", autocomplete: "tel", required: false },
  { changed },
);
const fields = [name, country, line1, line2, city, state, postalCode, phone];

function value() {
  return {
    name: name.value,
    address: {
      line1: line1.value,
      line2: line2.value || null,
      city: city.value,
      state: state.value,
      postal_code: postalCode.value,
      country: country.value,
    },
    ...(options.fields?.phone === "always" ? { phone: phone.value } : {}),
  };
}

/** @returns {Omit<import('@stripe/stripe-js').StripeAddressElementChangeEvent, 'elementType'>} */
function summary() {
  return {
    elementMode: section,
    empty: [name, line1, city, postalCode].every((field) => !field.value),
    complete: fields.every((field) => !field.problem),
    isNewAddress: true,
    value: value(),
  };
}

function changed() {
  tell("change", summary());
}

function countryChanged() {
  follow();
  changed();
}

/** Labels and what has to be filled in follow the country. */
function follow() {
  const american = country.value === "US";
  postalCode.label.textContent = american ? "ZIP code" : "Postal code";
  postalCode.input.toggleAttribute("required", needsPostalCode(country.value));
  state.label.textContent = WITH_STATES.has(country.value)
    ? "State or province"
    : "State or region (optional)";
  state.input.toggleAttribute("required", WITH_STATES.has(country.value));
}

function draw() {
  follow();
  const organization = options.display?.name === "organization";
  name.label.textContent = organization ? "Company name" : "Full name";
  name.input.setAttribute("autocomplete", `${section} ${organization ? "organization" : "name"}`);
  for (const field of [country, line1, line2, city, state, postalCode]) {
    const part = String(field.input.getAttribute("autocomplete")).split(" ").at(-1);
    field.input.setAttribute("autocomplete", `${section} ${part}`);
  }
  root.replaceChildren(
    h(
      "div",
      { class: "Fields" },
      name.element,
      country.element,
      line1.element,
      line2.element,
      h("div", { class: "Row" }, city.element, state.element),
      postalCode.element,
      options.fields?.phone === "always" ? phone.element : null,
    ),
  );
}

/** @param {Record<string, any>} setup */
function init(setup) {
  options = setup.options;
  section = options.mode;
  applyAppearance(setup.elements.appearance);
  country.input.append(...countryOptions(options.allowedCountries));
  prefill(options.defaultValues ?? {});
  draw();
  tell("ready");
  if (options.defaultValues) {
    changed();
  }
}

/** @param {Record<string, any>} given */
function prefill(given) {
  const address = given.address ?? {};
  name.value = given.name ?? "";
  country.value = address.country ?? (options.allowedCountries?.[0] || likelyCountry());
  line1.value = address.line1 ?? "";
  line2.value = address.line2 ?? "";
  city.value = address.city ?? "";
  state.value = address.state ?? "";
  postalCode.value = address.postal_code ?? "";
  phone.value = given.phone ?? "";
}

answer({
  init,
  elements: (elements) => applyAppearance(elements.appearance),
  update: (given) => {
    options = { ...options, ...given };
    if (given.defaultValues) {
      prefill(given.defaultValues);
      changed();
    }
    draw();
  },
  submit: () => {
    const code = report(fields);
    return code ? { error: problem(code) } : {};
  },
  getValue: () => {
    report(fields);
    const { complete, isNewAddress, value: present } = summary();
    return { complete, isNewAddress, value: present };
  },
  focus: () => name.focus(),
  blur: () => document.activeElement instanceof HTMLElement && document.activeElement.blur(),
  clear: () => {
    prefill({});
    changed();
  },
});
