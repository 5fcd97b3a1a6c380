// The one place that asks REST.

import { keyHeaders } from "./key.ts";

export type Params = Record<string, string | number | undefined>;

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterS: number | null;

  constructor(status: number, code: string, message: string, retryAfterS: number | null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

export function address(path: string, params: Params): URL {
  const url = new URL(path, document.baseURI);
  // The state behind # is the page's own.
  url.hash = "";
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

interface Problem {
  code?: string;
  message?: string;
  retry_after?: number;
}

export async function problemOf(response: Response): Promise<ApiError> {
  let told: Problem = {};
  try {
    told = (await response.json()) as Problem;
  } catch {
    // A proxy's own page says nothing for us; the status does.
  }
  const message = told.message ?? `the server answered ${response.status}`;
  return new ApiError(response.status, told.code ?? "HTTP", message, told.retry_after ?? null);
}

/** An answer with numbers as text. ApiError says what the server said. */
export async function answer<T>(path: string, params: Params, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address(path, { ...params, numbers: "string" }), {
      signal,
      headers: { Accept: "application/json", ...keyHeaders() },
      credentials: "omit",
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(0, "UNREACHABLE", "the server can't be reached", null);
  }
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}
