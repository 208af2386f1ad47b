/** What a card number, an expiry date and a security code look like. No markup here. */

/** @typedef {import('./words.js').Code} Code */
/** @typedef {'visa' | 'mastercard' | 'amex' | 'discover' | 'diners' | 'jcb' | 'unionpay' | 'unknown'} Brand */

/** @type {{brand: Brand, starts: RegExp, lengths: number[], gaps: number[], cvc: number}[]} */
const BRANDS = [
  { brand: "amex", starts: /^3[47]/, lengths: [15], gaps: [4, 10], cvc: 4 },
  { brand: "diners", starts: /^3(0[0-5]|[689])/, lengths: [14, 16], gaps: [4, 10], cvc: 3 },
  { brand: "jcb", starts: /^35/, lengths: [16], gaps: [4, 8, 12], cvc: 3 },
  {
    brand: "mastercard",
    starts: /^(5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720))/,
    lengths: [16],
    gaps: [4, 8, 12],
    cvc: 3,
  },
  { brand: "discover", starts: /^(6011|64[4-9]|65)/, lengths: [16], gaps: [4, 8, 12], cvc: 3 },
  { brand: "unionpay", starts: /^(62|81)/, lengths: [16, 19], gaps: [4, 8, 12, 16], cvc: 3 },
  { brand: "visa", starts: /^4/, lengths: [16], gaps: [4, 8, 12], cvc: 3 },
];
const UNKNOWN = {
  brand: /** @type {Brand} */ ("unknown"),
  starts: /^/,
  lengths: [16],
  gaps: [4, 8, 12],
  cvc: 3,
};
const POSTAL_COUNTRIES = {
  US: /^\d{5}(-?\d{4})?$/,
  CA: /^[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d$/,
  GB: /^[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}$/,
};

/** @param {string} text */
export function digits(text) {
  return text.replace(/\D/g, "");
}

/**
 * What is known about a number by its first digits.
 * @param {string} number
 */
export function kindOf(number) {
  return BRANDS.find(({ starts }) => starts.test(digits(number))) ?? UNKNOWN;
}

/** @param {string} text */
export function formatNumber(text) {
  const { lengths, gaps } = kindOf(text);
  const number = digits(text).slice(0, Math.max(...lengths));
  return [...number].map((digit, at) => (gaps.includes(at) ? ` ${digit}` : digit)).join("");
}

/**
 * @param {string} text
 * @returns {Code | null}
 */
export function checkNumber(text) {
  const number = digits(text);
  const { lengths } = kindOf(number);
  if (number.length < Math.min(...lengths)) {
    return "incomplete_number";
  }
  return lengths.includes(number.length) && passesChecksum(number) ? null : "invalid_number";
}

/** @param {string} number */
function passesChecksum(number) {
  const sum = [...number].reverse().reduce((total, character, at) => {
    const digit = Number(character) * (at % 2 ? 2 : 1);
    return total + (digit > 9 ? digit - 9 : digit);
  }, 0);
  return sum % 10 === 0;
}

/** @param {string} text */
export function formatExpiry(text) {
  let number = digits(text).slice(0, 6);
  if (/^[2-9]/.test(number)) {
    number = `0${number}`;
  }
  if (/^1\D/.test(text.trim()) && digits(text).length === 1) {
    number = `0${number}`;
  }
  // A full year, as browsers fill it in: 12/2034.
  if (number.length === 6 && number.startsWith("20", 2)) {
    number = number.slice(0, 2) + number.slice(4);
  }
  number = number.slice(0, 4);
  return number.length > 2 || (/\/\s*$/.test(text) && number.length === 2)
    ? `${number.slice(0, 2)} / ${number.slice(2)}`
    : number;
}

/** @param {string} text */
export function expiryOf(text) {
  const number = digits(text);
  return { month: Number(number.slice(0, 2)), year: 2000 + Number(number.slice(2, 4)) };
}

/**
 * @param {string} text
 * @param {Date} today
 * @returns {Code | null}
 */
export function checkExpiry(text, today) {
  const number = digits(text);
  const { month, year } = expiryOf(number);
  if (number.length >= 2 && (month < 1 || month > 12)) {
    return "invalid_expiry_month";
  }
  if (number.length < 4) {
    return "incomplete_expiry";
  }
  const now = { month: today.getUTCMonth() + 1, year: today.getUTCFullYear() };
  if (year > now.year + 50) {
    return "invalid_expiry_year";
  }
  if (year < now.year) {
    return "invalid_expiry_year_past";
  }
  return year === now.year && month < now.month ? "invalid_expiry_month_past" : null;
}

/**
 * @param {string} text
 * @param {string} number the card's
 * @returns {Code | null}
 */
export function checkCvc(text, number) {
  const expected = kindOf(number).brand === "unknown" ? 3 : kindOf(number).cvc;
  return digits(text).length < expected ? "incomplete_cvc" : null;
}

/** Whether a country's cards are checked by postal code. @param {string} country */
export function needsPostalCode(country) {
  return country in POSTAL_COUNTRIES;
}

/**
 * @param {string} text
 * @param {string} country
 * @returns {Code | null}
 */
export function checkPostalCode(text, country) {
  const pattern = POSTAL_COUNTRIES[/** @type {keyof typeof POSTAL_COUNTRIES} */ (country)];
  if (!pattern || pattern.test(text)) {
    return null;
  }
  return country === "US" ? "incomplete_zip" : "incomplete_postal_code";
}
