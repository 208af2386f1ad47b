import { get, post } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { h, picture } from "./dom.js";
import { answer, tell } from "./line.js";
import { BRAND_NAMES } from "./link_form.js";

/** @typedef {{last4: string, brand: keyof typeof BRAND_NAMES, exp_month: number, exp_year: number, then: string}} Kept */

/** Whose wallet it is, here: what a device would know about its owner. */
const OWNER = {
  name: "Ada Example",
  email: "ada@example.com",
  phone: "+12015550123",
  address: {
    city: "San Francisco",
    country: "US",
    line1: "510 Townsend St",
    line2: null,
    postal_code: "94103",
    state: "CA",
  },
};

const root = /** @type {HTMLElement} */ (document.getElementById("element"));
/** @type {Record<string, any>} */
let setup = {};

/** @param {number} amount */
function money(amount) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency: setup.elements.currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/**
 * What the page asked for and no more, as real Stripe.js gives it with the `confirm` event.
 * @param {Record<string, any>} options
 */
function billingDetails({ billingAddressRequired = true, emailRequired, phoneNumberRequired }) {
  const { name, email, phone, address } = OWNER;
  const { country, postal_code } = address;
  return {
    name,
    email: emailRequired ? email : undefined,
    phone: phoneNumberRequired ? phone : undefined,
    address: billingAddressRequired
      ? address
      : { city: "", country, line1: "", line2: null, postal_code, state: "" },
  };
}

/**
 * One of the wallet's cards to choose.
 * @param {Kept} card
 * @param {number} index
 */
function choice(card, index) {
  const expiry = `${String(card.exp_month).padStart(2, "0")} / ${String(card.exp_year).slice(2)}`;
  return h(
    "label",
    { class: "SavedCard SavedCard--choice" },
    h("input", {
      type: "radio",
      class: "RadioIcon",
      name: "card",
      value: card.last4,
      checked: index === 0,
    }),
    picture(card.brand),
    h("span", {}, `${BRAND_NAMES[card.brand] ?? card.brand} •••• ${card.last4}`),
    h("span", { class: "Hint" }, `expires ${expiry}, ${card.then}`),
  );
}

/** The lines that the page gave, and the sum. */
function lines() {
  const { amount, mode } = setup.elements;
  const items = /** @type {{name: string, amount: number}[]} */ (setup.options.lineItems ?? []);
  const business = setup.options.business?.name ?? setup.business;
  const total = amount && mode !== "setup" ? money(amount) : "Nothing is charged now";
  return h(
    "dl",
    { class: "SheetLines" },
    ...items.flatMap((item) => [h("dt", {}, item.name), h("dd", {}, money(item.amount))]),
    h("dt", { class: "SheetTotal" }, `Pay ${business}`),
    h("dd", { class: "SheetTotal" }, total),
  );
}

/** @param {Kept[]} cards */
function sheet(cards) {
  const { name, wallet, session } = setup;
  const details = billingDetails(setup.options);
  const message = h("p", { class: "Error", role: "alert" });
  const pay = async () => {
    const chosen = root.querySelector("input[name=card]:checked");
    const last4 = chosen instanceof HTMLInputElement ? chosen.value : "";
    const said = await post("/elements/wallets/authorize", {
      session,
      wallet,
      last4,
      billing_details: details,
    });
    if (said.error) {
      message.textContent = said.error.message;
    } else {
      tell("done", { billingDetails: details });
    }
  };
  const button = h("button", { class: "Button Button--wallet" }, `Pay with ${name}`);
  const form = h(
    "form",
    {
      class: "Fields",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void pay();
      },
    },
    h(
      "fieldset",
      { class: "SheetCards" },
      h("legend", { class: "Label" }, "Card"),
      ...cards.map(choice),
    ),
    h("p", { class: "Hint" }, [OWNER.name, details.address.line1, details.address.postal_code].filter(Boolean).join(", ")),
    lines(),
    message,
    button,
  );
  root.replaceChildren(
    h(
      "div",
      { class: "Backdrop Backdrop--sheet" },
      h(
        "main",
        { class: "Dialog Dialog--sheet" },
        h(
          "button",
          { type: "button", class: "CloseButton", "aria-label": "Close", onclick: () => tell("dismiss") },
          "×",
        ),
        h("h1", { class: "DialogTitle" }, name),
        h("p", { class: "SandboxTag" }, "Sandbox – no real money"),
        form,
      ),
    ),
  );
  button.focus();
}

/** @param {Record<string, any>} given */
async function init(given) {
  setup = given;
  applyAppearance(given.appearance);
  const [config, kept] = await Promise.all([
    get("/elements/config", { currency: given.elements.currency, key: given.key }),
    get("/elements/wallets/cards", {}),
  ]);
  setup.business = config.business ?? "";
  sheet(kept.cards ?? []);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    tell("dismiss");
  }
});
answer({ init, escape: () => tell("dismiss") });
