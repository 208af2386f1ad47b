// @ts-check
/** The page after paying: asks until the webhook has said how it went, or a step is done, less and less often. */

const SECOND = 1000;
/** A webhook is mostly there within so long. */
const FIRST_LOOK_AFTER = 0.4 * SECOND;
/** After so long the server asks Stripe itself, whether or not a webhook came. */
const ASK_STRIPE_AFTER = 4 * SECOND;
const SAY_MORE_AFTER = 10 * SECOND;

const page = document.getElementById("waiting");
const began = Date.now();

/** @param {number} waited */
function pause(waited) {
  if (waited < SAY_MORE_AFTER) return SECOND;
  return waited < 60 * SECOND ? 3 * SECOND : 10 * SECOND;
}

/** @param {HTMLElement} from */
async function look(from) {
  const waited = Date.now() - began;
  if (waited >= SAY_MORE_AFTER) document.getElementById("waiting-long")?.removeAttribute("hidden");
  try {
    const ask = waited >= ASK_STRIPE_AFTER && !("follows" in from.dataset) ? "?ask_stripe=1" : "";
    const response = await fetch(`${from.dataset.state}${ask}`, { headers: { Accept: "application/json" } });
    const answer = await response.json();
    if (answer.location) return location.replace(answer.location);
    if (!answer.waiting) return location.reload();
    const said = document.getElementById("waiting-words");
    if (said && answer.message && said.textContent !== answer.message) said.textContent = answer.message;
  } catch {
    // a lost connection comes back; the next look tells
  }
  window.setTimeout(() => void look(from), pause(Date.now() - began));
}

// the address that Stripe returns to holds the intent's secret: it need not stay in the history
if (location.search) history.replaceState(history.state, "", location.pathname);
if (page && ("waiting" in page.dataset || "follows" in page.dataset)) window.setTimeout(() => void look(page), FIRST_LOOK_AFTER);

export {};
