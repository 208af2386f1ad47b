import { link } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { checkEmail } from "./bank_form.js";
import { codeForm } from "./code_form.js";
import { h } from "./dom.js";
import { Field } from "./field.js";
import { answer, tell } from "./line.js";
import { problem } from "./words.js";

const root = /** @type {HTMLElement} */ (document.getElementById("element"));
const below = h("div", {});
let session = "";
let asked = "";

const email = new Field(
  "Email",
  checkEmail,
  {
    type: "email",
    autocomplete: "email",
    name: "email",
    placeholder: "you@example.com",
    onchange: () => void lookUp(true),
  },
  { changed },
);

function changed() {
  /** @type {Omit<import('@stripe/stripe-js').StripeLinkAuthenticationElementChangeEvent, 'elementType'>} */
  const event = {
    empty: email.value === "",
    complete: email.problem === null,
    value: { email: email.value },
  };
  tell("change", event);
}

/** A known address is asked for its code. @param {boolean} focus */
async function lookUp(focus) {
  if (email.problem || email.value === asked) {
    return;
  }
  asked = email.value;
  below.replaceChildren();
  if ((await link("lookup", { email: email.value })).exists) {
    const form = codeForm({
      session,
      email: email.value,
      otherWords: "Pay without Link",
      done: () => {
        below.replaceChildren(h("p", { class: "Hint", role: "status" }, "Signed in to Link."));
        changed();
      },
      other: () => below.replaceChildren(),
    });
    below.replaceChildren(form.element);
    if (focus) {
      form.focus();
    }
  }
}

/** @param {Record<string, any>} setup */
async function init(setup) {
  session = setup.session;
  applyAppearance(setup.elements.appearance);
  email.value = setup.options.defaultValues?.email ?? "";
  root.replaceChildren(h("div", { class: "Fields" }, email.element, below));
  tell("ready");
  if (email.value) {
    changed();
    await lookUp(false);
  }
}

answer({
  init,
  elements: (elements) => applyAppearance(elements.appearance),
  update: () => undefined,
  submit: () => {
    const code = email.problem;
    email.show(code);
    return code ? { error: problem(code) } : {};
  },
  focus: () => email.focus(),
  blur: () => email.input.blur(),
  clear: () => {
    email.value = "";
    below.replaceChildren();
    changed();
  },
});
