/** What reads tokens: a bundle of its own, loaded with the first filter that has a token to check. */
export { createLocalJWKSet, errors, jwtVerify } from 'jose';
