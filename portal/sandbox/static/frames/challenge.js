import { post } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { h } from "./dom.js";
import { answer, tell } from "./line.js";

const root = /** @type {HTMLElement} */ (document.getElementById("element"));
/** @type {{intent: string, secret: string}} */
let setup = { intent: "", secret: "" };
let busy = false;

/** @param {boolean} passed */
async function decide(passed) {
  if (busy) {
    return;
  }
  busy = true;
  await post(`/redirect/challenge/${setup.intent}/decide`, {
    client_secret: setup.secret,
    outcome: passed ? "pass" : "fail",
    dialog: "true",
  });
  tell("done", { passed });
}

/** @param {{intent: string, secret: string, appearance?: import('@stripe/stripe-js').Appearance}} options */
function init(options) {
  setup = options;
  applyAppearance(options.appearance);
  const complete = h(
    "button",
    { type: "button", class: "Button", onclick: () => void decide(true) },
    "Complete authentication",
  );
  root.replaceChildren(
    h(
      "div",
      { class: "Backdrop" },
      h(
        "main",
        { class: "Dialog" },
        h("p", { class: "SandboxTag" }, "Sandbox"),
        h("h1", { class: "DialogTitle" }, "3-D Secure"),
        h(
          "p",
          {},
          "This is where your bank would ask you to approve the payment, in its app or with a code. Choose what happens.",
        ),
        h(
          "div",
          { class: "Actions Actions--stack" },
          complete,
          h(
            "button",
            { type: "button", class: "Button Button--plain", onclick: () => void decide(false) },
            "Fail authentication",
          ),
        ),
        h("p", { class: "Hint" }, "No real money and no real bank are involved."),
      ),
    ),
  );
  complete.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    void decide(false);
  }
});
answer({ init, escape: () => decide(false) });
