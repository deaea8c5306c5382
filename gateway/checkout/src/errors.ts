// The one shape of an error on the way to the merchant's page. Holds nothing of what was typed.

export type ErrorType =
  | "api_connection_error"
  | "api_error"
  | "authentication_error"
  | "card_error"
  | "idempotency_error"
  | "invalid_request_error"
  | "rate_limit_error"
  | "validation_error";

export interface KuraError {
  readonly type: ErrorType;
  readonly code: string;
  /** For the shopper, in the page's language. */
  readonly message: string;
  readonly param?: string;
}

/** A {@link KuraError} without its text: thrown inside the frame and put into words where it is handled. */
export class Failure extends Error {
  constructor(
    readonly type: ErrorType,
    readonly code: string,
    readonly param?: string,
    /** The gateway's own words, for codes that this script has none for. */
    readonly detail?: string,
  ) {
    super(code);
  }
}
