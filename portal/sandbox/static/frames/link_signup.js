import { link } from "./api.js";
import { checkEmail } from "./bank_form.js";
import { h } from "./dom.js";
import { Field, report } from "./field.js";

/**
 * @param {string} value
 * @returns {import('./words.js').Code | null}
 */
export function checkPhone(value) {
  return value.replace(/\D/g, "").length < 7 ? "incomplete_phone_number" : null;
}

/** "Save my information": opens a Link account with the card that is being paid with. */
export class LinkSignup {
  /** @param {{email: string, changed: () => void, known: (email: string) => void}} options */
  constructor({ email, changed, known }) {
    this.known = known;
    this.box = h("input", {
      type: "checkbox",
      id: "save",
      class: "CheckboxInput",
      onchange: () => this.toggled(changed),
    });
    this.email = new Field(
      "Email",
      checkEmail,
      {
        type: "email",
        autocomplete: "email",
        name: "save-email",
        placeholder: "you@example.com",
        onchange: () => void this.lookUp(),
      },
      { changed },
    );
    this.phone = new Field(
      "Mobile number",
      checkPhone,
      { type: "tel", autocomplete: "tel", name: "save-phone", placeholder: "(201) 555-0123" },
      { changed },
    );
    this.email.value = email;
    this.more = h(
      "div",
      { class: "Fields Fields--inner", hidden: true },
      this.email.element,
      this.phone.element,
      h("p", { class: "Hint" }, "Link keeps this card. Next time a code on your phone is enough."),
    );
    this.element = h(
      "div",
      { class: "Signup" },
      h(
        "div",
        { class: "Checkbox" },
        this.box,
        h("label", { for: "save" }, "Save my information for faster checkout with Link"),
      ),
      this.more,
    );
  }

  /** @param {() => void} changed */
  toggled(changed) {
    this.more.hidden = !this.box.checked;
    if (this.box.checked) {
      (this.email.value ? this.phone : this.email).focus();
    }
    changed();
  }

  /** Somebody who has an account is asked to sign in instead. */
  async lookUp() {
    if (!this.email.problem && (await link("lookup", { email: this.email.value })).exists) {
      this.box.checked = false;
      this.more.hidden = true;
      this.known(this.email.value);
    }
  }

  get fields() {
    return this.box.checked ? [this.email, this.phone] : [];
  }

  report() {
    return report(this.fields);
  }

  /** @param {string} email */
  prefill(email) {
    this.email.value = email;
  }

  data() {
    return this.box.checked ? { email: this.email.value, phone: this.phone.value } : undefined;
  }
}
