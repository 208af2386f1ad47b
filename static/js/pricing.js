// @ts-check
/**
 * A page with a choice: asks the server for the price of what is being typed, and puts the answer into the parts
 * of the page marked data-live. Fields are never replaced, so focus and what was typed stay where they are.
 */

const DELAY = 180;

/** @type {HTMLFormElement | null} */
const form = document.querySelector("form[data-update]");

/** @type {AbortController | undefined} */
let running;
/** @type {number | undefined} */
let waiting;

/**
 * The choice as an address has it: counts of zero and empty fields are left out. The seats always stand in it,
 * whatever they are, because an address without them means the default number.
 * @param {HTMLFormElement} from
 */
function query(from) {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(from)) {
    if (typeof value === "string" && (name === "seats" || (value !== "" && value !== "0"))) chosen.append(name, value);
  }
  return chosen;
}

/**
 * A field that was emptied to be typed anew is not an error yet.
 * @param {HTMLFormElement} from
 */
function beingRetyped(from) {
  const focused = document.activeElement;
  return focused instanceof HTMLInputElement && from.contains(focused) && focused.value.trim() === "";
}

/** @param {Document} answer */
function show(answer) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = answer.getElementById(part.id);
    if (!fresh || fresh.innerHTML === part.innerHTML) continue;
    // a summary of errors above the field being typed in would push it away: it is only ever taken off
    if (part.getAttribute("data-live") === "clear" && fresh.childElementCount) continue;
    // what is about the same thing keeps what was ticked in it
    const key = part.getAttribute("data-key");
    if (key !== null && key === fresh.getAttribute("data-key")) continue;
    if (key !== null) part.setAttribute("data-key", fresh.getAttribute("data-key") ?? "");
    const open = [...part.querySelectorAll("details[open][data-name]")].map((each) => each.getAttribute("data-name"));
    for (const name of open) fresh.querySelector(`details[data-name="${name}"]`)?.setAttribute("open", "");
    part.replaceChildren(...fresh.childNodes);
  }
  for (const input of document.querySelectorAll("#choice input[aria-describedby]")) {
    const invalid = answer.getElementById(input.id)?.getAttribute("aria-invalid");
    if (invalid) input.setAttribute("aria-invalid", invalid);
    else input.removeAttribute("aria-invalid");
  }
  const said = document.getElementById("price-said");
  const text = answer.getElementById("price-said")?.textContent ?? "";
  if (said && said.textContent !== text) said.textContent = text;
}

/** @param {HTMLFormElement} from */
async function update(from) {
  window.clearTimeout(waiting);
  running?.abort();
  running = new AbortController();
  const chosen = query(from);
  try {
    const response = await fetch(`${from.dataset.update}?${chosen}`, { signal: running.signal });
    if (!response.ok) throw new Error(String(response.status));
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
    history.replaceState(history.state, "", `${location.pathname}?${chosen}`);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    // the server gives the same answer to the form itself
    from.submit();
  }
}

/** @param {HTMLFormElement} from */
function updateSoon(from) {
  window.clearTimeout(waiting);
  waiting = window.setTimeout(() => void update(from), DELAY);
}

if (form) {
  form.addEventListener("input", () => {
    if (!beingRetyped(form)) updateSoon(form);
  });
  form.addEventListener("change", () => updateSoon(form));
  form.addEventListener("submit", (event) => {
    // a button that sends the choice on is no question about the price
    if (event.submitter?.getAttribute("formmethod") === "post") return;
    event.preventDefault();
    const away = event.submitter?.getAttribute("formaction");
    if (away) location.assign(`${away}?${query(form)}`);
    else void update(form);
  });
  form.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-step]") : null;
    if (!(button instanceof HTMLButtonElement)) return;
    step(form, button.dataset.for ?? "", Number(button.dataset.step));
  });
  form.addEventListener("keydown", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.inputMode !== "numeric") return;
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    step(form, input.name, event.key === "ArrowUp" ? 1 : -1);
  });
  // Back may restore fields that differ from the page as it was answered
  window.addEventListener("pageshow", () => {
    if (query(form).toString() !== new URLSearchParams(location.search).toString() && location.search) void update(form);
  });
}

/**
 * @param {HTMLFormElement} from
 * @param {string} name
 * @param {number} by
 */
function step(from, name, by) {
  const input = from.elements.namedItem(name);
  if (!(input instanceof HTMLInputElement)) return;
  const minimum = Number(input.dataset.minimum ?? 0);
  input.value = String(Math.max(minimum, (Number.parseInt(input.value, 10) || 0) + by));
  updateSoon(from);
}

export {};
