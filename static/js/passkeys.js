// @ts-check
/** Passkeys: a form asks the browser to make one or to sign with one, and sends its answer along. */

const problem = document.querySelector("[data-passkey-problem]");
const missing = document.querySelector("[data-passkey-missing]");
const supported = typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function";

/** @param {unknown} error */
function say(error) {
  if (!(problem instanceof HTMLElement)) return;
  const name = error instanceof DOMException ? error.name : "";
  const { stopped, known, failed } = problem.dataset;
  problem.textContent = (name === "NotAllowedError" || name === "AbortError" ? stopped : name === "InvalidStateError" ? known : failed) ?? "";
  problem.hidden = false;
}

/**
 * What the server wants to have signed; null when the page is left for another one first.
 * @param {HTMLFormElement} form
 */
async function options(form) {
  const token = form.querySelector("input[name=csrf_token]");
  const response = await fetch(form.dataset.options ?? "", {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRFToken": token instanceof HTMLInputElement ? token.value : "" },
  });
  const answer = await response.json();
  if (response.ok) return answer;
  if (!answer.location) throw new Error(`${response.status}`);
  location.assign(answer.location);
  return null;
}

/** @param {HTMLFormElement} form */
async function answered(form) {
  const asked = await options(form);
  if (!asked) return null;
  return form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
    : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLInputElement} field
 */
async function send(form, field) {
  if (problem instanceof HTMLElement) problem.hidden = true;
  try {
    const credential = await answered(form);
    if (!(credential instanceof PublicKeyCredential)) return;
    field.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    say(error);
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const field = form.querySelector("input[name=credential]");
  if (!(form instanceof HTMLFormElement) || !(field instanceof HTMLInputElement)) continue;
  form.hidden = !supported;
  if (!supported && missing instanceof HTMLElement) missing.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send(form, field);
  });
}

export {};
