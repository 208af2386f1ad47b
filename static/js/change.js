// @ts-check
/**
 * /billing/subscription/<quote>: confirms a change that costs something now. The method on file pays; when the bank
 * asks for a step it is taken here, and when the method is refused Stripe's Payment Element takes another.
 */

import { appearance } from "./appearance.js";
import {
  alreadyConfirmed, confirm, follow, form, isWorking, leave, problem, refused, say, setWorking, stripeHere, watch,
  wentOn, words,
} from "./paying.js";

/** @typedef {import("@stripe/stripe-js").Stripe} Stripe */
/** @typedef {import("@stripe/stripe-js").StripeElements} StripeElements */
/** @typedef {import("@stripe/stripe-js").StripeError} StripeError */

const done = form.dataset.done ?? "";

/** The Payment Element for another method, once one is needed. @type {StripeElements | undefined} */
let another;

/**
 * Offers another way to pay the same invoice.
 * @param {Stripe} stripe
 * @param {string} clientSecret
 */
function offerAnother(stripe, clientSecret) {
  if (another) return;
  const { name, email, country, postalCode } = form.dataset;
  const elements = stripe.elements({ clientSecret, appearance: appearance() });
  const payment = elements.create("payment", {
    layout: "tabs",
    defaultValues: { billingDetails: { name, email, address: { country, postal_code: postalCode } } },
  });
  payment.on("loaderror", ({ error }) => say(words.unloadedTitle, error.message ?? words.unloaded));
  document.getElementById("other-method")?.removeAttribute("hidden");
  payment.mount("#payment");
  follow(elements);
  another = elements;
}

/**
 * Pays with what was typed into the Payment Element.
 * @param {Stripe} stripe
 * @param {StripeElements} elements
 */
async function payAnother(stripe, elements) {
  const { error: incomplete } = await elements.submit();
  if (incomplete) return refused(incomplete);
  const { error } = await stripe.confirmPayment({ elements, confirmParams: { return_url: done } });
  // only a refusal comes back here: whatever succeeds goes to return_url
  if (alreadyConfirmed(error)) return leave(done);
  return (await wentOn(true)) || refused(error);
}

/**
 * Goes on with the payment from where it stands; whether the change went on.
 * @param {Stripe} stripe
 * @param {string} clientSecret
 */
async function goOn(stripe, clientSecret) {
  const { paymentIntent, error: unread } = await stripe.retrievePaymentIntent(clientSecret);
  if (!paymentIntent) return refused(unread);
  switch (paymentIntent.status) {
    case "succeeded":
    case "processing":
      return leave(done);
    case "requires_action": {
      const { error } = await stripe.handleNextAction({ clientSecret });
      if (!error || alreadyConfirmed(error)) return leave(done);
      offerAnother(stripe, clientSecret);
      return (await wentOn(true)) || refused(error);
    }
    default: {
      offerAnother(stripe, clientSecret);
      const why = paymentIntent.last_payment_error;
      return say(words.failedTitle, [why?.message, words.notCharged, words.another].filter(Boolean).join(" "));
    }
  }
}

/**
 * Confirms the quote, then the payment; the page says why when it did not go on.
 * @param {Stripe} stripe
 */
async function pay(stripe) {
  if (isWorking()) return;
  setWorking(true);
  problem.hidden = true;
  try {
    if (another) return void (await payAnother(stripe, another));
    const confirmation = await confirm();
    if (!confirmation) return;
    if (confirmation.collect !== "payment" || !confirmation.client_secret) return void leave(done);
    await goOn(stripe, confirmation.client_secret);
  } catch {
    (await wentOn(true)) || say(words.unknownTitle, words.unknown);
  }
}

watch();
const stripe = stripeHere();
if (stripe) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void pay(stripe);
  });
  // refused before this page was opened: the way to pay otherwise is shown without asking for it
  if (form.dataset.seen === "declined") void pay(stripe);
}
