/** Everything the frames say, in real Stripe's words where it has them. */
export const WORDS = {
  incomplete_number: "Your card number is incomplete.",
  invalid_number: "Your card number is invalid.",
  incomplete_expiry: "Your card's expiration date is incomplete.",
  invalid_expiry_month: "Your card's expiration date is invalid.",
  invalid_expiry_year: "Your card's expiration year is invalid.",
  invalid_expiry_year_past: "Your card's expiration year is in the past.",
  invalid_expiry_month_past: "Your card's expiration date is in the past.",
  incomplete_cvc: "Your card's security code is incomplete.",
  incomplete_zip: "Your ZIP is incomplete.",
  invalid_zip: "Your ZIP is invalid.",
  incomplete_postal_code: "Your postal code is incomplete.",
  incomplete_name: "Please provide your full name.",
  incomplete_email: "Please provide your email address.",
  invalid_email: "Your email address is incomplete.",
  incomplete_phone_number: "Your mobile phone number is incomplete.",
  incomplete_routing_number: "Your routing number is incomplete.",
  invalid_routing_number: "Your routing number is invalid.",
  incomplete_account_number: "Your account number is incomplete.",
  incomplete_line1: "Please provide your street address.",
  incomplete_city: "Please provide your city.",
  incomplete_state: "Please provide your state or province.",
  incomplete_country: "Please select your country.",
  incomplete_link: "Sign in to Link to pay with it, or choose another way.",
  incomplete_method: "Please choose how you want to pay.",
  incomplete_code: "Enter the six digits of your code.",
  unreachable: "We could not reach the payment service. Check your connection and try again.",
};

/** @typedef {keyof typeof WORDS} Code */

/**
 * A validation error as Stripe.js gives it.
 * @param {Code} code
 */
export function problem(code) {
  return { type: /** @type {const} */ ("validation_error"), code, message: WORDS[code] };
}
