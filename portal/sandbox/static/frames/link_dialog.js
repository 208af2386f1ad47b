import { get, link } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { checkEmail } from "./bank_form.js";
import { CardForm } from "./card_form.js";
import { codeForm } from "./code_form.js";
import { h, picture } from "./dom.js";
import { Field, report } from "./field.js";
import { answer, tell } from "./line.js";
import { savedCard } from "./link_form.js";
import { checkPhone } from "./link_signup.js";

/** @typedef {import('./link_form.js').Account} Account */

const root = /** @type {HTMLElement} */ (document.getElementById("element"));
/** @type {Record<string, any>} */
let setup = {};

/** @param {...import('./dom.js').Child} children */
function show(...children) {
  const close = h(
    "button",
    { type: "button", class: "CloseButton", "aria-label": "Close", onclick: () => tell("dismiss") },
    "×",
  );
  root.replaceChildren(
    h(
      "div",
      { class: "Backdrop" },
      h(
        "main",
        { class: "Dialog" },
        close,
        h(
          "h1",
          { class: "DialogTitle" },
          picture("link_wordmark", "WalletMark"),
          h("span", { class: "Unseen" }, "Link"),
        ),
        ...children,
        h("p", { class: "SandboxNote" }, "Sandbox – no real money. Any six digits are the right code."),
      ),
    ),
  );
  root.querySelector("input")?.focus();
}

/** @param {string} known */
function askEmail(known) {
  const email = new Field("Email", checkEmail, {
    type: "email",
    autocomplete: "email",
    name: "email",
    placeholder: "you@example.com",
  });
  email.value = known;
  const next = async () => {
    if (report([email])) {
      return;
    }
    const answered = await link("lookup", { email: email.value });
    (answered.exists ? askCode : askCard)(email.value);
  };
  const form = h(
    "form",
    {
      class: "Fields",
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void next();
      },
    },
    h("p", {}, "Pay faster with a card that Link remembers for you."),
    email.element,
    h("button", { class: "Button" }, "Continue"),
  );
  show(form);
}

/** @param {string} email */
function askCode(email) {
  const form = codeForm({
    session: setup.session,
    email,
    done: offer,
    other: () => askEmail(email),
    otherWords: "Use another email",
  });
  show(form.element);
  form.focus();
}

/** @param {string} email */
async function askCard(email) {
  const config = await get("/elements/config", { mode: "setup", key: setup.key });
  const offset = config.now ? config.now * 1000 - Date.now() : 0;
  const phone = new Field("Mobile number", checkPhone, {
    type: "tel",
    autocomplete: "tel",
    name: "phone",
    placeholder: "(201) 555-0123",
  });
  const name = new Field("Full name", (value) => (value ? null : "incomplete_name"), {
    autocomplete: "cc-name",
    name: "name",
  });
  const card = new CardForm({
    today: () => new Date(Date.now() + offset),
    changed: () => undefined,
    address: {},
    hide: { country: false, postalCode: false },
  });
  const message = h("p", { class: "Error", role: "alert" });
  const save = async () => {
    if (report([phone, name, ...card.fields])) {
      return;
    }
    const details = { ...card.data(), billing_details: { ...card.billingDetails(), name: name.value } };
    const answered = await link("signup", {
      session: setup.session,
      email,
      phone: phone.value,
      payment_method_data: details,
    });
    if (answered.error) {
      message.textContent = answered.error.message;
    } else {
      offer(answered.account);
    }
  };
  show(
    h(
      "form",
      {
        class: "Fields",
        novalidate: true,
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          void save();
        },
      },
      h("p", {}, `There is no Link account for ${email} yet. Open one with a card:`),
      phone.element,
      name.element,
      card.element,
      message,
      h("button", { class: "Button" }, "Save card and continue"),
      h(
        "button",
        { type: "button", class: "TextButton", onclick: () => askEmail(email) },
        "Use another email",
      ),
    ),
  );
}

/**
 * Signed in: one more click pays.
 * @param {Account} account
 */
function offer(account) {
  const pay = h(
    "button",
    { type: "button", class: "Button", onclick: () => tell("done", { billingDetails: details(account) }) },
    words(),
  );
  show(
    h(
      "div",
      { class: "Fields" },
      h("p", { class: "Hint" }, `Signed in as ${account.email}.`),
      savedCard(account),
      pay,
      h(
        "button",
        {
          type: "button",
          class: "TextButton",
          onclick: async () => {
            await link("logout", { session: setup.session });
            askEmail(account.email);
          },
        },
        "Log out",
      ),
    ),
  );
  pay.focus();
}

function words() {
  const { amount, currency, mode } = setup.elements;
  if (!amount || mode === "setup") {
    return "Continue";
  }
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return `Pay ${format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2))}`;
}

/** @param {Account} account */
function details({ email, billing_details: { name, phone, address } }) {
  const text = (/** @type {string | null} */ value) => value ?? "";
  return {
    name: text(name),
    email,
    phone: phone ?? undefined,
    address: {
      city: text(address.city),
      state: text(address.state),
      postal_code: text(address.postal_code),
      country: text(address.country),
      line1: text(address.line1),
      line2: address.line2,
    },
  };
}

/** @param {Record<string, any>} options */
async function init(options) {
  setup = options;
  applyAppearance(options.appearance);
  const { account } = await link("session", { session: setup.session });
  if (account) {
    offer(account);
  } else {
    askEmail(options.options?.defaultValues?.billingDetails?.email ?? "");
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    tell("dismiss");
  }
});
answer({ init, escape: () => tell("dismiss") });
