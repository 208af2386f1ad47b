import { get } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { h, picture } from "./dom.js";
import { answer, tell } from "./line.js";

const root = /** @type {HTMLElement} */ (document.getElementById("element"));
const message = h("p", { class: "Error", role: "alert" });
const button = h(
  "button",
  {
    type: "button",
    class: "WalletButton",
    "aria-label": "Pay with Link",
    onclick: () => {
      message.textContent = "";
      tell("pressed", { expressPaymentType: "link" });
    },
  },
  h("span", {}, "Pay with"),
  picture("link_wordmark", "WalletMark"),
);

/** @param {Record<string, any>} setup */
async function init(setup) {
  applyAppearance(setup.elements.appearance);
  const { elements, options, key } = setup;
  button.style.height = `${Math.min(Math.max(options.buttonHeight ?? 44, 40), 55)}px`;
  const config = await get("/elements/config", {
    currency: elements.currency,
    mode: elements.mode,
    client_secret: elements.clientSecret,
    key,
  });
  const { allowedPaymentMethodTypes: allowed, excludedPaymentMethodTypes: excluded = [] } = elements;
  const link =
    !config.error &&
    config.payment_method_types.includes("link") &&
    options.paymentMethods?.link !== "never" &&
    (!allowed || allowed.includes("link")) &&
    !excluded.includes("link");
  root.replaceChildren(...(link ? [button, message] : []));
  const available = {
    amazonPay: false,
    applePay: false,
    googlePay: false,
    link: true,
    paypal: false,
    klarna: false,
  };
  /** @type {Omit<import('@stripe/stripe-js').StripeExpressCheckoutElementReadyEvent, 'elementType'>} */
  const ready = { availablePaymentMethods: link ? available : undefined };
  tell("ready", ready);
  tell("availablepaymentmethodschange", { paymentMethods: link ? { link: { available: true } } : undefined });
}

answer({
  init,
  elements: (elements) => applyAppearance(elements.appearance),
  update: (options) => {
    if (options.buttonHeight) {
      button.style.height = `${Math.min(Math.max(options.buttonHeight, 40), 55)}px`;
    }
  },
  failed: ({ message: text }) => {
    message.textContent = text ?? "Your payment was not successful. Choose another way to pay.";
    button.focus();
  },
  focus: () => button.focus(),
  blur: () => button.blur(),
  clear: () => undefined,
});
