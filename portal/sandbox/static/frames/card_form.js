import * as rules from "./card_rules.js";
import { countryOptions, likelyCountry } from "./countries.js";
import { h, picture } from "./dom.js";
import { Field, report } from "./field.js";

/** @typedef {{country?: string, postal_code?: string, [name: string]: string | undefined}} Address */

const SHOWN_BRANDS = ["visa", "mastercard", "amex", "discover"];

/** Card number, expiry date, security code, country and postal code. */
export class CardForm {
  /**
   * @param {{today: () => Date, changed: () => void, address: Address, hide: {country: boolean, postalCode: boolean}}} options
   */
  constructor({ today, changed, address, hide }) {
    this.hide = hide;
    this.number = new Field(
      "Card number",
      rules.checkNumber,
      {
        inputmode: "numeric",
        autocomplete: "cc-number",
        placeholder: "1234 1234 1234 1234",
        name: "number",
        dir: "ltr",
        "aria-label": "Card number",
      },
      { changed: () => this.numberChanged(changed), format: rules.formatNumber },
    );
    this.brands = h("span", { class: "Brands" });
    this.number.wrap.append(this.brands);
    this.expiry = new Field(
      "Expiration date",
      (value) => rules.checkExpiry(value, today()),
      {
        inputmode: "numeric",
        autocomplete: "cc-exp",
        placeholder: "MM / YY",
        name: "expiry",
        dir: "ltr",
      },
      { changed, format: rules.formatExpiry },
    );
    this.cvc = new Field(
      "Security code",
      (value) => rules.checkCvc(value, this.number.value),
      {
        inputmode: "numeric",
        autocomplete: "cc-csc",
        placeholder: "CVC",
        name: "cvc",
        maxlength: 4,
        dir: "ltr",
      },
      { changed, format: rules.digits },
    );
    this.country = new Field(
      "Country",
      () => null,
      { autocomplete: "country", name: "country", choices: true },
      {
        changed: () => this.countryChanged(changed),
      },
    );
    this.country.input.append(...countryOptions());
    this.postalCode = new Field(
      "ZIP",
      (value) => rules.checkPostalCode(value, this.country.value),
      {
        autocomplete: "postal-code",
        name: "postalCode",
        placeholder: "12345",
        maxlength: 10,
      },
      { changed },
    );
    this.prefill(address);
    this.element = h(
      "div",
      { class: "Fields" },
      this.number.element,
      h("div", { class: "Row" }, this.expiry.element, this.cvc.element),
      h(
        "div",
        { class: "Row" },
        hide.country ? null : this.country.element,
        hide.postalCode ? null : this.postalCode.element,
      ),
    );
    this.showBrands();
  }

  /** @param {Address} address */
  prefill(address) {
    this.country.value = address.country || likelyCountry();
    this.postalCode.value = address.postal_code ?? "";
    this.showPostalCode();
  }

  /** The fields that have to be filled in now. */
  get fields() {
    const code = !this.hide.postalCode && rules.needsPostalCode(this.country.value);
    return [this.number, this.expiry, this.cvc, ...(code ? [this.postalCode] : [])];
  }

  get complete() {
    return this.fields.every((field) => !field.problem);
  }

  get empty() {
    return [this.number, this.expiry, this.cvc].every((field) => !field.value);
  }

  get brand() {
    return rules.kindOf(this.number.value).brand;
  }

  report() {
    return report(this.fields);
  }

  focus() {
    this.number.focus();
  }

  clear() {
    for (const field of [this.number, this.expiry, this.cvc]) {
      field.value = "";
    }
    this.showBrands();
  }

  /** What the API needs; it goes to the API only. */
  data() {
    const { month, year } = rules.expiryOf(this.expiry.value);
    return {
      type: "card",
      card: {
        number: rules.digits(this.number.value),
        exp_month: month,
        exp_year: year,
        cvc: this.cvc.value,
      },
    };
  }

  /** The part of the billing details that is typed here. */
  billingDetails() {
    const code =
      this.hide.postalCode || !rules.needsPostalCode(this.country.value) ? undefined : this.postalCode.value;
    return { address: { country: this.hide.country ? undefined : this.country.value, postal_code: code } };
  }

  /** @param {() => void} changed */
  numberChanged(changed) {
    this.cvc.input.setAttribute("placeholder", this.brand === "amex" ? "4 digits" : "CVC");
    this.showBrands();
    changed();
    const limit = Math.max(...rules.kindOf(this.number.value).lengths);
    const full = rules.digits(this.number.value).length === limit;
    if (full && !this.number.problem && document.activeElement === this.number.input && !this.expiry.value) {
      this.expiry.focus();
    }
  }

  showBrands() {
    const known = this.brand;
    const names = known === "unknown" && !this.number.value ? SHOWN_BRANDS : [known];
    this.brands.replaceChildren(...names.map((name) => picture(name)));
  }

  /** @param {() => void} changed */
  countryChanged(changed) {
    this.showPostalCode();
    changed();
  }

  showPostalCode() {
    const american = this.country.value === "US";
    this.postalCode.element.hidden = !rules.needsPostalCode(this.country.value);
    this.postalCode.label.textContent = american ? "ZIP" : "Postal code";
    this.postalCode.input.setAttribute("placeholder", american ? "12345" : "");
  }
}
