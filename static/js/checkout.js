// @ts-check
/** /checkout/<quote>: Stripe's Elements on the final quote. */

import { appearance } from "./appearance.js";
import {
  alreadyConfirmed, confirm, follow, form, isWorking, leave, problem, refused, say, setWorking, stripeHere, watch,
  wentOn, words,
} from "./paying.js";

/** @typedef {import("@stripe/stripe-js").Stripe} Stripe */
/** @typedef {import("@stripe/stripe-js").StripeElements} StripeElements */
/** @typedef {import("@stripe/stripe-js").StripeExpressCheckoutElementConfirmEvent} StripeExpressCheckoutElementConfirmEvent */

/**
 * Confirms the quote, then the payment. Whether it went on; if not, the page says why.
 * @param {Stripe} stripe
 * @param {StripeElements} elements
 * @returns {Promise<boolean>}
 */
async function carryOut(stripe, elements) {
  try {
    const { error: incomplete } = await elements.submit();
    if (incomplete) return refused(incomplete);
    const confirmation = await confirm();
    if (!confirmation) return false;
    const { collect, client_secret: clientSecret } = confirmation;
    const done = form.dataset.done ?? "";
    if (collect === "nothing" || !clientSecret) return leave(done);
    const asked = { elements, clientSecret, confirmParams: { return_url: done } };
    const { error } = await (collect === "setup" ? stripe.confirmSetup(asked) : stripe.confirmPayment(asked));
    // only a refusal comes back here: whatever succeeds goes to return_url
    if (alreadyConfirmed(error)) return leave(done);
    return (await wentOn(true)) || refused(error);
  } catch {
    return (await wentOn(true)) || say(words.unknownTitle, words.unknown);
  }
}

/**
 * @param {Stripe} stripe
 * @param {StripeElements} elements
 * @param {StripeExpressCheckoutElementConfirmEvent} [wallet] what a wallet's sheet asked for; it stays open until
 *   it hears that nothing was paid
 */
async function pay(stripe, elements, wallet) {
  if (isWorking()) return wallet?.paymentFailed({ reason: "fail" });
  setWorking(true);
  problem.hidden = true;
  if (!(await carryOut(stripe, elements))) wallet?.paymentFailed({ reason: "fail" });
}

/** @param {Stripe} stripe */
function mount(stripe) {
  const { mode, amount, currency = "usd", name, email, country, postalCode } = form.dataset;
  const elements = stripe.elements(
    mode === "setup"
      ? { mode: "setup", currency, setupFutureUsage: "off_session", appearance: appearance() }
      : { mode: "subscription", amount: Number(amount), currency, setupFutureUsage: "off_session", appearance: appearance() },
  );
  const express = elements.create("expressCheckout");
  express.on("ready", ({ availablePaymentMethods }) => {
    const element = document.getElementById("express");
    if (element) element.hidden = !availablePaymentMethods;
  });
  express.on("confirm", (event) => void pay(stripe, elements, event));
  express.mount("#express");

  const payment = elements.create("payment", {
    layout: "tabs",
    defaultValues: { billingDetails: { name, email, address: { country, postal_code: postalCode } } },
  });
  payment.on("ready", () => document.getElementById("payment-loading")?.remove());
  payment.on("loaderror", ({ error }) => say(words.unloadedTitle, error.message ?? words.unloaded));
  payment.mount("#payment");

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void pay(stripe, elements);
  });
  follow(elements);
}

watch();
const stripe = stripeHere();
if (stripe) mount(stripe);
