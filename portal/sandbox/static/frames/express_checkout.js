import { get } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { h, picture } from "./dom.js";
import { answer, tell } from "./line.js";
import { offered, verb, WALLETS } from "./wallets.js";

/** @typedef {import('./wallets.js').Wallet} Wallet */

const LOWEST = 40;
const HIGHEST = 55;
const USUAL_HEIGHT = 44;

const root = /** @type {HTMLElement} */ (document.getElementById("element"));
const message = h("p", { class: "Error", role: "alert" });
const buttons = h("div", { class: "WalletButtons" });
/** @type {Record<string, any>} */
let options = {};
/** The button that was pressed last: it has the focus again when a payment failed. @type {HTMLElement} */
let pressed = buttons;

/** @param {Wallet} wallet */
function button(wallet) {
  const { type, name } = WALLETS[wallet];
  const words = verb(wallet, options);
  const theme = options.buttonTheme?.[wallet] ?? "black";
  const mark =
    wallet === "link" ? picture("link_wordmark", "WalletMark") : h("span", { class: "WalletName" }, name);
  const made = h(
    "button",
    {
      type: "button",
      class: `WalletButton WalletButton--${wallet} WalletButton--${theme}`,
      "aria-label": words ? `${words} ${name}` : name,
      onclick: () => {
        message.textContent = "";
        pressed = made;
        tell("pressed", { expressPaymentType: type });
      },
    },
    words && h("span", {}, words),
    mark,
  );
  made.style.height = `${Math.min(Math.max(options.buttonHeight ?? USUAL_HEIGHT, LOWEST), HIGHEST)}px`;
  return made;
}

/** @type {Wallet[]} */
let shown = [];

function draw() {
  buttons.replaceChildren(...shown.map(button));
  pressed = /** @type {HTMLElement} */ (buttons.firstElementChild ?? buttons);
  root.replaceChildren(...(shown.length ? [buttons, message] : []));
}

/** @param {Record<string, any>} setup */
async function init(setup) {
  applyAppearance(setup.elements.appearance);
  const { elements, key } = setup;
  options = setup.options;
  const config = await get("/elements/config", {
    currency: elements.currency,
    mode: elements.mode,
    client_secret: elements.clientSecret,
    key,
  });
  shown = config.error ? [] : offered(elements, options, config.payment_method_types);
  draw();
  const available = {
    amazonPay: false,
    applePay: shown.includes("applePay"),
    googlePay: shown.includes("googlePay"),
    link: shown.includes("link"),
    paypal: false,
    klarna: false,
  };
  /** @type {Omit<import('@stripe/stripe-js').StripeExpressCheckoutElementReadyEvent, 'elementType'>} */
  const ready = { availablePaymentMethods: shown.length ? available : undefined };
  tell("ready", ready);
  const changed = Object.fromEntries(shown.map((wallet) => [wallet, { available: true }]));
  tell("availablepaymentmethodschange", { paymentMethods: shown.length ? changed : undefined });
}

answer({
  init,
  elements: (elements) => applyAppearance(elements.appearance),
  update: (changed) => {
    options = { ...options, ...changed };
    draw();
  },
  failed: ({ message: text }) => {
    message.textContent = text ?? "Your payment was not successful. Choose another way to pay.";
    pressed.focus();
  },
  focus: () => pressed.focus(),
  blur: () => pressed.blur(),
  clear: () => undefined,
});
