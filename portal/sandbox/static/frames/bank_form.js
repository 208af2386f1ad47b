import { digits } from "./card_rules.js";
import { h } from "./dom.js";
import { Field, report } from "./field.js";

/** @typedef {import('./words.js').Code} Code */

const WEIGHTS = [3, 7, 1, 3, 7, 1, 3, 7, 1];

/**
 * @param {string} value
 * @returns {Code | null}
 */
function checkRouting(value) {
  if (digits(value).length < 9) {
    return "incomplete_routing_number";
  }
  const sum = [...digits(value)].reduce((total, digit, at) => total + Number(digit) * WEIGHTS[at], 0);
  return sum % 10 === 0 ? null : "invalid_routing_number";
}

/**
 * @param {string} value
 * @returns {Code | null}
 */
export function checkEmail(value) {
  if (!value) {
    return "incomplete_email";
  }
  return /^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$/.test(value) ? null : "invalid_email";
}

/** Name, e-mail, routing and account number of an American bank account. */
export class BankForm {
  /**
   * @param {{changed: () => void, name: string, email: string, business: string}} options
   */
  constructor({ changed, name, email, business }) {
    this.name = new Field(
      "Full name or company",
      (value) => (value ? null : "incomplete_name"),
      {
        autocomplete: "name",
        name: "name",
        placeholder: "As your bank knows it",
      },
      { changed },
    );
    this.email = new Field(
      "Email",
      checkEmail,
      { type: "email", autocomplete: "email", name: "email", placeholder: "you@example.com" },
      { changed },
    );
    const numeric = { inputmode: "numeric", autocomplete: "off", dir: "ltr" };
    this.routing = new Field(
      "Routing number",
      checkRouting,
      { ...numeric, name: "routing", placeholder: "110000000", maxlength: 9 },
      { changed, format: digits },
    );
    this.account = new Field(
      "Account number",
      (value) => (value.length < 5 ? "incomplete_account_number" : null),
      {
        ...numeric,
        name: "account",
        placeholder: "000123456789",
        maxlength: 17,
      },
      { changed, format: digits },
    );
    this.name.value = name;
    this.email.value = email;
    this.element = h(
      "div",
      { class: "Fields" },
      this.email.element,
      this.name.element,
      h("div", { class: "Row" }, this.routing.element, this.account.element),
      h(
        "p",
        { class: "TermsText" },
        `By continuing, you allow ${business} to debit the bank account above for the amount owed, and ` +
          "later amounts that you agree to, until you withdraw this. The money takes about four business days.",
      ),
    );
  }

  get fields() {
    return [this.email, this.name, this.routing, this.account];
  }

  get complete() {
    return this.fields.every((field) => !field.problem);
  }

  get empty() {
    return [this.routing, this.account].every((field) => !field.value);
  }

  report() {
    return report(this.fields);
  }

  focus() {
    this.fields.find((field) => !field.value)?.focus();
  }

  clear() {
    this.routing.value = "";
    this.account.value = "";
  }

  data() {
    return {
      type: "us_bank_account",
      us_bank_account: {
        account_number: this.account.value,
        routing_number: this.routing.value,
        account_holder_type: "company",
        account_type: "checking",
      },
    };
  }

  billingDetails() {
    return { name: this.name.value, email: this.email.value };
  }
}
