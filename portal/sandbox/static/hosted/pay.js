// Pays an open invoice with the sandbox's own Stripe.js, as a customer does who follows the link in a mail.
const form = document.querySelector("form.pay");
const message = form.querySelector(".message");
const stripe = window.Stripe("pk_test_sandbox");
const elements = stripe.elements({ clientSecret: form.dataset.clientSecret });
elements.create("payment").mount(form.querySelector(".payment"));

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
    message.textContent = error.message;
    return;
  }
  window.location.reload();
});
