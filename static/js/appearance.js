// @ts-check
/** The page's colours in the form that Stripe's Elements take: they are drawn in frames of their own. */

/** @typedef {import("@stripe/stripe-js").Appearance} Appearance */

/**
 * A design token as "rgb(…)": tokens are written with light-dark() and color-mix(), which Stripe cannot read.
 * @param {string} token
 */
function colour(token) {
  const probe = document.createElement("span");
  probe.className = `token token-${token}`;
  document.body.append(probe);
  const written = getComputedStyle(probe).color;
  probe.remove();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return "";
  context.fillStyle = written;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return `rgb(${red}, ${green}, ${blue})`;
}

/** @returns {Appearance} */
export function appearance() {
  return {
    theme: "flat",
    variables: {
      colorPrimary: colour("accent"),
      colorBackground: colour("raised"),
      colorText: colour("text"),
      colorTextSecondary: colour("muted"),
      colorTextPlaceholder: colour("muted"),
      colorDanger: colour("negative"),
      fontFamily: "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif",
      fontSizeBase: "15px",
      borderRadius: "8px",
    },
    rules: {
      ".Input": { border: `1px solid ${colour("control")}`, backgroundColor: colour("raised"), boxShadow: "none" },
      ".Input:focus": { border: `1px solid ${colour("accent")}`, boxShadow: `0 0 0 1px ${colour("accent")}` },
      ".Tab": { border: `1px solid ${colour("control")}`, backgroundColor: colour("raised"), boxShadow: "none" },
      ".Tab--selected": { border: `1px solid ${colour("accent")}`, color: colour("text") },
      ".Label": { fontWeight: "600", color: colour("text") },
    },
  };
}
