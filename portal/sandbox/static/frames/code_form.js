import { link } from "./api.js";
import { h } from "./dom.js";
import { WORDS } from "./words.js";

/**
 * The one-time code that signs in to Link.
 * @param {{session: string, email: string, done: (account: any) => void, other: () => void, otherWords: string}} options
 * @returns {{element: HTMLElement, focus: () => void}}
 */
export function codeForm({ session, email, done, other, otherWords }) {
  const message = h("p", { class: "Error", id: "code-error", role: "alert" });
  const input = h("input", {
    class: "Input Input--code",
    id: "code",
    inputmode: "numeric",
    autocomplete: "one-time-code",
    maxlength: 6,
    "aria-describedby": "code-hint code-error",
    placeholder: "······",
    dir: "ltr",
  });
  let busy = false;

  async function send() {
    const code = input.value.replace(/\D/g, "");
    input.value = code;
    if (code.length < 6 || busy) {
      message.textContent = busy ? "" : WORDS.incomplete_code;
      return;
    }
    busy = true;
    const answer = await link("verify", { session, email, code });
    busy = false;
    if (answer.error) {
      message.textContent = answer.error.message;
      input.setAttribute("aria-invalid", "true");
      input.classList.add("Input--invalid");
      input.select();
    } else {
      done(answer.account);
    }
  }

  input.addEventListener("input", () => {
    message.textContent = "";
    input.removeAttribute("aria-invalid");
    input.classList.remove("Input--invalid");
    if (input.value.replace(/\D/g, "").length === 6) {
      void send();
    }
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      void send();
    }
  });
  const element = h(
    "div",
    { class: "Fields" },
    h(
      "div",
      { class: "Field" },
      h("label", { class: "Label", for: "code" }, "Your one-time code"),
      h("p", { class: "Hint", id: "code-hint" }, `We sent a code to the phone of ${email}.`),
      input,
      message,
    ),
    h(
      "div",
      { class: "Actions" },
      h("button", { type: "button", class: "Button", onclick: () => void send() }, "Continue"),
      h("button", { type: "button", class: "TextButton", onclick: other }, otherWords),
    ),
  );
  return { element, focus: () => input.focus() };
}
