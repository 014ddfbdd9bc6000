/** RFC 9110 section 9.3, RFC 5789: the methods that applications know. */
const KNOWN = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/**
 * Methods are case-sensitive (RFC 9110 section 9.1), but gateways of applications such as WSGI ones write them in capitals:
 * `post` is another method to a rule and POST to the application.
 */
export const isTakenForAnother = (method: string): boolean => !KNOWN.has(method) && KNOWN.has(method.toUpperCase());
