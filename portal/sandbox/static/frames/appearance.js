/** The Appearance API: theme, variables and rules, as stylesheets that the frame's strict policy allows. */

/** @typedef {import('@stripe/stripe-js').Appearance} Appearance */

/** @type {Record<'stripe' | 'night' | 'flat', Record<string, string>>} */
const THEMES = {
  stripe: {
    colorPrimary: "#0570de",
    colorBackground: "#ffffff",
    colorText: "#30313d",
    colorTextSecondary: "#5d6070",
    colorTextPlaceholder: "#6d6e78",
    colorDanger: "#c0123c",
    colorSuccess: "#1d7c4a",
    colorBorder: "#d5d9e0",
    colorInputBorder: "#8b90a0",
    borderRadius: "6px",
    inputShadow: "0 1px 2px rgb(0 0 0 / 6%)",
  },
  night: {
    colorPrimary: "#4ba3ff",
    colorBackground: "#24262d",
    colorText: "#f3f4f8",
    colorTextSecondary: "#b6bac6",
    colorTextPlaceholder: "#a0a5b3",
    colorDanger: "#ff8fa8",
    colorSuccess: "#6fd6a0",
    colorBorder: "#454956",
    colorInputBorder: "#7d8393",
    borderRadius: "6px",
    inputShadow: "none",
  },
  flat: {
    colorPrimary: "#0570de",
    colorBackground: "#f1f2f5",
    colorText: "#30313d",
    colorTextSecondary: "#585b6a",
    colorTextPlaceholder: "#63656f",
    colorDanger: "#b81239",
    colorSuccess: "#1a6f42",
    colorBorder: "#d5d9e0",
    colorInputBorder: "#f1f2f5",
    borderRadius: "6px",
    inputShadow: "none",
  },
};
const BASE = {
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
  fontSizeBase: "16px",
  fontLineHeight: "1.4",
  fontWeightNormal: "400",
  fontWeightMedium: "500",
  fontWeightBold: "600",
  spacingUnit: "4px",
};
/** Other names for the same thing, older ones among them. */
const SAME = {
  spacingGridRow: "gridRowSpacing",
  spacingGridColumn: "gridColumnSpacing",
  colorPrimaryText: "accessibleColorOnColorPrimary",
  inputColorBorder: "colorInputBorder",
  inputBoxShadow: "inputShadow",
};
const SELECTOR = /^\.[A-Z][A-Za-z]*(--[a-zA-Z]+)*(::?[a-z-]+)*$/;
const PROPERTY = /^-?[a-zA-Z-]+$/;
const rules = new CSSStyleSheet();

/**
 * Show the frame as the page asked.
 * @param {Appearance | undefined} appearance
 */
export function applyAppearance(appearance = {}) {
  const theme = appearance.theme ?? "stripe";
  const given = Object.fromEntries(
    Object.entries(appearance.variables ?? {}).map(([name, value]) => [
      SAME[/** @type {keyof typeof SAME} */ (name)] ?? name,
      value,
    ]),
  );
  /** @type {Record<string, string>} */
  const variables = { ...BASE, ...THEMES[theme], ...given };
  const root = document.documentElement;
  root.style.colorScheme = theme === "night" ? "dark" : "light";
  root.dataset.theme = theme;
  root.classList.toggle("still", appearance.disableAnimations === true);
  for (const [name, value] of Object.entries(variables)) {
    if (typeof value === "string" && !value.includes("url(")) {
      root.style.setProperty(`--${name}`, value);
    }
  }
  root.style.setProperty(
    "--onPrimary",
    variables.accessibleColorOnColorPrimary ?? readableOn(variables.colorPrimary),
  );
  rules.replaceSync(cssOf(appearance.rules ?? {}));
  if (!document.adoptedStyleSheets.includes(rules)) {
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, rules];
  }
}

/**
 * The page's rules as CSS; only class selectors and plain values, nothing that loads.
 * @param {NonNullable<Appearance['rules']>} given
 */
function cssOf(given) {
  return Object.entries(given)
    .filter(([selector]) => selector.split(",").every((part) => SELECTOR.test(part.trim())))
    .map(([selector, properties]) => `${selector} {${declarations(properties)}}`)
    .join("\n");
}

/** @param {Record<string, string>} properties */
function declarations(properties) {
  return Object.entries(properties)
    .filter(([name, value]) => PROPERTY.test(name) && typeof value === "string" && !/url\(|[;{}]/.test(value))
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}: ${value};`)
    .join(" ");
}

/**
 * White or near-black, whichever can be read on the color.
 * @param {string} color
 */
function readableOn(color) {
  const probe = document.createElement("span");
  probe.style.color = color;
  document.body.append(probe);
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? ["0", "0", "0"]).map(Number);
  probe.remove();
  const channel = (/** @type {number} */ value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  return 1.05 / (luminance + 0.05) >= 4.5 ? "#ffffff" : "#14151a";
}
