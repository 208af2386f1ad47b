// Pays an open invoice with the sandbox's own Stripe.js, as a customer does who follows the link in a mail.
const form = /** @type {HTMLFormElement} */ (document.querySelector("form.pay"));
const message = /** @type {HTMLElement} */ (form.querySelector(".message"));
const place = /** @type {HTMLElement} */ (form.querySelector(".payment"));
const stripe = /** @type {import("@stripe/stripe-js").StripeConstructor} */ (window.Stripe)("pk_test_sandbox");
const elements = stripe.elements({ clientSecret: form.dataset.clientSecret });
elements.create("payment").mount(place);

let paying = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (paying) return;
  paying = true;
  message.textContent = "";
  const { error } = await stripe.confirmPayment({
    elements,
    confirmParams: { return_url: window.location.href },
    redirect: "if_required",
  });
  paying = false;
  if (error) {
    message.textContent = error.message ?? "";
    return;
  }
  window.location.reload();
});
