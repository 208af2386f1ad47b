/**
 * What the sandbox's Stripe.js offers can stand in for the real one: whatever the official typings allow there,
 * the sandbox takes and answers in the same shapes.
 */
import type {
  Stripe,
  StripeAddressElement,
  StripeAddressElementOptions,
  StripeElements,
  StripeElementsOptionsClientSecret,
  StripeElementsOptionsMode,
  StripeExpressCheckoutElement,
  StripeExpressCheckoutElementOptions,
  StripeLinkAuthenticationElement,
  StripeLinkAuthenticationElementOptions,
  StripePaymentElement,
  StripePaymentElementOptions,
} from '@stripe/stripe-js';
import type {Stripe as SandboxStripe} from '../../portal/sandbox/static/stripe/stripe.js';

type Sandbox = ReturnType<typeof SandboxStripe>;
type SandboxElements = ReturnType<Sandbox['elements']>;

type Calls =
  | 'confirmPayment'
  | 'confirmSetup'
  | 'handleNextAction'
  | 'retrievePaymentIntent'
  | 'retrieveSetupIntent';

interface OfferedElements extends Pick<StripeElements, 'update' | 'on' | 'fetchUpdates' | 'submit'> {
  create(type: 'payment', options?: StripePaymentElementOptions): StripePaymentElement;
  create(type: 'linkAuthentication', options?: StripeLinkAuthenticationElementOptions): StripeLinkAuthenticationElement;
  create(type: 'expressCheckout', options?: StripeExpressCheckoutElementOptions): StripeExpressCheckoutElement;
  create(type: 'address', options: StripeAddressElementOptions): StripeAddressElement;
  getElement(type: 'payment'): StripePaymentElement | null;
  getElement(type: 'linkAuthentication'): StripeLinkAuthenticationElement | null;
  getElement(type: 'expressCheckout'): StripeExpressCheckoutElement | null;
  getElement(type: 'address'): StripeAddressElement | null;
}

interface Offered extends Pick<Stripe, Exclude<Calls, 'handleNextAction'>> {
  elements(options?: StripeElementsOptionsClientSecret): OfferedElements;
  elements(options?: StripeElementsOptionsMode): OfferedElements;
  handleNextAction(options: {clientSecret: string}): ReturnType<Stripe['handleNextAction']>;
}

declare const sandbox: Sandbox;
declare const elements: SandboxElements;

export const offered: Offered = sandbox;
export const offeredElements: OfferedElements = elements;
